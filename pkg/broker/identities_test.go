package broker_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"fanfare/pkg/broker"
)

func identities(tb testing.TB, b *broker.Broker, since time.Time) (ids []string) {
	tb.Helper()
	if err := b.Identities(tb.Context(), since, func(i broker.Identity) {
		ids = append(ids, string(i.Type)+" "+string(i.TaskID)+" "+i.MessageID)
	}); err != nil {
		tb.Fatal(err)
	}
	return ids
}

func TestIdentitiesOfStoredCallbacks(t *testing.T) {
	t.Parallel()
	b, js := provisioned(t)
	begun := time.Now().Add(-time.Second)
	if ids := identities(t, b, begun); ids != nil {
		t.Errorf("of an empty stream: %q", ids)
	}
	publish(t, b, wav("one"))
	publish(t, b, wav("one"))
	publish(t, b, wav("two"))
	twin := message(t, js, broker.StreamCallbacks, 2)
	twin.Header.Del(nats.MsgIdHdr) // or the server would know it
	if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: twin.Subject, Header: twin.Header, Data: twin.Data}); err != nil {
		t.Fatal(err)
	}
	want := []string{"wav one wav/one/error/500", "wav two wav/two/error/500", "wav two wav/two/error/500"}
	if ids := identities(t, b, begun); !slices.Equal(ids, want) {
		t.Errorf("%q, want %q", ids, want)
	}
	if ids := identities(t, b, time.Now().Add(time.Hour)); ids != nil {
		t.Errorf("of the future: %q", ids)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Identities(ctx, begun, func(broker.Identity) {}); err == nil {
		t.Error("no error although it was cut short")
	}
}
