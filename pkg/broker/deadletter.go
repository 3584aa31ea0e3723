package broker

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"fanfare/pkg/callback"
)

// maxErrorBytes bounds an error's text in a dead letter's headers.
const maxErrorBytes = 512

// DeadLetter copies the message to DEAD_LETTERS, waits for the publish ack, and
// only then ends its deliveries. reason is one word; cause is the last error.
func (d *Delivery) DeadLetter(ctx context.Context, t callback.Type, reason string, cause error) error {
	letter := nats.NewMsg(deadLetterOf(t))
	letter.Data = d.Body
	maps.Copy(letter.Header, d.msg.Headers())
	letter.Header.Del(nats.MsgIdHdr)
	letter.Header[headerOrigin] = []string{d.msg.Subject()}
	letter.Header[headerReason] = []string{reason}
	letter.Header[headerDeliveries] = []string{strconv.FormatUint(d.Number, 10)}
	letter.Header[headerLastError] = []string{headerText(cause.Error())}

	id := fmt.Sprintf("%s/%s/%d", d.meta.Stream, d.meta.Consumer, d.meta.Sequence.Stream)
	if _, _, err := d.broker.publish(ctx, letter, id, StreamDeadLetters); err != nil {
		return err
	}
	if err := d.msg.TermWithReason(reason); err != nil {
		return fmt.Errorf("broker: term %s: %w", d.MessageID, err)
	}
	return nil
}

// headerText makes s fit for a header: one line of printable ASCII, cut to
// maxErrorBytes.
func headerText(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	return s[:min(len(s), maxErrorBytes)]
}
