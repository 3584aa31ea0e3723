package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"fanfare/pkg/callback"
)

// againPrefix is before the keys in the ledger's bucket under which it says that
// callbacks came again, which no type is.
const againPrefix = "_again."

// Again says that a callback came again after it was stored.
type Again struct {
	MessageID string    `json:"message_id"`
	Last      time.Time `json:"last"` // when it last did
}

// cameAgain notes that a callback came again, for those who want to know a task's story.
// It is of no use to anybody else, so that nobody waits until it is stored.
func (b *Broker) cameAgain(ctx context.Context, cb callback.Callback) {
	note, err := json.Marshal(Again{cb.MessageID(), cb.Received.UTC()})
	if err == nil {
		err = b.conn.Publish("$KV."+BucketTasksState+"."+againPrefix+cb.Key(".")+"."+string(cb.Stage), note)
	}
	if err != nil {
		b.logger.DebugContext(ctx, "duplicate not noted", "message_id", cb.MessageID(), "error", err)
	}
}

// CameAgain returns which callbacks of a task came again.
func (l *Ledger) CameAgain(ctx context.Context, t callback.Type, id callback.TaskID) (all []Again, err error) {
	watching, enough := context.WithCancel(ctx)
	defer enough()
	err = l.watch(watching, againPrefix+callback.Key(t, id, ".")+".*", func(key string, value []byte) error {
		var again Again
		if err := json.Unmarshal(value, &again); err != nil {
			return fmt.Errorf("broker: decode %s of bucket %s: %w", key, l.name, err)
		}
		all = append(all, again)
		return nil
	}, enough)
	return all, errors.Join(err, ctx.Err())
}
