package simulate

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gabriel-vasile/mimetype"
)

// seen is one answer as it came over the wire.
type seen struct {
	wire    []byte // all of it
	broken  error  // how reading it ended; nil: in peace
	resp    *http.Response
	body    []byte
	bodyErr error
}

// look sends one request without net/http's client, which would mend or hide
// what is wrong with its answer.
func look(t *testing.T, h host, path string) seen {
	t.Helper()
	conn, err := net.Dial("tcp", h.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: media\r\nConnection: close\r\n\r\n", path); err != nil {
		t.Fatal(err)
	}
	var s seen
	s.wire, s.broken = io.ReadAll(conn)
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(s.wire)), nil)
	if err != nil {
		return s
	}
	defer func() { _ = resp.Body.Close() }()
	s.resp = resp
	s.body, s.bodyErr = io.ReadAll(resp.Body)
	return s
}

// whole reports whether the answer is the file and nothing else.
func (s seen) whole(content []byte) bool {
	return s.resp != nil && s.resp.StatusCode == http.StatusOK && s.bodyErr == nil && bytes.Equal(s.body, content)
}

// short reports whether the answer is a part of the file that does not say that
// it is one.
func (s seen) short(content []byte) bool {
	return s.resp != nil && s.resp.StatusCode == http.StatusOK && errors.Is(s.bodyErr, io.ErrUnexpectedEOF) &&
		len(s.body) > 0 && len(s.body) < len(content) && bytes.HasPrefix(content, s.body)
}

func (s seen) status(wanted ...int) bool {
	return s.resp != nil && s.bodyErr == nil && slices.Contains(wanted, s.resp.StatusCode)
}

// is reports whether the content is of that type.
func (s seen) is(mime string) bool {
	return s.status(http.StatusOK) && mimetype.Detect(s.body).Is(mime)
}

func (s seen) header(name string) string { return s.resp.Header.Get(name) }

// looks says for every form of every fault whether an answer is as bad as it
// should be.
func looks() map[string]func(h host, s seen, content []byte) bool {
	refused := func(_ host, s seen, _ []byte) bool { return s.status(401, 403, 404) }
	outage := func(_ host, s seen, _ []byte) bool { return s.status(500, 502, 503, 504) }
	gone := func(_ host, s seen, _ []byte) bool { return s.status(410) }
	page := func(_ host, s seen, _ []byte) bool { return s.is("text/html") }
	empty := func(_ host, s seen, _ []byte) bool { return s.status(200) && len(s.body) == 0 }
	reset := func(_ host, s seen, _ []byte) bool { return errors.Is(s.broken, syscall.ECONNRESET) }
	short := func(_ host, s seen, content []byte) bool { return s.broken == nil && s.short(content) }
	whole := func(_ host, s seen, content []byte) bool { return s.whole(content) && s.resp.ContentLength < 0 }
	return map[string]func(host, seen, []byte) bool{
		"outages/0":   outage,
		"refusals/0":  refused,
		"fallbacks/0": refused, "fallbacks/1": gone, "fallbacks/2": page, "fallbacks/3": empty, "fallbacks/4": outage,
		"throttling/0":  throttled,
		"resets/0":      reset,
		"resets/1":      reset,
		"resets/2":      func(_ host, s seen, _ []byte) bool { return s.resp == nil && bytes.HasPrefix(s.wire, []byte("SSH-")) },
		"truncations/0": short, "truncations/1": short,
		"empties/0": empty, "empties/1": empty,
		"hangs/0":     func(_ host, s seen, _ []byte) bool { return len(s.wire) == 0 && s.broken == nil },
		"loops/0":     func(h host, s seen, _ []byte) bool { return s.leadsTo(h, h.url) },
		"redirects/0": func(h host, s seen, _ []byte) bool { return s.leadsTo(h, h.base+h.file.trouble.hops[0]) },
		"slowness/0":  func(_ host, s seen, content []byte) bool { return s.whole(content) },
		"lengths/0":   whole, "lengths/1": whole,
		"labels/0": func(h host, s seen, content []byte) bool {
			return s.whole(content) && s.header("Content-Type") != h.file.kind.contentType()
		},
		"gone/0":  gone,
		"gone/1":  func(_ host, s seen, _ []byte) bool { return s.status(statusExpired) },
		"fakes/0": page,
		"fakes/1": func(_ host, s seen, _ []byte) bool { return s.is("application/json") },
		"fakes/2": func(_ host, s seen, _ []byte) bool {
			return s.is("image/png") && s.header("Content-Type") == "audio/mpeg"
		},
		"fakes/3": func(_ host, s seen, _ []byte) bool {
			return s.is("application/gzip") && s.header("Content-Type") == "audio/mpeg"
		},
		"bombs/0":  explodes,
		"giants/0": func(_ host, s seen, _ []byte) bool { return s.resp.ContentLength == giantBytes && len(s.body) < 1<<20 },
		"traps/0": func(h host, s seen, _ []byte) bool {
			u, err := url.Parse(s.header("Location"))
			return err == nil && s.resp.StatusCode/100 == 3 && slices.Contains(h.canary.names(), u.Host)
		},
	}
}

