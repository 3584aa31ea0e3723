package media

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

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

// forbiddenHosts spells addresses that must not be reached, as a URL would.
func forbiddenHosts() []string {
	return slices.Concat(forbiddenIPv4(), forbiddenIPv6(), embeddedIPv4(), forbiddenNumbers(), forbiddenNames())
}

func forbiddenIPv4() []string {
	return []string{
		// loopback and this host
		"127.0.0.1", "127.0.0.2", "127.255.255.254", "127.127.127.127", "127.0.0.1.", "0.0.0.0", "0.1.2.3", "0.0.0.1",
		// private, shared, link-local
		"10.0.0.1", "10.255.255.255", "172.16.0.1", "172.20.10.1", "172.31.255.255", "192.168.0.1", "192.168.255.255", "100.64.0.1",
		"100.127.255.255", "169.254.0.1", "169.254.255.255",
		// metadata and agents of clouds
		"169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200", "192.0.0.192",
		// protocols, documentation, benchmarks, relays, multicast, reserved, broadcast
		"192.0.0.1", "192.0.0.8", "192.0.0.170", "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "198.19.255.255", "192.88.99.1",
		"224.0.0.1", "224.0.0.251", "233.252.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.254", "255.255.255.255",
	}
}

func forbiddenIPv6() []string {
	return []string{
		"[::1]", "[0:0:0:0:0:0:0:1]", "[0000::0001]", "[0::0:1]", "[::0.0.0.1]", "[::1%25lo]", "[::]", "[::0.0.0.0]", "[::2]",
		"[fc00::1]", "[fd00::1]", "[fd00:ec2::254]", "[FD20:CE::254]", "[fe80::1]", "[fe80::1%25lo]", "[fe80::a9fe:a9fe]", "[febf::1]",
		"[fe80::5efe:127.0.0.1]", "[fec0::1]", "[feff::1]", "[ff02::1]", "[ff0e::1]", "[100::1]", "[100:0:0:1::1]", "[200::1]", "[2001:2::1]",
		"[2001:10::1]", "[2001:20::1]", "[2001:db8::1]", "[3fff::1]", "[4000::1]", "[5f00::1]", "[8000::1]",
	}
}

// embeddedIPv4 holds IPv4 addresses within IPv6: mapped, compatible, translated,
// NAT64, 6to4 and Teredo.
func embeddedIPv4() []string {
	return []string{
		"[::ffff:127.0.0.1]", "[::FFFF:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::ffff:0:0]", "[::ffff:10.0.0.1]", "[::ffff:169.254.169.254]",
		"[::ffff:a9fe:a9fe]", "[::ffff:192.168.0.1]", "[::ffff:100.64.0.1]", "[::ffff:168.63.129.16]",
		"[::127.0.0.1]", "[::7f00:1]", "[::10.0.0.1]", "[::169.254.169.254]", "[::ffff:0:127.0.0.1]", "[::ffff:0:7f00:1]", "[::ffff:0:10.0.0.1]",
		"[64:ff9b::127.0.0.1]", "[64:FF9B::7f00:1]", "[64:ff9b::10.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b::192.168.1.1]",
		"[64:ff9b::100.64.0.1]", "[64:ff9b::168.63.129.16]", "[64:ff9b::]", "[64:ff9b:1::127.0.0.1]", "[64:ff9b:1:7f00:0:100::]",
		"[2002:7f00:1::]", "[2002:7f00:1::1]", "[2002:a00:1::1]", "[2002:c0a8:1::1]", "[2002:a9fe:a9fe::1]",
		"[2001:0:4136:e378:8000:63bf:80ff:fffe]", "[2001:0:7f00:1::]", "[2001::1]",
	}
}

