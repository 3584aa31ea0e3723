package broker_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/natsd/natstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	// patience is how long a test waits for what must come; it says nothing
	// about how fast it should.
	patience = 30 * time.Second
	// moment is how long a test waits for what must not come.
	moment = 200 * time.Millisecond
)

// provisioned starts a server of its own, with a broker and a raw connection.
func provisioned(tb testing.TB) (*broker.Broker, jetstream.JetStream) {
	tb.Helper()
	server := natstest.Start(tb, tb.TempDir(), "")
	return natstest.Provisioned(tb, server), natstest.JetStream(tb, server)
}

// fill publishes so many messages of a size. The server syncs each, so one does not wait for another.
func fill(tb testing.TB, js jetstream.JetStream, subject string, count, size int) {
	tb.Helper()
	const atOnce = 1000
	body := make([]byte, size)
	for i := range count {
		if _, err := js.PublishAsync(subject, body); err != nil {
			tb.Fatal(err)
		}
		if (i+1)%atOnce == 0 || i+1 == count {
			<-js.PublishAsyncComplete()
		}
	}
}

// wav is a callback of its own for each id.
func wav(id string) callback.Callback {
	return callback.Callback{
		Type:     "wav",
		TaskID:   callback.TaskID(id),
		Stage:    callback.Error,
		Code:     500,
		Received: time.Date(2026, 7, 1, 12, 30, 15, 123456789, time.UTC),
		Body:     fmt.Appendf(nil, `{"code":500,"msg":"","data":{"task_id":%q}}`, id),
	}
}

func publish(tb testing.TB, b *broker.Broker, cb callback.Callback) (duplicate bool) {
	tb.Helper()
	published, err := b.Publish(tb.Context(), cb)
	if err != nil {
		tb.Fatal(err)
	}
	return published == broker.Duplicate
}

// messages is how many messages a stream holds.
func messages(tb testing.TB, js jetstream.JetStream, stream string) uint64 {
	tb.Helper()
	s, err := js.Stream(tb.Context(), stream)
	if err != nil {
		tb.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

// message reads a message of a stream, without what the server adds on reading.
func message(tb testing.TB, js jetstream.JetStream, stream string, sequence uint64) *jetstream.RawStreamMsg {
	tb.Helper()
	s, err := js.Stream(tb.Context(), stream)
	if err != nil {
		tb.Fatal(err)
	}
	msg, err := s.GetMsg(tb.Context(), sequence)
	if err != nil {
		tb.Fatalf("message %d of %s: %v", sequence, stream, err)
	}
	for _, name := range []string{"Nats-Stream", "Nats-Subject", "Nats-Sequence", "Nats-Time-Stamp"} {
		msg.Header.Del(name)
	}
	return msg
}

// lossy is the way to a server on which answers can be lost.
type lossy struct {
	nats.InProcessConnProvider
	mu     sync.Mutex
	cut    []byte // the connection breaks instead of delivering what contains it; nil: nothing does
	cuts   int
	deaf   bool          // nothing is delivered any more
	muted  []byte        // what is written to this subject goes where nobody answers; nil: nothing does
	opened chan struct{} // closed when deaf ends
}

func newLossy(server nats.InProcessConnProvider) *lossy {
	return &lossy{InProcessConnProvider: server, opened: make(chan struct{})}
}

// InProcessConn implements [nats.InProcessConnProvider].
func (l *lossy) InProcessConn() (net.Conn, error) {
	conn, err := l.InProcessConnProvider.InProcessConn()
	return &lossyConn{Conn: conn, way: l}, err
}

// loseNext breaks the connection once, when an answer that contains text comes.
func (l *lossy) loseNext(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = []byte(text)
}

// lost is how many connections broke.
func (l *lossy) lost() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cuts
}

// hang keeps back whatever the server says until the test ends.
func (l *lossy) hang(tb testing.TB) {
	tb.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deaf = true
	tb.Cleanup(func() { close(l.opened) })
}

// mute keeps requests to one subject without an answer, until it is told of another.
func (l *lossy) mute(tb testing.TB, server *nats.Conn, subject string) {
	tb.Helper()
	if subject != "" { // without anybody listening the server would say so
		if _, err := server.SubscribeSync(string(unanswered(len(subject)))); err != nil {
			tb.Fatal(err)
		}
		if err := server.Flush(); err != nil {
			tb.Fatal(err)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.muted = []byte(subject)
}

// unanswered is a subject of that length.
func unanswered(length int) []byte { return bytes.Repeat([]byte("x"), length) }

type lossyConn struct {
	net.Conn
	way *lossy
}

func (c *lossyConn) Write(p []byte) (int, error) {
	c.way.mu.Lock()
	muted := c.way.muted
	c.way.mu.Unlock()
	if len(muted) > 0 {
		p = bytes.ReplaceAll(p, append(muted, ' '), append(unanswered(len(muted)), ' '))
	}
	return c.Conn.Write(p)
}

func (c *lossyConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.way.mu.Lock()
	broken := len(c.way.cut) > 0 && bytes.Contains(p[:n], c.way.cut)
	if broken {
		c.way.cut = nil
		c.way.cuts++
	}
	deaf := c.way.deaf
	c.way.mu.Unlock()
	if broken {
		_ = c.Close()
		return 0, net.ErrClosed
	}
	if deaf {
		<-c.way.opened
	}
	return n, err
}

// lines collects what a logger writes.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// logger logs to a collection.
func logger() (*slog.Logger, *lines) {
	var l lines
	return slog.New(slog.NewJSONHandler(&l, nil)), &l
}

// within is a context that ends by itself.
func within(tb testing.TB, d time.Duration) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), d)
	tb.Cleanup(cancel)
	return ctx
}
