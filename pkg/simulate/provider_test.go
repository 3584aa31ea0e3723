package simulate

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"fanfare/pkg/callback"
)

// roundTripper answers requests without a network.
type roundTripper func(*http.Request) (*http.Response, error)

func (rt roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return rt(r) }

func answer(status int) *http.Response {
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(""))}
}

// testProvider returns a provider with the real timeouts and retries, twenty
// times faster in its pauses.
func testProvider(t *testing.T, rt roundTripper) *provider {
	t.Helper()
	opts, err := Options{Logger: discard(), Results: &records{}, HMACKey: []byte("test-webhook-hmac-key")}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	p := newProvider(opts)
	p.client.Transport = rt
	return p
}

// oneTask is a task with a single callback.
func oneTask(hurried bool) task {
	s := step{copies: []bool{false}}
	o := outline{
		id:      "ee9c2715375b7837f8bb51d641ff5863",
		flavour: flavour{typ: music, hurried: hurried},
		calls:   []call{{callback.Complete, 200}},
		steps:   []step{s},
	}
	return task{outline: o, sendings: []sending{{step: s, bodies: [][]byte{[]byte("{}")}}}}
}

func TestProviderWaitsAndComesAgain(t *testing.T) {
	t.Parallel()
	const s = time.Second
	silence := func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	for name, c := range map[string]struct {
		hurried bool
		answers []int // 0: none
		want    []time.Duration
		gaveUp  int64
	}{
		"taken at once":           {answers: []int{200}, want: []time.Duration{0}},
		"taken at the last":       {answers: []int{500, 404, 302, 200}, want: []time.Duration{0, 3 * s, 18 * s, 63 * s}},
		"201 is no 200":           {answers: []int{201, 204, 200}, want: []time.Duration{0, 3 * s, 18 * s}},
		"given up":                {answers: []int{503, 503, 503, 503}, want: []time.Duration{0, 3 * s, 18 * s, 63 * s}, gaveUp: 1},
		"no answer":               {answers: []int{0, 0, 0, 0}, want: []time.Duration{0, 18 * s, 48 * s, 108 * s}, gaveUp: 1},
		"no answer, in a hurry":   {hurried: true, answers: []int{0, 0, 200}, want: []time.Duration{0, 13 * s, 38 * s}},
		"an answer after silence": {answers: []int{0, 200}, want: []time.Duration{0, 18 * s}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				var at []time.Duration
				p := testProvider(t, func(r *http.Request) (*http.Response, error) {
					n := len(at)
					at = append(at, time.Since(begun))
					if c.answers[n] == 0 {
						return silence(r)
					}
					return answer(c.answers[n]), nil
				})
				p.play(t.Context(), oneTask(c.hurried))
				if !slices.Equal(at, c.want) {
					t.Errorf("requests at %v, want %v", at, c.want)
				}
				if got := p.tally.gaveUp.Load(); got != c.gaveUp || p.tally.answered.Load() != 1-c.gaveUp {
					t.Errorf("%d given up, want %d", got, c.gaveUp)
				}
			})
		})
	}
}

func TestProviderKeepsTheOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sent []string
		var mu sync.Mutex
		p := testProvider(t, func(r *http.Request) (*http.Response, error) {
			body, err := io.ReadAll(r.Body)
			mu.Lock()
			sent = append(sent, string(body))
			n := len(sent)
			mu.Unlock()
			if n == 1 {
				return answer(http.StatusServiceUnavailable), err
			}
			return answer(http.StatusOK), err
		})
		planned := oneTask(false)
		planned.calls = []call{{callback.Text, 200}, {callback.First, 200}, {callback.Complete, 200}}
		planned.sendings = nil
		for i, body := range []string{"text", "first", "complete"} {
			planned.sendings = append(planned.sendings, sending{step{call: i, after: 10 * time.Second}, [][]byte{[]byte(body)}})
		}
		p.play(t.Context(), planned)
		if want := []string{"text", "first", "complete", "text"}; !slices.Equal(sent, want) {
			t.Errorf("sent %v, want %v", sent, want)
		}
	})
}

func TestProviderSendsCopiesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		arrived := 0
		var mu sync.Mutex
		p := testProvider(t, func(*http.Request) (*http.Response, error) {
			mu.Lock()
			if arrived++; arrived == 3 {
				close(release)
			}
			mu.Unlock()
			<-release
			return answer(http.StatusOK), nil
		})
		planned := oneTask(false)
		planned.sendings[0].bodies = [][]byte{{'1'}, {'2'}, {'3'}}
		p.play(t.Context(), planned)
		if c, r, a := p.tally.callbacks.Load(), p.tally.requests.Load(), p.tally.answered.Load(); c != 1 || r != 3 || a != 1 {
			t.Errorf("%d callbacks in %d requests, %d answered", c, r, a)
		}
	})
}

func TestProviderSigns(t *testing.T) {
	t.Parallel()
	h := make(http.Header)
	sign(h, []byte("test-webhook-hmac-key"), "ee9c2715375b7837f8bb51d641ff5863", time.Unix(1769670760, 0))
	if got := h.Get("X-Webhook-Signature"); got != "xG6/yOyrMyJtUdc1yjmHpKLHSHF3MpzOPa6uxSj3qb4=" {
		t.Errorf("signature %s", got)
	}
	var headers []http.Header
	p := testProvider(t, func(r *http.Request) (*http.Response, error) {
		headers = append(headers, r.Header)
		return answer(http.StatusOK), nil
	})
	p.play(t.Context(), oneTask(false))
	p.key = nil
	p.play(t.Context(), oneTask(false))
	if headers[0].Get("X-Webhook-Signature") == "" || headers[0].Get("X-Webhook-Timestamp") == "" {
		t.Error("not signed although there is a key")
	}
	if headers[1].Get("X-Webhook-Signature") != "" {
		t.Error("signed although there is no key")
	}
}

func TestErrorsDoNotRepeatTheURL(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection refused")
	p := testProvider(t, func(*http.Request) (*http.Response, error) { return nil, broken })
	p.path = func(callback.Type) string { return "/callbacks/music/secret" }
	err := p.request(t.Context(), oneTask(false), nil)
	if !errors.Is(err, broken) || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
	p.target = "http://127.0.0.1:1\x7f"
	if err := p.request(t.Context(), oneTask(false), nil); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
}
