package simulate

import (
	"context"
	"fmt"
	"time"

	"fanfare/pkg/callback"
)

// unread says that nobody could tell whether callbacks are stored twice.
const unread = -1

// countTwins counts the callbacks of the tasks that are stored more than once under
// the same identity. It is false if that could not be found out.
func (j *judge) countTwins(ctx context.Context) bool {
	if j.stored == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, lettersTimeout)
	defer cancel()
	ours := make(map[string]bool, len(j.findings))
	for _, f := range j.findings {
		ours[taskKey(f.want.typ, f.want.id)] = true
	}
	seen, twins := make(map[Identity]bool), 0
	err := j.stored(ctx, j.begun, func(id Identity) {
		switch {
		case !ours[taskKey(id.Type, id.TaskID)]:
		case seen[id]:
			twins++
		default:
			seen[id] = true
		}
	})
	if err != nil {
		j.logger.Warn("stored callbacks unreadable", "error", fmt.Errorf("read callbacks: %w", err))
		j.twins = unread
		return false
	}
	j.twins = twins
	return true
}

// Identity is what two stored callbacks never have in common.
type Identity struct {
	Type      callback.Type
	TaskID    callback.TaskID
	MessageID string
}

// clockSkew is how far the clock of who stores callbacks may be behind.
const clockSkew = time.Minute
