// Package consume runs one callback type's handler against one durable.
//
// Delivery is at least once. A handler returns nil to ack, an error made by
// [Permanent] to dead-letter, and any other error to retry with growing delays.
// It never sees the message itself, so it cannot forget to settle it. [Archiver]
// is the handler that fanfare's own consumers use: it archives a task's media and
// records its result.
package consume

import (
	"context"

	"fanfare/pkg/callback"
	"fanfare/pkg/deliver"
	"fanfare/pkg/media"
)

// Spec is all that distinguishes one consumer from another.
type Spec struct {
	Type callback.Type

	// Media returns the files that a callback of stage first or complete offers,
	// those that are finished only, with names that do not change from one
	// callback of a task to the next.
	Media func(callback.Callback) ([]media.Asset, error)
}

// Delivery is what a handler gets to see.
type Delivery struct {
	Callback callback.Callback

	// Last says that this message will not be delivered again: what fails now is
	// given up.
	Last bool

	// Moved tells the runner that n bytes have moved, and so that the handler is
	// alive.
	Moved func(n int)
}

// Handler does what there is to do about one callback. It must bear to see the
// same callback again.
type Handler func(ctx context.Context, d Delivery) error

// Permanent marks an error as one that another delivery cannot mend. Nil stays nil.
func Permanent(err error) error { return deliver.Permanent(err) }