// leadsTo reports whether the answer is a redirect to that URL.
func (s seen) leadsTo(h host, want string) bool {
	from, err := url.Parse(h.url)
	if err != nil {
		return false
	}
	to, err := from.Parse(s.header("Location"))
	return err == nil && s.resp.StatusCode/100 == 3 && strings.TrimSuffix(to.String(), "?") == want
}

func throttled(_ host, s seen, _ []byte) bool {
	after := s.header("Retry-After")
	seconds, err := strconv.Atoi(after)
	if err != nil {
		date, err := http.ParseTime(after)
		return err == nil && s.status(http.StatusTooManyRequests) && time.Until(date) < time.Minute
	}
	return s.status(http.StatusTooManyRequests) && seconds >= 1 && seconds <= 2
}

func explodes(_ host, s seen, _ []byte) bool {
	if !s.status(http.StatusOK) || s.header("Content-Encoding") != "gzip" || len(s.body) > 1<<20 {
		return false
	}
	r, err := gzip.NewReader(bytes.NewReader(s.body))
	if err != nil {
		return false
	}
	n, err := io.Copy(io.Discard, io.LimitReader(r, 2*bombBytes))
	return err == nil && n >= bombBytes && n < 2*bombBytes
}

// TestMediaFaultsOnTheWire looks at what a client gets: bad answers as often as
// planned, and then the file.
func TestMediaFaultsOnTheWire(t *testing.T) {
	t.Parallel()
	checks := looks()
	for name, drawn := range troubles() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check, there := checks[name]
			if !there {
				t.Fatal("nothing is said of how it looks")
			}
			h := serveTrouble(t, mp3, drawn)
			content := mustContent(t, h.file)
			for n := range max(drawn.spoils, 2) {
				s := look(t, h, "/files/r/a")
				if spoilt := drawn.spoils == 0 || n < drawn.spoils; spoilt && !check(h, s, content) || !spoilt && !s.whole(content) {
					t.Errorf("request %d: %v, %d bytes of body, %v; then %v", n+1, s.resp, len(s.body), s.bodyErr, s.broken)
				}
			}
			if drawn.spoils > 0 || drawn.first {
				if s := look(t, h, "/files/source/a"); !s.whole(content) {
					t.Errorf("in the end: %v", s.resp)
				}
			}
			if requests, spoilt := h.tally(); spoilt == 0 || requests < spoilt {
				t.Errorf("%d of %d requests counted", spoilt, requests)
			}
		})
	}
	if len(checks) != len(troubles()) {
		t.Errorf("%d looks of %d forms", len(checks), len(troubles()))
	}
}

func TestRedirectsEndAtTheFile(t *testing.T) {
	t.Parallel()
	drawn := troubles()["redirects/0"]
	h := serveTrouble(t, riff, drawn)
	for hop, path := range drawn.hops {
		s := look(t, h, "/files"+path)
		last := hop == len(drawn.hops)-1
		if last && !s.whole(mustContent(t, h.file)) || !last && !s.leadsTo(h, h.base+drawn.hops[hop+1]) {
			t.Errorf("redirect %d: %v", hop+1, s.resp)
		}
	}
	if s := look(t, h, "/files/cdn/1/a?Signature=forged"); !s.status(http.StatusNotFound) {
		t.Errorf("another signature: %v", s.resp)
	}
}

func TestSilenceEndsWithItsClient(t *testing.T) {
	t.Parallel()
	h := serveTrouble(t, mp3, troubles()["hangs/0"])
	h.hang = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	go cancel()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/files/r/a", http.NoBody))
	if w.Flushed || w.Body.Len() > 0 {
		t.Errorf("answered %d with %d bytes", w.Code, w.Body.Len())
	}
}

func TestCanaryCounts(t *testing.T) {
	t.Parallel()
	c, err := newCanary()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.watch() }()
	names := c.names()
	for _, name := range names {
		conn, err := net.Dial("tcp", name)
		if err != nil {
			t.Errorf("%s leads elsewhere: %v", name, err)
			continue
		}
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) { // it has been seen by then
			t.Errorf("%s: %v", name, err)
		}
		_ = conn.Close()
	}
	c.stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := c.touched.Load(); n != int64(len(names)) {
		t.Errorf("%d connections counted, want %d", n, len(names))
	}
}
