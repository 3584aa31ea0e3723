// Package ledger holds what is known of a task that was submitted: that its final
// callback is expected, and whether it came, was found by polling, or was given up.
//
// Entries are pure values. They only move forward: expected becomes answered, or
// overdue and then resolved or given up; a callback that comes after all resolves
// what was given up.
package ledger

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"fanfare/pkg/callback"
	"fanfare/pkg/format"
)

// Version is that of the formats of announcements and of entries. A member less, or
// one that means something else, makes another; of an announcement, also one more.
const Version = 1

// Bounds of an announcement.
const (
	maxAnnouncementBytes = 4 << 10
	maxProviderBytes     = 253                 // of a host name
	maxAhead             = 5 * time.Minute     // how far in the future a submission may lie: clocks differ
	maxBehind            = 30 * 24 * time.Hour // how long announcements are kept
)

// Announcement says that a task was submitted; its published form is
// schemas/task.json.
type Announcement struct {
	Version     int             `json:"version,omitzero"` // of this format; 0: the first
	TaskID      callback.TaskID `json:"task_id"`
	SubmittedAt time.Time       `json:"submitted_at"`
	Provider    string          `json:"provider,omitempty"` // host it was submitted to, such as api.kie.ai; "": whichever is polled
	Deadline    time.Time       `json:"deadline,omitzero"`  // when an answer is of no use any more; zero: as the reconciler gives up
}

// ParseAnnouncement reads one strictly. now is when it was stored. The error wraps
// [format.ErrNewer] for one that a newer fanfare can read.
func ParseAnnouncement(body []byte, now time.Time) (Announcement, error) {
	if len(body) > maxAnnouncementBytes {
		return Announcement{}, fmt.Errorf("ledger: announcement of %d bytes: want at most %d", len(body), maxAnnouncementBytes)
	}
	var a Announcement
	err := format.ReadStrict(body, Version, &a, &a.Version)
	if errors.Is(err, format.ErrNewer) {
		return Announcement{}, fmt.Errorf("ledger: announcement: %w", err)
	}
	if err != nil {
		return Announcement{}, fmt.Errorf("ledger: announcement is not as schemas/task.json says: %w", err)
	}
	return a, a.Validate(now)
}

// Validate reports what is wrong with the announcement.
func (a Announcement) Validate(now time.Time) error {
	if _, err := callback.ParseTaskID(string(a.TaskID)); err != nil {
		return fmt.Errorf("ledger: announcement: %w", err)
	}
	switch {
	case a.SubmittedAt.IsZero():
		return errors.New("ledger: announcement: submitted_at is missing")
	case a.SubmittedAt.After(now.Add(maxAhead)):
		return errors.New("ledger: announcement: submitted_at lies in the future")
	case a.SubmittedAt.Before(now.Add(-maxBehind)):
		return errors.New("ledger: announcement: submitted_at lies more than 30 days back")
	case !a.Deadline.IsZero() && !a.Deadline.After(a.SubmittedAt):
		return errors.New("ledger: announcement: deadline is not after submitted_at")
	case len(a.Provider) > maxProviderBytes || strings.ContainsAny(a.Provider, " /\\@?#\t\r\n"):
		return errors.New("ledger: announcement: provider is no host name, such as api.kie.ai")
	}
	return nil
}

// Encode returns the announcement as it is published.
func (a Announcement) Encode() ([]byte, error) {
	a.Version = Version
	a.SubmittedAt = a.SubmittedAt.UTC()
	if !a.Deadline.IsZero() {
		a.Deadline = a.Deadline.UTC()
	}
	body, err := json.Marshal(a, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("ledger: encode announcement of %s: %w", a.TaskID, err)
	}
	return body, nil
}

// State is where a task stands in the ledger.
type State string

// The states.
const (
	Expected State = "expected" // its final callback may still come by itself
	Answered State = "answered" // its final callback came by itself
	Overdue  State = "overdue"  // its final callback did not come in time: the provider is polled
	Resolved State = "resolved" // it was overdue, and its final callback was found by polling or came late
	GivenUp  State = "given_up" // nothing was found in time
)

// States returns every state in the order of a task's life.
func States() []State { return []State{Expected, Answered, Overdue, Resolved, GivenUp} }

// Open reports whether the task still waits for its final callback.
func (s State) Open() bool { return s == Expected || s == Overdue }

// maxEvents bounds how many events an entry keeps: the first, and the latest.
const maxEvents = 32

// Event is something that happened to the entry.
type Event struct {
	At   time.Time `json:"at"`
	What string    `json:"what"` // a state, or the outcome of a poll
}

