package nats_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// way is how a client tries something.
type way string

const (
	store  way = "store"  // publish, and wait for the publish ack
	tell   way = "tell"   // publish, with no answer expected
	ask    way = "ask"    // ask JetStream, and wait for the answer
	listen way = "listen" // subscribe
)

// action is something that a client may try, and the roles that may do it.
type action struct {
	what    string
	way     way
	subject string
	body    string
	roles   string // separated by spaces; everybody else is forbidden to
}

func (a action) allows(role string) bool {
	for allowed := range strings.FieldsSeq(a.roles) {
		if allowed == role {
			return true
		}
	}
	return false
}

// renamed is the name under which accounts.conf holds a subject against permissions.
func renamed(subject string) string {
	for _, kind := range []string{"STREAM.", "CONSUMER.CREATE.", "CONSUMER.DURABLE.CREATE.", "CONSUMER.INFO.", "CONSUMER.DELETE."} {
		if rest, ok := strings.CutPrefix(subject, "$JS.API."+kind); ok {
			return "$JS.ACK.API." + kind + rest
		}
	}
	return subject
}

// errForbidden reports what the server called a permissions violation.
var errForbidden = errors.New("forbidden")

// try tries the action over a connection of the role's own. An [errForbidden] quotes the
// server.
func (s *secured) try(tb testing.TB, role string, a action) error {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 20*time.Second)
	defer cancel()
	ctx, forbid := context.WithCancelCause(ctx)
	defer forbid(nil)
	conn, err := s.connect(role, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if errors.Is(err, nats.ErrPermissionViolation) {
			forbid(fmt.Errorf("%w: %w", errForbidden, err))
		}
	}))
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	err = a.do(ctx, conn)
	if err == nil {
		err = conn.FlushWithContext(ctx) // the server says before its pong what it did not allow
	}
	if errors.Is(conn.LastError(), nats.ErrPermissionViolation) {
		<-ctx.Done() // the handler is about to hear of it, too
	}
	if cause := context.Cause(ctx); errors.Is(cause, errForbidden) {
		return cause
	}
	return err
}

func (a action) do(ctx context.Context, conn *nats.Conn) error {
	switch a.way {
	case store:
		js, err := jetstream.New(conn)
		if err != nil {
			return err
		}
		_, err = js.Publish(ctx, a.subject, []byte(a.body), jetstream.WithRetryAttempts(0))
		return err
	case tell:
		return conn.Publish(a.subject, []byte(a.body))
	case ask:
		_, err := question(ctx, conn, a.subject, a.body)
		return err
	case listen:
		_, err := conn.SubscribeSync(a.subject)
		return err
	default:
		return fmt.Errorf("no such way: %s", a.way)
	}
}

// question asks JetStream. That there is no such thing is an answer, too.
func question(ctx context.Context, conn *nats.Conn, subject, body string) ([]byte, error) {
	answer, err := conn.RequestWithContext(ctx, subject, []byte(body))
	if err != nil {
		return nil, err
	}
	if status := answer.Header.Get("Status"); status != "" {
		if status != "404" {
			return nil, fmt.Errorf("%s: status %s %s", subject, status, answer.Header.Get("Description"))
		}
		return nil, nil
	}
	if answer.Header.Get("Nats-Sequence") != "" || !strings.HasPrefix(subject, "$JS.API.") || strings.Contains(subject, ".MSG.NEXT.") {
		return answer.Data, nil
	}
	var said struct {
		Error *struct {
			Code        int    `json:"code"`
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(answer.Data, &said); err != nil {
		return nil, fmt.Errorf("%s: %s: %w", subject, answer.Data, err)
	}
	if said.Error != nil && said.Error.Code != 404 {
		return nil, fmt.Errorf("%s: %s", subject, said.Error.Description)
	}
	return answer.Data, nil
}

// config asks, as the provisioner, for what the server says of a stream or a durable.
func (s *secured) config(tb testing.TB, subject string) string {
	tb.Helper()
	conn, err := s.connect("provisioner")
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	answer, err := question(tb.Context(), conn, subject, "")
	if err != nil {
		tb.Fatal(err)
	}
	var info struct {
		Config map[string]any `json:"config"`
	}
	if err := json.Unmarshal(answer, &info); err != nil || info.Config == nil {
		tb.Fatalf("%s: %v", answer, err)
	}
	config, err := json.Marshal(info.Config, json.Deterministic(true))
	if err != nil {
		tb.Fatal(err)
	}
	return string(config)
}
