package natstest_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/natsd/natstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func publish(tb testing.TB, b *broker.Broker) (duplicate bool) {
	tb.Helper()
	published, err := b.Publish(tb.Context(), callback.Callback{
		Type: "wav", TaskID: "t", Stage: callback.Error, Code: 500, Received: time.Now(), Body: []byte("{}"),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return published == broker.Duplicate
}

func TestBrokerIsProvisionedForEveryType(t *testing.T) {
	t.Parallel()
	contracts, err := callback.LoadContracts()
	if err != nil {
		t.Fatal(err)
	}
	b := natstest.Broker(t)
	if err := b.Check(t.Context()); err != nil {
		t.Errorf("not ready: %v", err)
	}
	for _, typ := range contracts.Types() {
		if _, created, err := b.OwnDurable(typ).Open(t.Context()); err != nil || created {
			t.Errorf("%s: created only now: %v, %v", typ, created, err)
		}
	}
}

func TestEachBrokerHasAServerOfItsOwn(t *testing.T) {
	t.Parallel()
	for range 2 {
		if publish(t, natstest.Broker(t)) {
			t.Error("two brokers share a stream")
		}
	}
}

func TestServerAndConnectionEndWithTheTest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var b *broker.Broker
	t.Run("inner", func(t *testing.T) {
		b = natstest.Provisioned(t, natstest.Start(t, dir, ""))
		publish(t, b)
	})
	if b.Connected() {
		t.Error("still connected")
	}
	if !publish(t, natstest.Provisioned(t, natstest.Start(t, dir, ""))) {
		t.Error("the next server in the directory has not what the one before stored")
	}
}

func TestServerListensWhereItIsTold(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "127.0.0.1:0")
	b, err := broker.Connect(broker.Options{Logger: natstest.Logger(t), URL: "nats://" + server.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
}