// Entry is what the ledger knows of one task; its published form is
// schemas/task-state.json.
type Entry struct {
	Version     int             `json:"version"` // of this format
	Type        callback.Type   `json:"type"`
	TaskID      callback.TaskID `json:"task_id"`
	State       State           `json:"state"`
	Was         State           `json:"was,omitempty"` // the state before this one
	SubmittedAt time.Time       `json:"submitted_at"`
	Provider    string          `json:"provider,omitempty"`
	Deadline    time.Time       `json:"deadline"`           // when it is given up
	NextPoll    time.Time       `json:"next_poll,omitzero"` // not before; while it is open
	Turn        time.Time       `json:"turn,omitzero"`      // which was taken for the next poll; zero: none was
	Polls       int             `json:"polls"`
	Failures    int             `json:"failures"` // polls in a row to which the provider gave no usable answer
	Events      []Event         `json:"events"`   // oldest first
}

// New enters an announced task. It is polled after wait, and given up at its
// deadline, or giveUp after its submission.
func New(t callback.Type, a Announcement, now time.Time, wait, giveUp time.Duration) Entry {
	e := Entry{
		Version:     Version,
		Type:        t,
		TaskID:      a.TaskID,
		State:       Expected,
		SubmittedAt: a.SubmittedAt.UTC(),
		Provider:    a.Provider,
		Deadline:    a.Deadline.UTC(),
		NextPoll:    a.SubmittedAt.UTC().Add(wait),
	}
	if a.Deadline.IsZero() {
		e.Deadline = e.SubmittedAt.Add(giveUp)
	}
	if e.NextPoll.After(e.Deadline) {
		e.NextPoll = e.Deadline
	}
	return e.with(now, string(Expected))
}

// Answer says that the final callback is stored and was not found by polling.
func (e Entry) Answer(now time.Time) (Entry, bool) {
	switch e.State {
	case Expected:
		return e.move(Answered, now), true
	case Overdue, GivenUp:
		return e.move(Resolved, now), true
	default:
		return e, false
	}
}

// Resolve says that polling found the final callback.
func (e Entry) Resolve(now time.Time) (Entry, bool) {
	if e.State == Answered || e.State == Resolved {
		return e, false
	}
	return e.move(Resolved, now), true
}

// GiveUp says that nothing was found in time.
func (e Entry) GiveUp(now time.Time) (Entry, bool) {
	if !e.State.Open() {
		return e, false
	}
	return e.move(GivenUp, now), true
}

// Polled says what came of a poll, whether the provider gave a usable answer, and
// how long to wait before the next one.
func (e Entry) Polled(now time.Time, outcome string, usable bool, wait time.Duration) (Entry, bool) {
	if !e.State.Open() {
		return e, false
	}
	if e.State == Expected {
		e = e.move(Overdue, now)
	}
	e.Polls++
	e.Turn = time.Time{}
	e.Failures++
	if usable {
		e.Failures = 0
	}
	e.NextPoll = now.UTC().Add(wait)
	return e.with(now, "poll: "+outcome), true
}

// Queue says that the next poll has taken its turn among those of other tasks.
func (e Entry) Queue(turn time.Time) (Entry, bool) {
	if !e.State.Open() {
		return e, false
	}
	e.Turn, e.NextPoll = turn.UTC(), turn.UTC()
	return e, true
}

func (e Entry) move(to State, now time.Time) Entry {
	e.Was, e.State = e.State, to
	if !to.Open() {
		e.NextPoll, e.Turn = time.Time{}, time.Time{}
	}
	return e.with(now, string(to))
}

func (e Entry) with(now time.Time, what string) Entry {
	e.Events = append(slices.Clone(e.Events), Event{now.UTC(), what})
	if surplus := len(e.Events) - maxEvents; surplus > 0 {
		e.Events = slices.Delete(e.Events, 1, 1+surplus)
	}
	return e
}

// Encode returns the entry as it is stored.
func (e Entry) Encode() ([]byte, error) {
	encoded, err := json.Marshal(e, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("ledger: encode entry of %s/%s: %w", e.Type, e.TaskID, err)
	}
	return encoded, nil
}

// Decode reads an entry that [Entry.Encode] wrote; one without a version has the
// first. The error wraps [format.ErrNewer] for one that only a newer fanfare can read.
func Decode(value []byte) (Entry, error) { return decode(value, format.Read) }

// DecodeAll is Decode for an entry that is to be written again: it also refuses one of
// which something would be lost.
func DecodeAll(value []byte) (Entry, error) { return decode(value, format.ReadAll) }

func decode(value []byte, read func([]byte, int, any, *int) error) (e Entry, err error) {
	if err := read(value, Version, &e, &e.Version); err != nil {
		return Entry{}, fmt.Errorf("ledger: decode entry: %w", err)
	}
	e.Version = Version
	return e, nil
}
