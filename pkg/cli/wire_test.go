package cli_test

import (
	"bufio"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// rule says whether a message that a client publishes is withheld from the server.
// before is how many on its subject have passed.
type rule func(subject string, before int) bool

// The rules for what a consumer publishes on its way through one delivery.
func firstResult(subject string, before int) bool  { return isResult(subject) && before == 0 }
func secondResult(subject string, before int) bool { return isResult(subject) && before == 1 }
func isResult(subject string) bool                 { return strings.HasPrefix(subject, "$KV.RESULTS.") }
func isAck(subject string, _ int) bool             { return strings.HasPrefix(subject, "$JS.ACK.") }

// wire is a TCP proxy before a NATS server. It reads what clients publish and can
// withhold single messages; all the rest passes, in both directions.
type wire struct {
	addr, server string

	mu       sync.Mutex
	rule     rule
	passed   map[string]int // messages by subject
	withheld map[string]func()
}

func startWire(tb testing.TB, server string) *wire {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = listener.Close() })
	w := &wire{addr: listener.Addr().String(), server: server, passed: make(map[string]int)}
	w.withhold(nil)
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go w.connect(client)
		}
	}()
	return w
}

// withhold makes a rule the only one, and forgets what was withheld; nil lets
// everything pass.
func (w *wire) withhold(r rule) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rule, w.withheld = r, make(map[string]func())
}

// release lets pass what is withheld, and all that follows.
func (w *wire) release() {
	w.mu.Lock()
	withheld := w.withheld
	w.mu.Unlock()
	w.withhold(nil)
	for _, send := range withheld {
		send()
	}
}

// holds is of how many subjects messages are withheld.
func (w *wire) holds() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.withheld)
}

// passes notes a message on a subject, or keeps what would send it.
func (w *wire) passes(subject string, send func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rule != nil && w.rule(subject, w.passed[subject]) {
		w.withheld[subject] = send
		return false
	}
	w.passed[subject]++
	return true
}

// connect serves one client until either side has gone.
func (w *wire) connect(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", w.server)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	go func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	}()
	var writing sync.Mutex
	for r := bufio.NewReader(client); ; {
		part, subject, err := nextPart(r)
		if err != nil {
			return
		}
		send := func() {
			writing.Lock()
			defer writing.Unlock()
			_, _ = server.Write(part) // a server that has gone is noticed by the other direction
		}
		if subject == "" || w.passes(subject, send) {
			send()
		}
	}
}

// nextPart reads one line of the NATS protocol and, if it begins a message, the
// message, whose subject it returns.
func nextPart(r *bufio.Reader) (part []byte, subject string, err error) {
	part, err = r.ReadBytes('\n')
	if err != nil {
		return nil, "", err
	}
	words := strings.Fields(string(part))
	if len(words) < 3 || words[0] != "PUB" && words[0] != "HPUB" {
		return part, "", nil
	}
	size, err := strconv.Atoi(words[len(words)-1])
	if err != nil {
		return nil, "", err
	}
	begun := len(part)
	part = append(part, make([]byte, size+len("\r\n"))...)
	_, err = io.ReadFull(r, part[begun:])
	return part, words[1], err
}
