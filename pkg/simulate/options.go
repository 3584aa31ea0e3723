package simulate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"fanfare/pkg/callback"
)

// How long a run waits for results while nothing moves. Where callbacks do not come,
// much of that is how pollers are: silent for two minutes after a submission, and for
// up to three when questions fail twice in a row.
const (
	settleCalled = 3 * time.Minute
	settleMissed = 5 * time.Minute
	maxSettle    = time.Hour
)

// Options configures a Simulator. Logger and Results are required; the zero
// value of every other field selects the default written beside it.
type Options struct {
	Logger  *slog.Logger
	Results Results

	Target  string                     // http://127.0.0.1:8080: whom to call back
	Path    func(callback.Type) string // "/callbacks/" and the type: where on the target
	HMACKey []byte                     // none: callbacks are not signed

	MediaListen string // 127.0.0.1:8089: where media are served
	MediaURL    string // http:// and the address listened on: how the receiver reaches them

	Tasks     int           // 100
	Rate      float64       // 20: tasks begun per second
	Seed      uint64        // drawn at random: what the plan is drawn from; the report names it
	Speed     float64       // 20: how many times faster than the provider's its pauses pass; its timeouts stay
	Settle    time.Duration // 3m, or 5m if callbacks or polls are to fail; at most 1h: how long nothing may move before results are judged as they are
	Hostility Hostility     // every hostility
	Missed    Missed        // every callback comes

	Announce func(context.Context, Submission) error                // nothing is announced: announces a task to who looks after those that do not call back
	Stored   func(context.Context, time.Time, func(Identity)) error // nobody looks: shows each callback that was stored since then

	Progress io.Writer // nothing is shown: where to show a progress bar; log lines if it is no terminal
}

// withDefaults returns the options with every default in its place, or an error
// that names the field that is missing or wrong.
func (o Options) withDefaults() (Options, error) {
	o.Target = strings.TrimRight(defaultTo(o.Target, "http://127.0.0.1:8080"), "/")
	o.MediaListen = defaultTo(o.MediaListen, "127.0.0.1:8089")
	o.MediaURL = strings.TrimRight(o.MediaURL, "/")
	o.Tasks = defaultTo(o.Tasks, 100)
	o.Rate = defaultTo(o.Rate, 20)
	o.Speed = defaultTo(o.Speed, 20)
	o.Missed.PollBudget = defaultTo(o.Missed.PollBudget, 10)
	if o.Settle == 0 {
		o.Settle = settleCalled
		if o.asked() {
			o.Settle = settleMissed
		}
	}
	if o.Seed == 0 {
		o.Seed = rand.Uint64() //nolint:gosec // a plan must differ from run to run, no more
	}
	if o.Path == nil {
		o.Path = func(t callback.Type) string { return "/callbacks/" + string(t) }
	}
	return o, o.validate()
}

// asked reports whether polls are part of the play.
func (o Options) asked() bool {
	return !o.Missed.calls() || o.Missed.PollErrors > 0 || o.Announce != nil
}

func (o Options) validate() error {
	switch {
	case o.Logger == nil:
		return errors.New("simulate: Logger is missing")
	case o.Results == nil:
		return errors.New("simulate: Results is missing")
	case o.Tasks < 0:
		return fmt.Errorf("simulate: Tasks is %d", o.Tasks)
	case !positive(o.Rate):
		return fmt.Errorf("simulate: Rate is %v", o.Rate)
	case !positive(o.Speed):
		return fmt.Errorf("simulate: Speed is %v", o.Speed)
	case o.Settle < 0 || o.Settle > maxSettle:
		return fmt.Errorf("simulate: Settle is %v, want at most %v", o.Settle, maxSettle)
	case !isBase(o.Target):
		return errors.New("simulate: Target is not an http or https URL with a host and no query")
	case o.MediaURL != "" && !isBase(o.MediaURL):
		return errors.New("simulate: MediaURL is not an http or https URL with a host and no query")
	case !o.Missed.calls() && o.Announce == nil:
		return errors.New("simulate: Announce is missing: nobody would ask for the callbacks that do not come")
	}
	if err := o.Missed.validate(); err != nil {
		return err
	}
	return o.Hostility.validate()
}

func (h Hostility) validate() error {
	for _, name := range h.NoMediaFaults {
		if !slices.ContainsFunc(MediaFaults(), func(f MediaFault) bool { return f.Name == name }) {
			return fmt.Errorf("simulate: NoMediaFaults names %q, which is none", name)
		}
	}
	return nil
}

// mediaBase returns what media URLs begin with, once it is known where the
// media are served.
func (o Options) mediaBase(listening net.Addr) (string, error) {
	if o.MediaURL != "" {
		return o.MediaURL, nil
	}
	if tcp, ok := listening.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return "", fmt.Errorf("simulate: MediaURL is missing: %s is no address to be reached at", listening)
	}
	return "http://" + listening.String(), nil
}

func defaultTo[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

func positive(f float64) bool {
	return f > 0 && !math.IsInf(f, 1)
}

// isBase reports whether paths can be appended to s.
func isBase(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") &&
		u.Hostname() != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
}
