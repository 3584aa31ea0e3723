package media

import (
	"fmt"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fullQueue returns an address whose queue of connections is full, so that another
// gets no answer.
func fullQueue(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", bound.(*unix.SockaddrInet4).Port)
	for range 8 {
		conn, err := (&net.Dialer{Timeout: 200 * time.Millisecond}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			return address
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	t.Fatal("the queue never fills")
	return ""
}

// A host that does not answer a connection is given up.
func TestConnectTimeout(t *testing.T) {
	address := fullQueue(t)
	f := testFetcher(t, FetcherOptions{EgressAllow: loopback(), ConnectTimeout: 100 * time.Millisecond})
	archive, _ := testArchive(t)
	for _, scheme := range []string{"http", "https"} {
		start := time.Now()
		_, err := archive.Store(t.Context(), f, "wav/t/a", wavAsset(scheme+"://"+address+"/"), nil)
		if failure := fetchFailure(t, err); failure.Reason != ReasonConnect || failure.Permanent() || time.Since(start) > patience/3 {
			t.Errorf("%s: got %v after %s", scheme, err, time.Since(start))
		}
	}
}
