package cli_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/eventually"
	"fanfare/pkg/natsd/natstest"
)

// workers is how many deliveries a consumer has in hand at most, by default.
const workers = 8

// rig is a consumer of one type among all that it talks to, each in the test's
// hand: a NATS server and the wire to it, a media host and an archive.
type rig struct {
	typ      callback.Type
	server   *natsServer
	wire     *wire
	host     *mediaHost
	archive  string
	broker   *broker.Broker
	js       jetstream.JetStream
	contract *callback.Contract
	consumer *process // the last that was started
	called   []callback.TaskID
}

func newRig(tb testing.TB, typ callback.Type) *rig {
	tb.Helper()
	r := &rig{typ: typ, server: newNATSServer(tb, freeAddr(tb), tb.TempDir(), nil), host: startMediaHost(tb), archive: tb.TempDir()}
	r.server.start(tb)
	if p := fanfare(tb, "provision", "--nats-url", r.server.url()); p.wait() != 0 {
		tb.Fatalf("provision: %s", p.err.String())
	}
	r.wire = startWire(tb, r.server.addr)
	contracts, err := callback.LoadContracts()
	if err != nil {
		tb.Fatal(err)
	}
	r.contract = contracts[typ]
	r.connect(tb, r.server.url())
	return r
}

// connect connects the test itself to the servers.
func (r *rig) connect(tb testing.TB, urls string) {
	tb.Helper()
	var err error
	if r.broker, err = broker.Connect(broker.Options{Logger: natstest.Logger(tb), Name: tb.Name(), URL: urls}); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(r.broker.Close)
	conn, err := nats.Connect(urls, nats.MaxReconnects(-1))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(conn.Close)
	if r.js, err = jetstream.New(conn); err != nil {
		tb.Fatal(err)
	}
}

// start starts a consumer. More than one can run.
func (r *rig) start(tb testing.TB, more ...string) *process {
	tb.Helper()
	r.consumer = fanfare(tb, append([]string{
		"consumer", string(r.typ), "--nats-url", "nats://" + r.wire.addr, "--archive-url", "file://" + r.archive, "--egress-allow", r.host.addr,
	}, more...)...)
	return r.consumer
}

// files are the names of a task's media, in the order in which they are archived.
func (r *rig) files() []string {
	if r.typ == "music" {
		return []string{"one.mp3", "one.jpeg", "two.mp3", "two.jpeg"}
	}
	return []string{"audio.wav"}
}

// body is a task's final callback.
func (r *rig) body(id callback.TaskID) string {
	at := "http://" + r.host.addr + mediaPath(id, "")
	if r.typ == "music" {
		return fmt.Sprintf(`{"code":200,"msg":"","data":{"task_id":%q,"callbackType":"complete","data":[`+
			`{"id":"one","audio_url":"%[2]sone.mp3","image_url":"%[2]sone.jpeg"},{"id":"two","audio_url":"%[2]stwo.mp3","image_url":"%[2]stwo.jpeg"}]}}`, id, at)
	}
	return fmt.Sprintf(`{"code":200,"msg":"","data":{"task_id":%q,"audioWavUrl":"%saudio.wav"}}`, id, at)
}

func mediaPath(id callback.TaskID, name string) string { return "/" + string(id) + "/" + name }

// call publishes the final callbacks of n new tasks, as the gateway does.
func (r *rig) call(tb testing.TB, n int) []callback.TaskID {
	tb.Helper()
	begun := len(r.called)
	for range n {
		id := callback.TaskID(fmt.Sprintf("t%03d", len(r.called)+1))
		cb, err := r.contract.Decode([]byte(r.body(id)))
		if err != nil {
			tb.Fatal(err)
		}
		cb.Received = time.Now()
		if _, err := r.broker.Publish(tb.Context(), cb); err != nil {
			tb.Fatal(err)
		}
		r.called = append(r.called, id)
	}
	return r.called[begun:]
}

// redeliverAfter changes the durable's ack wait, so that a test need not wait for
// a minute until the server misses a dead process's ack.
func (r *rig) redeliverAfter(tb testing.TB, wait time.Duration) {
	tb.Helper()
	eventually.Await(tb, "another ack wait", func() bool { // a server that was just started may not answer yet
		durable, err := r.js.Consumer(tb.Context(), "CALLBACKS", string(r.typ))
		if err != nil {
			return false
		}
		config := durable.CachedInfo().Config
		config.AckWait = wait
		_, err = r.js.UpdateConsumer(tb.Context(), "CALLBACKS", config)
		return err == nil
	})
}

// awaitSettled waits until the durable has nothing left to do.
func (r *rig) awaitSettled(tb testing.TB) {
	tb.Helper()
	eventually.Await(tb, "every message settled", func() bool {
		backlog, err := r.broker.Backlog(tb.Context(), r.typ)
		return err == nil && backlog.Unsettled() == 0
	})
}
