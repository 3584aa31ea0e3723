package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"fanfare/pkg/broker"
	"fanfare/pkg/format"
)

// Several are the arguments and flags that say which dead letters to act on. None
// is meant by accident: not to choose is an error.
type Several struct {
	Numbers []uint64 `arg:"" optional:"" name:"number" help:"As listed; instead of them, flags may choose."`
	Letters
	All bool `help:"All there are (default: only those that numbers or flags choose)."`
}

func (s Several) validate() error {
	ways := 0
	for _, given := range []bool{len(s.Numbers) > 0, s.Letters != Letters{}, s.All} {
		if given {
			ways++
		}
	}
	switch ways {
	case 1:
		return nil
	case 0:
		return errors.New("which dead letters? give numbers, as dead-letter list shows them, or flags such as --type, or --all")
	default:
		return errors.New("numbers, flags that choose, and --all exclude one another: give one kind")
	}
}

// numbers returns the numbers of the dead letters that are meant, oldest first. It
// is what a run works on: what dies meanwhile is for the next. An error that wraps
// [format.ErrNewer] says that some were passed over.
func (s Several) numbers(ctx context.Context, b *broker.Broker) ([]uint64, error) {
	if len(s.Numbers) > 0 {
		return slices.Compact(slices.Sorted(slices.Values(s.Numbers))), nil
	}
	chosen, err := s.choose(time.Now())
	if err != nil {
		return nil, err
	}
	var numbers []uint64
	err = chosen.each(ctx, b, func(l broker.DeadLetter) error {
		numbers = append(numbers, l.Sequence)
		return nil
	})
	return numbers, err
}

// action is what to do with dead letters, one at a time.
type action struct {
	done string // what it is when it is done, as in "redelivered"
	rate rate.Limit
	do   func(ctx context.Context, number uint64) (broker.DeadLetter, error)
}

// each acts on each dead letter and says so. It goes on when one cannot be acted
// on, and ends between two of them: when ctx does, or when the broker does not
// answer.
func (s Several) each(ctx context.Context, env Env, b *broker.Broker, a action) error {
	numbers, newer := s.numbers(ctx, b)
	if newer != nil && !errors.Is(newer, format.ErrNewer) {
		return newer
	}
	if len(numbers) == 0 {
		return errors.Join(newer, write(env.Out, "there is no such dead letter"))
	}
	show := newProgress(env, a.done, len(numbers))
	defer show.end()
	limiter := rate.NewLimiter(a.rate, 1)
	failed := 0
	for i, number := range numbers {
		if err := limiter.Wait(ctx); err != nil {
			return fmt.Errorf("interrupted: %d of %d dead letters are left: run it again to go on", len(numbers)-i, len(numbers))
		}
		answered, letter, err := a.one(ctx, number)
		if err != nil {
			failed++
		}
		if err := show.one(a.line(number, letter, err), err != nil); err != nil {
			return err
		}
		if !answered {
			return fmt.Errorf("the broker does not answer: %d of %d dead letters are left: run it again to go on", len(numbers)-i, len(numbers))
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d dead letters could not be %s: the lines above say why", failed, len(numbers), a.done)
	}
	return newer
}

// one acts on one dead letter, to its end even when ctx has ended. answered tells
// whether the time that it has was enough.
func (a action) one(ctx context.Context, number uint64) (answered bool, letter broker.DeadLetter, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commandWait)
	defer cancel()
	letter, err = a.do(ctx, number)
	return err == nil || ctx.Err() == nil, letter, err
}

// line says what became of one dead letter.
func (a action) line(number uint64, letter broker.DeadLetter, err error) string {
	what := a.done
	switch {
	case errors.Is(err, broker.ErrNotKept):
		what = "is not there: dead-letter list shows which there are"
	case err != nil:
		what = "stays: " + err.Error()
	}
	words := []string{strconv.FormatUint(number, 10), string(letter.Type), string(letter.TaskID), string(letter.Stage), what}
	return strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), "  ")
}
