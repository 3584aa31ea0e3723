package broker_test

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"fanfare/pkg/broker"
	"fanfare/pkg/natsd/natstest"
)

// TestOnlyWhatCanBeComparedIsAConflict stores another message under the callback's
// message ID first.
func TestOnlyWhatCanBeComparedIsAConflict(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		source string
		remove bool
		want   broker.Published
	}{
		"from the same source": {source: "/callbacks/wav", want: broker.Conflict},
		"from another source":  {source: "/polls/wav", want: broker.Duplicate},
		"from nowhere":         {want: broker.Duplicate},
		"deleted meanwhile":    {source: "/callbacks/wav", remove: true, want: broker.Duplicate},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, js := provisioned(t)
			natstest.Erasable(t, js, "CALLBACKS")
			cb := wav("t")
			msg := nats.NewMsg("callbacks.wav.error")
			msg.Header["ce-id"] = []string{cb.MessageID()}
			msg.Header["ce-source"] = []string{row.source}
			msg.Data = []byte(`{"code":500,"msg":"another","data":{"task_id":"t"}}`)
			ack, err := js.PublishMsg(t.Context(), msg, jetstream.WithMsgID(cb.MessageID()))
			if err != nil {
				t.Fatal(err)
			}
			if row.remove {
				stream, err := js.Stream(t.Context(), "CALLBACKS")
				if err != nil {
					t.Fatal(err)
				}
				if err := stream.DeleteMsg(t.Context(), ack.Sequence); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := b.Publish(t.Context(), cb); err != nil || got != row.want {
				t.Errorf("came to %d, %v, want %d", got, err, row.want)
			}
		})
	}
}
