package media

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
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

// canary counts the connections that reach any local address on its port.
func canary(t *testing.T) (port string, connections *atomic.Int64) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	connections = new(atomic.Int64)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	_, port, err = net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port, connections
}

// forbiddenHosts spells addresses that must not be reached.
func forbiddenHosts() []string {
	return []string{
		// loopback, as is
		"127.0.0.1", "127.0.0.2", "127.255.255.254", "127.127.127.127", "[::1]", "[0:0:0:0:0:0:0:1]", "[0000::0001]",
		"localhost", "LOCALHOST", "localhost.", "LocalHost.",
		// numbers that some programs read as 127.0.0.1
		"127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0X7F.0X0.0X0.0X1", "0177.0.0.1", "017700000001", "0177.0.0.01",
		"127.0.0.1.", "127.000.000.001", "127.0.0.0x1", "0x7f.1", "6425673729", "00000177.1",
		// digits and dots beyond ASCII
		"１２７.0.0.1", "127。0。0。1", "①②⑦.⓪.⓪.①", "ｌｏｃａｌｈｏｓｔ", "127.0.0.%31",
		// this host
		"0.0.0.0", "0", "0x0", "0.1.2.3", "[::]", "[::0.0.0.0]",
		// IPv4 within IPv6
		"[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::ffff:0:0]", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]",
		"[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::127.0.0.1]", "[2002:7f00:1::]", "[2002:7f00:1::1]",
		"[2001:0:4136:e378:8000:63bf:80ff:fffe]", "[64:ff9b::a9fe:a9fe]",
		// private, link-local, metadata and the like
		"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "169.254.169.254", "[fd00:ec2::254]", "[fe80::1]",
		"[fe80::1%25lo]", "[fc00::1]", "192.0.0.192", "198.18.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1", "[ff02::1]",
		"[100::1]", "[2001:db8::1]", "[fec0::1]", "[5f00::1]", "168.63.129.16", "100.100.100.200", "[::1%25lo]",
		// names that resolve there
		"loopback.test", "private.test", "mapped.test", "metadata.test",
	}
}

func forbiddenNames() map[string][]string {
	return map[string][]string{
		"localhost.":     {"127.0.0.1", "::1"},
		"loopback.test.": {"127.0.0.1", "::1"},
		"private.test.":  {"10.1.2.3"},
		"mapped.test.":   {"::ffff:127.0.0.1"},
		"metadata.test.": {"169.254.169.254"},
	}
}

func TestForbiddenAddresses(t *testing.T) {
	port, connections := canary(t)
	// The redirecting server alone is open, so that only the hop can be refused.
	redirecting := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", r.URL.Query().Get("to"))
		w.WriteHeader(http.StatusFound)
	})
	f := testFetcherWith(t, FetcherOptions{EgressAllow: []string{redirecting.Listener.Addr().String()}}, resolver(t, forbiddenNames()))
	archive, root := testArchive(t)
	for _, host := range forbiddenHosts() {
		for _, scheme := range []string{"http", "https"} {
			target := scheme + "://" + host + ":" + port + "/a.wav"
			for _, source := range []string{target, redirecting.URL + "/?to=" + strings.ReplaceAll(target, "%", "%25")} {
				_, err := archive.Store(t.Context(), f, "wav/t/a.wav", wavAsset(source), nil)
				failure := fetchFailure(t, err)
				refused := []Reason{ReasonRefusedAddress, ReasonBadURL}
				if source != target {
					refused = []Reason{ReasonRefusedAddress, ReasonRedirect}
				}
				if !slices.Contains(refused, failure.Reason) {
					t.Errorf("%s: %v, want one of %s", source, err, refused)
				}
			}
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections reached the canary", n)
	}
	if found := files(t, root); len(found) != 0 {
		t.Errorf("archive holds %s", found)
	}
}

// The canary must be able to sing: opened, it is reached.
func TestCanary(t *testing.T) {
	port, connections := canary(t)
	f := testFetcher(t, FetcherOptions{EgressAllow: []string{"127.0.0.0/8"}})
	archive, _ := testArchive(t)
	_, err := archive.Store(t.Context(), f, "wav/t/a.wav", wavAsset("http://127.0.0.1:"+port+"/"), nil)
	if failure := fetchFailure(t, err); failure.Reason != ReasonReset {
		t.Errorf("got %v, want reset", err)
	}
	if connections.Load() == 0 {
		t.Error("no connection reached the canary")
	}
}

// A name may answer differently each time it is asked; what counts is where the
// connection goes.
func TestNameThatChanges(t *testing.T) {
	port, connections := canary(t)
	media := serveBytes(t, wav(8000))
	_, mediaPort, err := net.SplitHostPort(media.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	f := testFetcherWith(t, FetcherOptions{EgressAllow: []string{media.Listener.Addr().String()}},
		resolver(t, map[string][]string{"media.test.": {"127.0.0.1"}}))
	archive, _ := testArchive(t)
	if _, err := archive.Store(t.Context(), f, "wav/t/a.wav", wavAsset("http://media.test:"+mediaPort+"/"), nil); err != nil {
		t.Errorf("opened address by name: %v", err)
	}
	_, err = archive.Store(t.Context(), f, "wav/t/b.wav", wavAsset("http://media.test:"+port+"/"), nil)
	if failure := fetchFailure(t, err); failure.Reason != ReasonRefusedAddress || connections.Load() != 0 {
		t.Errorf("got %v and %d connections", err, connections.Load())
	}
}