// forbiddenNumbers holds what some programs read as IPv4.
func forbiddenNumbers() []string {
	return []string{
		"127.1", "127.0.1", "2130706433", "0x7f000001", "0X7F000001", "0x7f.0.0.1", "0X7F.0X0.0X0.0X1", "0177.0.0.1", "017700000001",
		"0177.0.0.01", "0177.0.0.0x1", "127.000.000.001", "127.0.0.0x1", "0x7f.1", "6425673729", "00000177.1", "0", "0x0", "00", "10.1", "192.168.1",
		"2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "0xc0.0xa8.0.1", "3232235521", "167772161", "4294967295", "127.0.0.256",
	}
}

// forbiddenNames holds names of this host, also in characters that a name's
// preparation turns into others. The name server says of each that it is.
func forbiddenNames() []string {
	return []string{
		"localhost", "LOCALHOST", "localhost.", "LocalHost.", "localhost.localdomain", "ip6-localhost", "foo.localhost", "127.0.0.1.nip.test",
		"１２７.0.0.1", "１２７．０．０．１", "127。0。0。1", "127｡0｡0｡1", "①②⑦.⓪.⓪.①", "⑯⑨。②⑤④。⑯⑨｡②⑤④", "ｌｏｃａｌｈｏｓｔ", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "localho\u017ft", "loc\u00adalhost", "127.0.0.%31",
		"%31%32%37.0.0.1", "127.0.0.1%00", "127.0.0.1%20", "user@127.0.0.1", "x.test@127.0.0.1", "127.0.0.1\\@x.test", "[::1", "[127.0.0.1]",
	}
}

// forbiddenZone knows every name as one of this host's, and spelling-<n>.test as
// what the spelling of that number stands for.
func forbiddenZone(spellings []string) zone {
	return func(name string, _ dnsmessage.Type) ([]string, string, bool) {
		var n int
		if _, err := fmt.Sscanf(name, "spelling-%d.test.", &n); err != nil || n >= len(spellings) {
			return []string{"127.0.0.1", "::1"}, "", true
		}
		if addr, ok := literal(spellings[n]); ok {
			return []string{addr.String()}, "", true
		}
		return []string{"127.0.0.1", "::1"}, strings.TrimSuffix(spellings[n], ".") + ".", true
	}
}

// literal returns the address that a URL's host spells.
func literal(host string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(strings.Trim(strings.ReplaceAll(host, "%25", "%"), "[]"))
	return addr.WithZone(""), err == nil
}

