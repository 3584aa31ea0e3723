package gateway_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"fanfare/pkg/natsd/natstest"
)

// A client that expects 100 Continue sends no body before it, and so sends none to
// a gateway that refuses its head.
func TestContractOfContinue(t *testing.T) {
	t.Parallel()
	r := start(t, natstest.Broker(t))
	for _, test := range []struct {
		media string
		want  []int
	}{
		{"application/json", []int{100, 200}},
		{"text/plain", []int{415}},
	} {
		conn := r.dial()
		reader := bufio.NewReader(conn)
		body := strings.Replace(ownWAV, ownID, "t1", 1)
		if _, err := fmt.Fprintf(conn, "%sContent-Type: %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", postWAV, test.media, len(body)); err != nil {
			t.Fatal(err)
		}
		for _, want := range test.want {
			response, err := http.ReadResponse(reader, nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if response.StatusCode != want {
				t.Errorf("%s: answered %d, want %d", test.media, response.StatusCode, want)
			}
			if want == http.StatusContinue {
				if _, err := io.WriteString(conn, body); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if got := r.count("wav"); got != 1 {
		t.Errorf("%d messages stored, want 1", got)
	}
}

// slow is a client that takes its time, and what came of it.
type slow struct {
	name   string
	parts  []string // of the request, sent 4 s apart
	want   int      // status; 0: no answer, the connection ends
	within time.Duration

	answer answer
	err    error
	took   time.Duration
}

// TestContractOfTime is as slow as the contract: header 5 s, body 8 s, and 9 s from
// a request's first byte to its answer. Its clients run beside each other without
// taking turns with other tests.
func TestContractOfTime(t *testing.T) {
	t.Parallel()
	r := start(t, natstest.Broker(t))
	head := jsonType + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(goodWAV))
	clients := []slow{
		{name: "a head that ends after 4 s, and the body with it", parts: []string{postWAV, head + goodWAV}, want: 200, within: 9 * time.Second},
		{name: "a body that ends after 4 s", parts: []string{postWAV + head + goodWAV[:9], goodWAV[9:]}, want: 200, within: 9 * time.Second},
		{name: "a head and a body that take their time, and the body does not end", parts: []string{postWAV, head, goodWAV[:9]}, want: 400, within: 10 * time.Second},
		{name: "a body that does not end", parts: []string{postWAV + head + goodWAV[:9]}, want: 400, within: 10 * time.Second},
		{name: "a head that does not end", parts: []string{postWAV}, within: 7 * time.Second},
		{name: "no request", parts: []string{""}, within: 7 * time.Second},
	}
	var talks sync.WaitGroup
	for i := range clients {
		conn := r.dial()
		talks.Go(func() { clients[i].talk(conn) })
	}
	talks.Wait()
	for _, s := range clients {
		if s.took > s.within {
			t.Errorf("%s: it took %v, want %v", s.name, s.took, s.within)
		}
		if s.answer.status != s.want || (s.want == 0) != errors.Is(s.err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: answered %d %s, %v; want %d", s.name, s.answer.status, s.answer.body, s.err, s.want)
		}
		if s.want != 0 {
			s.answer.wellFormed(t)
		}
	}
	if got := r.count("wav"); got != 1 {
		t.Errorf("%d messages stored, want 1", got)
	}
}

// talk sends the parts and notes the answer.
func (s *slow) talk(conn io.ReadWriter) {
	began := time.Now()
	defer func() { s.took = time.Since(began) }()
	for i, part := range s.parts {
		if i > 0 {
			<-time.After(4 * time.Second)
		}
		if _, s.err = io.WriteString(conn, part); s.err != nil {
			return
		}
	}
	var response *http.Response
	if response, s.err = http.ReadResponse(bufio.NewReader(conn), nil); s.err != nil {
		return
	}
	defer func() { _ = response.Body.Close() }()
	var body []byte
	body, s.err = io.ReadAll(response.Body)
	s.answer = answer{response.StatusCode, response.Header, string(body)}
}
