package simulate

import (
	"context"
	"time"

	"fanfare/pkg/callback"
)

// Submission is a task that was submitted to the simulated provider, as the service
// that did so would announce it.
type Submission struct {
	Type     callback.Type
	TaskID   callback.TaskID
	At       time.Time
	Provider string // host, with its port, at which its details are served
}

const (
	announceWait  = 10 * time.Second // for one announcement to be stored
	announcePause = time.Second      // before the same is announced again
)

// announce announces a task until it is stored, or ctx ends, as a service must that
// relies on it. That the first callback may be faster is part of the play.
func (s *Simulator) announce(ctx context.Context, t task) {
	if s.tellTask == nil || t.unannounced {
		return
	}
	submission := Submission{Type: t.flavour.typ, TaskID: t.id, At: time.Now(), Provider: s.host}
	for failed := false; ; failed = true {
		err := s.tellOnce(ctx, submission)
		if err == nil {
			s.announced.Add(1)
			return
		}
		if ctx.Err() != nil {
			return
		}
		if !failed {
			s.logger.Warn("task not announced: trying on", "type", submission.Type, "task_id", submission.TaskID, "error", err)
		}
		if !pause(ctx, announcePause) {
			return
		}
	}
}

func (s *Simulator) tellOnce(ctx context.Context, submission Submission) error {
	ctx, cancel := context.WithTimeout(ctx, announceWait)
	defer cancel()
	return s.tellTask(ctx, submission)
}
