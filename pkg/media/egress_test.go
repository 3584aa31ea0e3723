package media

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

type egressCase struct {
	name    string
	allow   []string
	address string
	open    bool
}

func specialPurpose() []egressCase {
	return []egressCase{
		{"public", nil, "1.1.1.1:443", true},
		{"public, any port", nil, "1.1.1.1:8443", true},
		{"public IPv6", nil, "[2606:4700::1111]:443", true},
		{"public within IPv4-mapped", nil, "[::ffff:1.1.1.1]:80", true},
		{"public within NAT64", nil, "[64:ff9b::1.1.1.1]:80", true},
		{"loopback", nil, "127.0.0.1:80", false},
		{"loopback within NAT64", nil, "[64:ff9b::7f00:1]:80", false},
		{"private within NAT64", nil, "[64:ff9b::10.0.0.1]:80", false},
		{"metadata within NAT64", nil, "[64:ff9b::169.254.169.254]:80", false},
		{"local NAT64", nil, "[64:ff9b:1::7f00:1]:80", false},
		{"6to4", nil, "[2002:7f00:1::1]:80", false},
		{"Teredo", nil, "[2001:0:7f00:1::80ff:fffe]:80", false},
		{"metadata", nil, "169.254.169.254:80", false},
		{"metadata of EC2 over IPv6", nil, "[fd00:ec2::254]:80", false},
		{"metadata of Azure", nil, "168.63.129.16:80", false},
		{"metadata of Alibaba", nil, "100.100.100.200:80", false},
		{"link-local with zone", nil, "[fe80::1%lo]:80", false},
		{"public with zone", nil, "[2606:4700::1111%lo]:443", true},
	}
}

func openings() []egressCase {
	return []egressCase{
		{"IP opens every port", []string{"10.1.2.3"}, "10.1.2.3:9", true},
		{"IP opens itself alone", []string{"10.1.2.3"}, "10.1.2.4:9", false},
		{"IP opens its mapped form", []string{"127.0.0.1"}, "[::ffff:127.0.0.1]:9", true},
		{"mapped IP opens the IPv4 form", []string{"::ffff:127.0.0.1"}, "127.0.0.1:9", true},
		{"IP does not open NAT64 to it", []string{"127.0.0.1"}, "[64:ff9b::127.0.0.1]:9", false},
		{"IP:port", []string{"127.0.0.1:8089"}, "127.0.0.1:8089", true},
		{"IP:port opens no other port", []string{"127.0.0.1:8089"}, "127.0.0.1:8090", false},
		{"IPv6 with port", []string{"[::1]:8089"}, "[::1]:8089", true},
		{"IPv6 with port opens no other port", []string{"[::1]:8089"}, "[::1]:80", false},
		{"IPv6", []string{"::1"}, "[::1]:80", true},
		{"CIDR", []string{"10.0.0.0/8"}, "10.200.0.1:80", true},
		{"CIDR opens no other range", []string{"10.0.0.0/8"}, "11.0.0.1:80", true},
		{"CIDR IPv6", []string{"fd00::/8"}, "[fd12::1]:80", true},
		{"CIDR IPv6 leaves loopback", []string{"fd00::/8"}, "[::1]:80", false},
		{"CIDR link-local with zone", []string{"fe80::/10"}, "[fe80::1%lo]:80", true},
		{"second entry", []string{"10.0.0.1", "192.168.0.0/16"}, "192.168.3.4:80", true},
	}
}

func TestEgressCheck(t *testing.T) {
	for _, test := range slices.Concat(specialPurpose(), openings()) {
		t.Run(test.name, func(t *testing.T) {
			e, err := newEgress(test.allow)
			if err != nil {
				t.Fatal(err)
			}
			if err := e.check(netip.MustParseAddrPort(test.address)); (err == nil) != test.open {
				t.Errorf("check(%s) = %v, want open %t", test.address, err, test.open)
			}
		})
	}
}

func TestEgressAllowInvalid(t *testing.T) {
	for _, entry := range []string{
		"", " ", "localhost", "localhost:80", "example.com", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:70000", "127.0.0.1:http",
		"[::1]", "[::1]:0", "127.1", "0177.0.0.1", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/8:80", "::ffff:10.0.0.0/104", "fe80::1%lo",
		"fe80::%lo/64", "*", "10.0.0.*", "10.0.0.1-10.0.0.9", "http://127.0.0.1", "127.0.0.1, 10.0.0.1",
	} {
		_, err := NewFetcher(FetcherOptions{EgressAllow: []string{"10.0.0.1", entry}})
		if err == nil || !strings.Contains(err.Error(), `egress allow "`) {
			t.Errorf("EgressAllow %q: error %v", entry, err)
		}
	}
}
