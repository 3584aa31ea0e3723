package compose_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"fanfare/deploy/test/eventually"
)

// calledTask is the task of the callback that callers send.
const calledTask = "9016961c069093b332880e6ef6279ccb"

// callPause is between two calls of a caller. One does not wait for another.
const callPause = 50 * time.Millisecond

// caller sends the same callback over and over, signed. For each the gateway asks the broker, which knows it.
type caller struct {
	url, body string
	key       []byte
}

// newCaller returns a caller, once the gateways know its key.
func (s stack) newCaller(t *testing.T, key []byte) caller {
	t.Helper()
	body, err := os.ReadFile(root + "/schemas/examples/video/error-bad-request.json")
	if err != nil {
		t.Fatal(err)
	}
	url := strings.Replace(s.compose(t, "run", "--rm", "--no-TTY", "operator", "url", "video"), publicURL, s.url(t, "haproxy", 8080), 1)
	c := caller{url: url, body: string(body), key: key}
	eventually.Await(t, "the gateways to know the key", func() bool {
		status, err := c.call(t.Context())
		return err == nil && status == http.StatusOK
	})
	return c
}

// call sends the callback, and returns the status of its answer.
func (c caller) call(ctx context.Context) (int, error) {
	now := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, c.key)
	mac.Write([]byte(calledTask + "." + now))
	signature := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return post(ctx, c.url, c.body, http.Header{"X-Webhook-Timestamp": {now}, "X-Webhook-Signature": {signature}})
}

// begin calls until end is called, which returns how often which status was the answer. A call that is not answered is
// an error of the test.
func (c caller) begin(t *testing.T) (end func() map[int]int) {
	t.Helper()
	var (
		calls   sync.WaitGroup
		mu      sync.Mutex
		answers = make(map[int]int)
	)
	call := func() {
		status, err := c.call(t.Context())
		if err != nil && t.Context().Err() == nil {
			t.Errorf("a call is not answered: %v", err)
		}
		mu.Lock()
		defer mu.Unlock()
		answers[status]++
	}
	done, cancel := context.WithCancel(t.Context())
	calls.Go(func() {
		tick := time.NewTicker(callPause)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				calls.Go(call)
			case <-done.Done():
				return
			}
		}
	})
	t.Cleanup(calls.Wait) // where the test ends before them
	return func() map[int]int {
		cancel()
		calls.Wait()
		return answers
	}
}