// No spelling of a forbidden address is connected to, whether it stands in the
// URL, in a redirect, or in the name server's answer.
func TestForbiddenAddresses(t *testing.T) {
	spellings := forbiddenHosts()
	if unique := len(slices.Compact(slices.Sorted(slices.Values(spellings)))); unique < 150 || unique != len(spellings) {
		t.Fatalf("%d spellings, %d of them unique", len(spellings), unique)
	}
	port, connections := canary(t)
	// The redirecting server alone is open, so that only the hop can be refused.
	redirecting := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", r.URL.Query().Get("to"))
		w.WriteHeader(http.StatusFound)
	})
	f := testFetcherWith(t, FetcherOptions{EgressAllow: []string{redirecting.Listener.Addr().String()}}, resolverOf(t, forbiddenZone(spellings)))
	egress, err := newEgress(nil)
	if err != nil {
		t.Fatal(err)
	}
	archive, root := testArchive(t)
	for n, spelling := range spellings {
		if addr, ok := literal(spelling); ok && egress.check(netip.AddrPortFrom(addr, 80)) == nil {
			t.Errorf("%s is open: nothing is sent there", spelling)
			continue
		}
		for _, scheme := range []string{"http", "https"} {
			target := scheme + "://" + spelling + ":" + port + "/a.wav"
			for source, also := range map[string]Reason{
				target: ReasonBadURL,
				redirecting.URL + "/?to=" + url.QueryEscape(target):            ReasonRedirect,
				fmt.Sprintf("%s://spelling-%d.test:%s/a.wav", scheme, n, port): ReasonRefusedAddress,
			} {
				_, err := archive.Store(t.Context(), f, "wav/t/a.wav", wavAsset(source), nil)
				if failure := fetchFailure(t, err); failure.Reason != ReasonRefusedAddress && failure.Reason != also {
					t.Errorf("%s: %v, want %s or %s", source, err, ReasonRefusedAddress, also)
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

// The canary must be able to sing: opened, it is reached, also by way of the name
// server and of a redirect.
func TestCanary(t *testing.T) {
	port, connections := canary(t)
	redirecting := serve(t, status(http.StatusFound, "Location", "http://127.0.0.2:"+port+"/"))
	f := testFetcherWith(t, FetcherOptions{EgressAllow: []string{"127.0.0.0/8"}}, resolverOf(t, forbiddenZone([]string{"127.0.0.3"})))
	archive, _ := testArchive(t)
	for n, source := range []string{"http://127.0.0.1:" + port + "/", redirecting.URL, "http://spelling-0.test:" + port + "/"} {
		_, err := archive.Store(t.Context(), f, "wav/t/a.wav", wavAsset(source), nil)
		if failure := fetchFailure(t, err); failure.Reason != ReasonReset {
			t.Errorf("%s: %v, want reset", source, err)
		}
		if got := connections.Load(); got != int64(n)+1 {
			t.Errorf("%s: %d connections reached the canary", source, got)
		}
	}
}

// A name may answer differently each time it is asked; what counts is where the
// connection goes.
func TestNameThatChanges(t *testing.T) {
	port, connections := canary(t)
	media := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/redirect" {
			status(http.StatusFound, "Location", "http://media.test:"+port+"/")(w, r)
			return
		}
		_, _ = w.Write(wav(8000))
	})
	_, mediaPort, err := net.SplitHostPort(media.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	f := testFetcherWith(t, FetcherOptions{EgressAllow: []string{media.Listener.Addr().String()}},
		resolverOf(t, func(_ string, kind dnsmessage.Type) ([]string, string, bool) {
			if kind == dnsmessage.TypeA && asked.Add(1)%2 == 1 {
				return []string{"127.0.0.1"}, "", true
			}
			return []string{"127.0.0.2"}, "", true
		}))
	archive, root := testArchive(t)
	for _, test := range []struct {
		name, source string
		refused      bool
	}{
		{"the open address", "http://media.test:" + mediaPort + "/", false},
		{"the other address", "http://media.test:" + mediaPort + "/b", true},
		{"the other address after a redirect", "http://media.test:" + mediaPort + "/redirect", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := archive.Store(t.Context(), f, "wav/t/"+strings.ReplaceAll(test.name, " ", "-"), wavAsset(test.source), nil)
			if !test.refused {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if failure := fetchFailure(t, err); failure.Reason != ReasonRefusedAddress {
				t.Errorf("got %v", err)
			}
		})
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections reached the canary", n)
	}
	if found := files(t, root); len(found) != 1 {
		t.Errorf("archive holds %s", found)
	}
}

// An answer that mixes addresses opens none of the forbidden ones.
func TestNameOfManyAddresses(t *testing.T) {
	media := serveBytes(t, wav(8000))
	_, port, err := net.SplitHostPort(media.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	f := testFetcherWith(t, FetcherOptions{EgressAllow: []string{media.Listener.Addr().String()}}, resolver(t, map[string][]string{
		"mixed.test.": {"10.0.0.1", "127.0.0.1", "169.254.169.254", "::1"}, "bad.test.": {"10.0.0.1", "::1", "fd00::1", "127.0.0.2"},
	}))
	archive, _ := testArchive(t)
	if _, err := archive.Store(t.Context(), f, "wav/t/a.wav", wavAsset("http://mixed.test:"+port+"/"), nil); err != nil {
		t.Errorf("with the open one among them: %v", err)
	}
	_, err = archive.Store(t.Context(), f, "wav/t/b.wav", wavAsset("http://bad.test:"+port+"/"), nil)
	if failure := fetchFailure(t, err); failure.Reason != ReasonRefusedAddress {
		t.Errorf("without it: %v", err)
	}
}
