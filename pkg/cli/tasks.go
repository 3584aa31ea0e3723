package cli

import (
	"context"
	"fmt"
	"time"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/ledger"
)

// Expect is the command expect.
type Expect struct {
	Type        string `arg:"" help:"Callback type, such as music."`
	TaskID      string `arg:"" help:"Task ID, as the answer to the submission states it."`
	SubmittedAt string `placeholder:"TIME" help:"When the task was submitted, such as 2026-07-01T12:30:00Z or, for an age, 10m (default: now)."`
	Provider    string `placeholder:"HOST" help:"Host that it was submitted to, such as api.kie.ai (default: whichever is polled)."`
	Deadline    string `placeholder:"DURATION" help:"How long after its submission an answer is of no use any more, such as 1h (default: as the reconciler gives up)."`
	NATS
}

// Run announces the task.
func (c *Expect) Run(ctx context.Context, env Env) error {
	spec, err := specOf(c.Type)
	if err != nil {
		return err
	}
	announcement, err := c.announcement(time.Now())
	if err != nil {
		return err
	}
	b, err := c.connect(env.newToolLogger("expect"), "expect")
	if err != nil {
		return err
	}
	defer b.Close()
	known, err := b.Announce(ctx, spec.Type, announcement)
	if err != nil {
		return err
	}
	if known {
		return write(env.Out, fmt.Sprintf("%s/%s was announced before", spec.Type, announcement.TaskID))
	}
	return write(env.Out, fmt.Sprintf("%s/%s is expected to call back", spec.Type, announcement.TaskID))
}

func (c *Expect) announcement(now time.Time) (ledger.Announcement, error) {
	id, err := callback.ParseTaskID(c.TaskID)
	if err != nil {
		return ledger.Announcement{}, err
	}
	a := ledger.Announcement{TaskID: id, Provider: c.Provider}
	if a.SubmittedAt, err = instant("--submitted-at", c.SubmittedAt, now, now); err != nil {
		return a, err
	}
	if c.Deadline != "" {
		after, err := time.ParseDuration(c.Deadline)
		if err != nil || after <= 0 {
			return a, fmt.Errorf("--deadline %q: want a duration such as 1h", c.Deadline)
		}
		a.Deadline = a.SubmittedAt.Add(after)
	}
	return a, a.Validate(now)
}

// Tasks holds the commands on the ledger of tasks.
type Tasks struct {
	List TasksList `cmd:"" help:"List the tasks that are expected to call back, or were."`
	Show TasksShow `cmd:"" help:"Print what the ledger knows of a task."`
}

// TasksList is the command tasks list.
type TasksList struct {
	Type  string `placeholder:"TYPE" help:"Only this callback type (default: all)."`
	State string `placeholder:"STATE" enum:",expected,answered,overdue,resolved,given_up" default:"" help:"Only this state: expected, answered, overdue, resolved or given_up (default: all)."`
	Listing
	NATS
}

// Run lists.
func (c *TasksList) Run(ctx context.Context, env Env) error {
	if c.Type != "" {
		if _, err := specOf(c.Type); err != nil {
			return err
		}
	}
	b, err := c.connect(env.newToolLogger("tasks"), "tasks")
	if err != nil {
		return err
	}
	defer b.Close()
	return c.list(env.Out, "TYPE\tTASK ID\tSTATE\tSUBMITTED\tPOLLS\tNEXT POLL", func(show func(entry) error) error {
		return entries(ctx, b, func(e ledger.Entry) error {
			if c.Type != "" && string(e.Type) != c.Type || c.State != "" && string(e.State) != c.State {
				return nil
			}
			next := "-"
			if !e.NextPoll.IsZero() {
				next = e.NextPoll.Local().Format(time.DateTime)
			}
			return show(entry{fmt.Sprintf("%s\t%s\t%s\t%s\t%d\t%s", e.Type, e.TaskID, e.State,
				e.SubmittedAt.Local().Format(time.DateTime), e.Polls, next), e})
		})
	})
}

// entries calls show for each entry that there is now.
func entries(ctx context.Context, b *broker.Broker, show func(ledger.Entry) error) error {
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	return b.Ledger().Watch(ctx, show, enough)
}

// TasksShow is the command tasks show.
type TasksShow struct {
	Type   string `arg:"" help:"Callback type, such as music."`
	TaskID string `arg:"" help:"Task ID."`
	NATS
}

// Run prints.
func (c *TasksShow) Run(ctx context.Context, env Env) error {
	spec, err := specOf(c.Type)
	if err != nil {
		return err
	}
	id, err := callback.ParseTaskID(c.TaskID)
	if err != nil {
		return err
	}
	b, err := c.connect(env.newToolLogger("tasks"), "tasks")
	if err != nil {
		return err
	}
	defer b.Close()
	e, found, err := b.Ledger().Get(ctx, spec.Type, id)
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("the ledger knows no task %s/%s: it holds, for 30 days, what the reconciler has entered: tasks that were announced, or sent a first callback", spec.Type, id)
	}
	return writeJSON(env.Out, e)
}
