package gateway

import (
	"bytes"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/iotest"
)

func TestBodiesShareABoundedMemory(t *testing.T) {
	t.Parallel()
	const limit = 64 << 10
	b := newBodies(limit)
	first, release, err := b.read(strings.NewReader(strings.Repeat("a", 32<<10-1)))
	if err != nil || len(first) != 32<<10-1 {
		t.Fatalf("%d bytes, %v", len(first), err)
	}
	_, releaseSecond, err := b.read(strings.NewReader(strings.Repeat("b", 40<<10)))
	if !errors.Is(err, errNoMemory) {
		t.Errorf("beyond the limit: %v", err)
	}
	releaseSecond()
	small, releaseThird, err := b.read(strings.NewReader("c"))
	if err != nil || string(small) != "c" {
		t.Errorf("what fits beside the first: %q, %v", small, err)
	}
	releaseThird()
	release()
	if !b.memory.TryAcquire(limit) {
		t.Error("memory was not given back")
	}
}

func TestBodiesAreReadWhole(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, firstReadBytes - 1, firstReadBytes, firstReadBytes + 1, maxBodyBytes} {
		want := bytes.Repeat([]byte{'x'}, size)
		got, release, err := newBodies(maxBodiesBytes).read(iotest.HalfReader(bytes.NewReader(want)))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: read %d, %v", size, len(got), err)
		}
		release()
	}
	_, release, err := newBodies(maxBodiesBytes).read(bytes.NewReader(make([]byte, maxBodyBytes+1)))
	if !errors.Is(err, errTooLarge) {
		t.Errorf("one byte too many: %v", err)
	}
	release()
}

func TestHeadsThatSayTwiceHowLongTheBodyIs(t *testing.T) {
	t.Parallel()
	for head, want := range map[string]bool{
		"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n":                                 false,
		"POST / HTTP/1.1\r\ncontent-length: 5\r\nTransfer-Encoding: chunked\r\n\r\n":   true,
		"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n":            true,
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nContent-Length: 5\r\n":   false,
		"POST / HTTP/1.1\nContent-Length: 5\nTRANSFER-ENCODING: chunked\n\nabc":        true,
		"POST / HTTP/1.1\r\nX-Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n": false,
	} {
		for _, step := range []int{1, 3, len(head)} { // as it may come from the network
			c := connected(t)
			for rest := []byte(head); len(rest) > 0; rest = rest[min(step, len(rest)):] {
				c.note(rest[:min(step, len(rest))])
			}
			if got := c.ambiguous(false); got != want {
				t.Errorf("%q in steps of %d: ambiguous is %v", head, step, got)
			}
		}
	}
	const good, bad = "POST / HTTP/1.1\r\n", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
	for name, after := range map[string]string{
		"empty lines before": "\r\n\r\n" + good + bad,
		"the rest of a head": "Transfer-Encoding: chunked\r\n\r\n",
		"all but one byte":   good[1:] + bad,
	} {
		c := connected(t)
		c.note([]byte(after))
		if !c.ambiguous(true) {
			t.Errorf("%s: not ambiguous", name)
		}
	}
	c := connected(t)
	if c.note([]byte("\r\n")); c.began.Load() != 0 {
		t.Error("an empty line begins a request")
	}
	if c.note([]byte("P")); c.began.Load() == 0 {
		t.Error("a letter begins no request")
	}
	if c := connected(t); !c.ambiguous(true) || c.ambiguous(false) {
		t.Error("a head that was not seen: want ambiguous exactly if the body is chunked")
	}
}

// connected is a connection on which nothing was read yet.
func connected(tb testing.TB) *conn {
	tb.Helper()
	ours, theirs := net.Pipe()
	tb.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
	return &conn{Conn: ours}
}
