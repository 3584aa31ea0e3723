package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	maxBodiesBytes = 256 << 20 // bodies held in memory, in sum
	firstReadBytes = 4 << 10   // of a body; what is held doubles as it arrives
)

var (
	errTooLarge = errors.New("gateway: body is too large")
	errNoMemory = errors.New("gateway: too many bodies in memory")
)

// bodies bounds the memory that bodies take, by what has arrived and not by what
// was declared: a slow sender of a large body holds little.
type bodies struct{ memory *semaphore.Weighted }

func newBodies(limit int64) bodies { return bodies{semaphore.NewWeighted(limit)} }

// read reads the whole body. The memory it takes is given back by release, which
// is never nil.
func (b bodies) read(body io.Reader) (whole []byte, release func(), err error) {
	held := int64(0)
	release = func() { b.memory.Release(held) }
	for {
		if len(whole) == cap(whole) {
			grow := min(max(firstReadBytes, int64(cap(whole))), maxBodyBytes+1-int64(cap(whole)))
			if !b.memory.TryAcquire(grow) {
				return nil, release, errNoMemory
			}
			held += grow
			whole = append(make([]byte, 0, held), whole...)
		}
		n, err := body.Read(whole[len(whole):cap(whole)])
		whole = whole[:len(whole)+n]
		switch {
		case len(whole) > maxBodyBytes:
			return nil, release, errTooLarge
		case err == io.EOF:
			return whole, release, nil
		case err != nil:
			return nil, release, err
		}
	}
}

// readBody reads the body of a request within what is left of its time.
func (g *Gateway) readBody(ctx context.Context, w http.ResponseWriter, r *http.Request) (body []byte, release func(), err error) {
	deadline := time.Now().Add(bodyWait)
	if all, ok := ctx.Deadline(); ok && all.Before(deadline) {
		deadline = all
	}
	if err := http.NewResponseController(w).SetReadDeadline(deadline); err != nil {
		return nil, func() {}, err
	}
	return g.bodies.read(r.Body)
}
