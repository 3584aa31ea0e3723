package gateway_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"fanfare/gateway"
	"fanfare/pkg/broker"
	"fanfare/pkg/natsd/natstest"
)

const (
	hostileRequests = 100_000
	hostileClients  = 32
	hostileTime     = 40 * time.Second // then no more are sent: a slow machine sends fewer
)

// hostile makes requests that no provider sends, from a stock that is small
// enough for most of what is stored to be stored already.
type hostile struct {
	*rand.Rand
	token  string
	bodies []string
}

// newHostile makes the same requests of the same seed, and the same bodies of
// every seed.
func newHostile(seed uint64) *hostile {
	h := &hostile{Rand: rand.New(rand.NewPCG(7, 7))}
	for range 300 {
		h.bodies = append(h.bodies, h.callback(`"t1"`), h.callback(h.taskID()), h.junk())
	}
	h.Rand = rand.New(rand.NewPCG(seed, 1))
	return h
}

func (h *hostile) bytes(n int) string {
	b := make([]byte, h.IntN(n)+1)
	for i := range b {
		b[i] = byte(h.IntN(256))
	}
	return string(b)
}

// word is some bytes, in most cases such that a line of a request can hold them.
func (h *hostile) word(n int) string {
	if h.IntN(8) == 0 {
		return h.bytes(n)
	}
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == unicode.ReplacementChar {
			return rune('!' + h.IntN('~'-'!'))
		}
		return r
	}, strings.ToValidUTF8(h.bytes(n), "\u0085\u2028"))
}

// quoted is a word in JSON, with every second byte as an escape.
func (h *hostile) quoted(n int) string {
	var b strings.Builder
	for i, c := range []byte(h.bytes(n)) {
		if i%2 == 0 {
			c = '0' + c%75 // any of 0 to z, some of which JSON wants escaped
		}
		fmt.Fprintf(&b, `\u%04x`, c)
	}
	return `"` + b.String() + `"`
}

func (h *hostile) any(of ...string) string { return of[h.IntN(len(of))] }

func (h *hostile) taskID() string {
	return h.any(`"..-1"`, `"*.>x"`, `"a:b:c"`, h.quoted(4), h.quoted(90), `"t\r\n{\"level\":\"INFO\"}"`, `"../../etc/passwd"`, `7`)
}

// callback is valid but for what some of its members may hold.
func (h *hostile) callback(id string) string {
	code := h.any("200", "2e2", "0", "500", "531", "-2147483648", fmt.Sprint(h.Int32()), fmt.Sprint(h.Uint64()), "1e999", `"200"`)
	stage := h.any(`"text"`, `"first"`, `"complete"`, `"error"`, `"quarantined"`, h.quoted(9), fmt.Sprintf(`"stage_%d"`, h.IntN(50)), `"a.b.>"`, "null")
	result := h.any(`"data":[{"audio_url":"https://example.com/a.mp3"}]`, `"audioWavUrl":"https://example.com/\u000a"`, h.quoted(9)+`:`+h.quoted(9), `"task_id":1`)
	return fmt.Sprintf(`{"code":%s,"msg":%s,"data":{"task_id":%s,"callbackType":%s,%s}}`, code, h.quoted(40), id, stage, result)
}

func (h *hostile) junk() string {
	return h.any("", "{", h.bytes(2000), strings.Repeat("[", h.IntN(200)), `{"data":{`+h.quoted(20)+`:1,"task_id":"t1"},`+h.quoted(20)+`:`, "\xef\xbb\xbf{}", "{}\r\n{\"level\":\"INFO\"}")
}

// request is hostile in one place, and often in more.
func (h *hostile) request(types []string) string {
	path := "/callbacks/" + h.any(types...) + h.token
	method, header := http.MethodPost, "Content-Type: application/json\r\n"
	switch h.IntN(8) {
	case 0:
		path = h.any("/", "/callbacks/", "/callbacks/wav/", path+"/", path+"?") + h.word(60)
	case 1:
		method = h.any("GET", "PUT", "OPTIONS", "HEAD", "post", h.word(9))
	case 2:
		header = h.any("Content-Type: "+h.word(40)+"\r\n", "", header+"Content-Encoding: "+h.word(9)+"\r\n", header+h.word(9)+": "+h.word(20)+"\r\n")
	}
	if h.IntN(2) == 0 {
		header += "X-Forwarded-For: " + h.any(h.word(40), "192.0.2.1, "+h.word(9), "192.0.2.1", ",,,") + "\r\n"
	}
	if h.IntN(2) == 0 {
		now := fmt.Sprint(time.Now().Unix())
		header += "X-Webhook-Timestamp: " + h.any(now, now, h.word(20), "-1") + "\r\nX-Webhook-Signature: " + h.any(h.word(60), sign(vectorKey, "t1", now)) + "\r\n"
	}
	body := h.any(h.bodies...)
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: f\r\n%sUser-Agent: %s\r\nTraceparent: %s\r\nContent-Length: %d\r\n\r\n%s",
		method, path, header, h.word(30), h.word(30), len(body), body)
}

// assault is what many hostile clients do to one gateway.
type assault struct {
	addr     string
	types    []string
	token    string
	left     atomic.Int64 // requests
	until    time.Time
	sent     atomic.Int64
	cut      atomic.Int64 // connections that ended without an answer
	statuses sync.Map     // of answers
}

