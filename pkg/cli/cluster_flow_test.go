package cli_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"fanfare/pkg/callback"
	"fanfare/pkg/eventually"
)

// providerPatience is how long the provider waits for an answer.
const providerPatience = 10 * time.Second

// answeredOK is the only answer after which the provider does not call again.
const answeredOK = "200"

// flow is the provider: it finishes task after task, waits for no answer before it
// calls for the next, and calls again until it is answered 200.
type flow struct {
	tb   testing.TB
	c    *cluster
	end  context.CancelFunc
	done chan struct{}

	mu       sync.Mutex
	called   []callback.TaskID
	answered map[string]int // how often so
}

// flow begins to finish so many tasks a second.
func (c *cluster) flow(tb testing.TB, perSecond float64) *flow {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	f := &flow{tb: tb, c: c, end: cancel, done: make(chan struct{}), answered: make(map[string]int)}
	go func() {
		defer close(f.done)
		var calls sync.WaitGroup
		defer calls.Wait()
		for pace := rate.NewLimiter(rate.Limit(perSecond), 1); pace.Wait(ctx) == nil; {
			calls.Go(func() { f.call(f.next()) })
		}
	}()
	tb.Cleanup(func() {
		cancel()
		<-f.done
	})
	return f
}

func (f *flow) next() callback.TaskID {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := callback.TaskID(fmt.Sprintf("t%04d", len(f.called)+1))
	f.called = append(f.called, id)
	return id
}

// call calls until it is answered 200.
func (f *flow) call(id callback.TaskID) {
	body := f.c.body(id)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline) && f.tb.Context().Err() == nil; {
		answer := f.post(body)
		f.note(answer)
		if answer == answeredOK {
			return
		}
		<-time.After(100 * time.Millisecond)
	}
	if f.tb.Context().Err() == nil { // else the test has ended for another reason
		f.tb.Errorf("%s was never answered 200", id)
	}
}

func (f *flow) note(answer string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answered[answer]++
}

// post calls once.
func (f *flow) post(body string) (answer string) {
	ctx, cancel := context.WithTimeout(f.tb.Context(), providerPatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+f.c.listen+"/callbacks/wav", strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	if text, err := io.ReadAll(response.Body); err != nil || !bytes.Contains(text, fmt.Appendf(nil, `"code":%d,`, response.StatusCode)) {
		return fmt.Sprintf("%d %s %v", response.StatusCode, text, err)
	}
	return fmt.Sprint(response.StatusCode)
}

// answers is how often it was answered so.
func (f *flow) answers(answer string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.answered[answer]
}

// more waits until so many more callbacks are answered 200 and so many more tasks
// done, which is when the flow flows again.
func (f *flow) more(n int) {
	f.tb.Helper()
	answered, handled := f.answers(answeredOK)+n, f.c.consumer.handled()+n
	eventually.Await(f.tb, "more callbacks answered and handled", func() bool {
		return f.answers(answeredOK) >= answered && f.c.consumer.handled() >= handled
	})
}

// stop ends it, once everything is answered 200.
func (f *flow) stop() {
	f.tb.Helper()
	f.end()
	<-f.done
	f.c.called = f.called
	f.tb.Logf("%d callbacks, answered like this: %v", len(f.called), f.answered)
}
