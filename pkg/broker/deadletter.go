package broker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"fanfare/pkg/callback"
)

// maxErrorBytes bounds an error's text in a dead letter's headers.
const maxErrorBytes = 512

// Death is why and when a consumer gave a message up. First and FirstAt are zero
// if it does not know of an earlier failure.
type Death struct {
	Reason  string // one word
	First   error  // the first failure
	FirstAt time.Time
	Last    error // the last one, of which the message died
}

// DeadLetter copies the message to DEAD_LETTERS, waits for the publish ack, and
// only then ends its deliveries. An [ErrUnavailable] says that the copy is not
// stored. A message whose deliveries could not be ended comes again, and finds
// its copy there.
func (d *Delivery) DeadLetter(ctx context.Context, t callback.Type, death Death) error {
	id := fmt.Sprintf("%s/%s/%d", d.meta.Stream, d.meta.Consumer, d.meta.Sequence.Stream)
	letter := d.letter(t, death)
	ack, _, err := d.broker.publish(ctx, letter, id, StreamDeadLetters)
	if err != nil {
		return err
	}
	if ack.Duplicate {
		err := d.broker.isCopy(ctx, StreamDeadLetters, ack.Sequence, letter)
		if err != nil && !errors.Is(err, ErrNotKept) { // an operator may have replayed or deleted it by now
			return err
		}
	}
	if err := d.msg.TermWithReason(death.Reason); err != nil {
		return fmt.Errorf("broker: term %s: %w", d.MessageID, err)
	}
	return nil
}

// letter is the message with what there is to say of its death.
func (d *Delivery) letter(t callback.Type, death Death) *nats.Msg {
	letter := nats.NewMsg(deadLetterOf(t))
	letter.Data = d.Body
	letter.Header = ownHeader(d.msg.Headers())
	say := func(name, value string) { letter.Header[name] = []string{headerText(value)} }

	first, rest, _ := strings.Cut(d.msg.Subject(), ".")
	say(headerOrigin, tokenCallbacks+"."+rest)
	if of, ok := strings.CutPrefix(d.msg.Headers().Get(nats.MsgIdHdr), redeliveryID); ok && first == tokenRedeliver {
		say(headerRedeliveryOf, of)
	}
	say(headerVersion, strconv.Itoa(keptVersion))
	say(headerReason, death.Reason)
	say(headerDeliveries, strconv.FormatUint(d.Number, 10))
	say(headerReceived, timestamp(d.Received))
	if death.First != nil {
		say(headerFirstError, death.First.Error())
		say(headerFirstFailed, timestamp(death.FirstAt))
	}
	say(headerLastError, death.Last.Error())
	say(headerDied, timestamp(time.Now()))
	return letter
}

// ownHeader is a message's header without what JetStream and fanfare say of it:
// what they said of one message is not true of its copy.
func ownHeader(h nats.Header) nats.Header {
	own := make(nats.Header, len(h))
	for name, values := range h {
		if !strings.HasPrefix(name, "Nats-") && !strings.HasPrefix(name, "Fanfare-") {
			own[name] = values
		}
	}
	return own
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