// run sends requests, each client one at a time on a connection that it keeps as
// long as it can.
func (a *assault) run(tb testing.TB) {
	tb.Helper()
	var clients sync.WaitGroup
	for seed := range uint64(hostileClients) {
		clients.Go(func() {
			h := newHostile(seed)
			h.token = a.token
			for a.more() {
				if err := a.connection(h); err != nil {
					tb.Error(err)
					return
				}
			}
		})
	}
	clients.Wait()
}

func (a *assault) more() bool { return a.left.Load() > 0 && time.Now().Before(a.until) }

// connection sends requests until the connection ends.
func (a *assault) connection(h *hostile) error {
	conn, err := net.Dial("tcp", a.addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	reader := bufio.NewReader(conn)
	for a.more() && a.left.Add(-1) >= 0 {
		raw := h.request(a.types)
		if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			return err
		}
		a.sent.Add(1)
		_, _ = io.WriteString(conn, raw) // an answer may come before all is sent
		method, _, _ := strings.Cut(raw, " ")
		response, err := http.ReadResponse(reader, &http.Request{Method: method})
		if err == nil {
			a.statuses.Store(response.StatusCode, true)
			_, err = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("no answer to %.300q", raw)
		case err != nil:
			a.cut.Add(1)
			return nil
		case response.Close:
			return nil
		}
	}
	return nil
}

// answers returns the statuses that were answered; every stage must have had its
// say.
func (a *assault) answers(tb testing.TB) []int {
	tb.Helper()
	var all []int
	for status := range http.StatusNetworkAuthenticationRequired {
		if _, answered := a.statuses.Load(status); answered {
			all = append(all, status)
		}
	}
	for _, status := range []int{http.StatusOK, http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType} {
		if !slices.Contains(all, status) {
			tb.Errorf("nothing was answered %d", status)
		}
	}
	return all
}

// series returns every series by name and labels.
func (r *rig) series() []string {
	r.tb.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.tb.Fatal(err)
	}
	var all []string
	for _, family := range families {
		for _, m := range family.GetMetric() {
			all = append(all, fmt.Sprint(family.GetName(), m.GetLabel()))
		}
	}
	slices.Sort(all)
	return all
}

func TestHostileRequestsAddNoSeriesAndForgeNoLine(t *testing.T) {
	t.Parallel()
	const token = "Zm9yIHRoZSBwcm92aWRlcg"
	fronts := map[string]func(*gateway.Options){
		"open":   func(*gateway.Options) {},
		"signed": withKeys(secretFile(t, vectorKey)),
		"token":  func(o *gateway.Options) { o.URLTokenFiles = []string{secretFile(t, token)} },
		"proxied": func(o *gateway.Options) {
			o.AllowFrom, o.TrustedProxies = []string{"192.0.2.0/24"}, []string{"127.0.0.1"}
		},
	}
	b := natstest.Broker(t)
	until := time.Now()
	for name, front := range fronts {
		until = until.Add(hostileTime / time.Duration(len(fronts))) // what one does not take is the next one's
		var log bytes.Buffer
		r := start(t, b, front, func(o *gateway.Options) {
			o.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		before := r.series()
		a := &assault{
			addr:  strings.TrimPrefix(r.url, "http://"),
			types: []string{"cover", "music", "music", "video", "wav"},
			until: until,
		}
		a.left.Store(hostileRequests / int64(len(fronts)))
		if name == "token" {
			a.token = "/" + token
		}
		begun := time.Now()
		a.run(t)
		if after := r.series(); !slices.Equal(before, after) {
			t.Errorf("%s: series changed from\n%q\nto\n%q", name, before, after)
		}
		r.stop()
		lines := checkLog(t, name, &log)
		t.Logf("%s: %d of %d requests sent in %s, answered %v, %d cut; %d series, %d lines",
			name, a.sent.Load(), hostileRequests/len(fronts), time.Since(begun).Round(time.Second), a.answers(t), a.cut.Load(), len(before), lines)
	}
	checkSubjects(t, b)
}

// checkLog holds every line against what a reader of lines relies on, and counts
// them.
func checkLog(tb testing.TB, name string, log *bytes.Buffer) (lines int) {
	tb.Helper()
	for line := range strings.Lines(log.String()) {
		lines++
		object := jsontext.Value(line)
		if !object.IsValid() || object.Kind() != '{' {
			tb.Errorf("%s: no JSON object: %q", name, line)
		}
		broken := func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }
		if strings.ContainsFunc(strings.TrimSuffix(line, "\n"), broken) {
			tb.Errorf("%s: a control character in %q", name, line)
		}
		if strings.Contains(line, `"error":"panic`) {
			tb.Errorf("%s: %s", name, line)
		}
	}
	return lines
}

// checkSubjects holds every stored subject against the closed set.
func checkSubjects(tb testing.TB, b *broker.Broker) {
	tb.Helper()
	known := make(map[string]bool)
	for typ, contract := range options(tb).Contracts {
		known["quarantine."+string(typ)] = true
		for _, stage := range contract.Stages() {
			known[broker.Subject(typ, stage)] = true
		}
	}
	for _, filter := range []string{"callbacks.>", "quarantine.>"} {
		stored := make(map[string]int)
		err := b.Read(tb.Context(), filter, func(m broker.Message) error {
			stored[m.Subject]++
			return nil
		})
		if err != nil {
			tb.Fatal(err)
		}
		for subject := range stored {
			if !known[subject] {
				tb.Errorf("stored on %s", subject)
			}
		}
		if len(stored) < 3 {
			tb.Errorf("only %v: the requests came to nothing", stored)
		}
		tb.Logf("stored: %v", stored)
	}
}
