package gateway_test

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
)

// The contract of the gateway, rule by rule: contract_*_test.go name every rule of
// the HTTP contract and of identity and quarantine, each with requests that keep
// it and requests that break it, sent as raw bytes to a gateway before a real
// JetStream. A rule holds if the answer is right, and if afterwards the streams
// hold what the rows say and nothing else.

// ownID stands for a row's own task ID, wherever it is written; they are equally
// long, so that a size can be reckoned with either.
const ownID = "$TASKID"

// ownWAV is a callback of type wav with the row's own task ID.
const ownWAV = `{"code":200,"msg":"","data":{"task_id":"` + ownID + `","audioWavUrl":"https://example.com/a.wav"}}`

// rule is a rule of the contract, in its own words.
type rule struct {
	says string
	rows []row
}

// row is one request and what must become of it.
type row struct {
	sent
	raw       string                 // the request instead, where sent cannot say it; $BODY, $LENGTH and $HEX are the body and its length
	head      func(id string) string // the header instead, where it depends on the task ID
	id        string                 // another task ID than the row's own
	ends      bool                   // the client ends its sending after the request, and passes over interim answers
	byNetHTTP bool                   // answered before a handler runs, in text of net/http's own
	at        *rig                   // another rig than the table's
	says      string                 // words of the answer, where its status does not say enough

	stored string // message ID in CALLBACKS; "": not there, or not once more
	kept   string // <type>/<reason> in QUARANTINE; "": not there
}

// accepted is a body that is stored under a message ID, which begins with its type.
func accepted(name, stored, body string) row {
	typ, _, _ := strings.Cut(stored, "/")
	return row{sent: sent{name: name, path: "/callbacks/" + typ, body: body, want: http.StatusOK}, stored: stored}
}

// refused is a body that is refused and quarantined, as <type>/<reason>.
func refused(name, kept, body string) row {
	typ, _, _ := strings.Cut(kept, "/")
	return row{sent: sent{name: name, path: "/callbacks/" + typ, body: body, want: http.StatusBadRequest}, kept: kept}
}

// probe is a request with ownWAV in it, unless it has another body. It is stored
// if it is answered 200, and leaves no trace if not.
func probe(want int, name string, s sent) row {
	s.name, s.want, s.body = name, want, cmp.Or(s.body, ownWAV)
	w := row{sent: s}
	if want == http.StatusOK {
		w.stored = "wav/" + ownID + "/complete/200"
	}
	return w
}

// wire is a probe in raw text, after which the client sends nothing more.
func wire(want int, name, raw string) row {
	w := probe(want, name, sent{})
	w.raw, w.ends = raw, true
	return w
}

// netHTTP is a wire that never reaches a handler.
func netHTTP(want int, name, raw string) row {
	w := wire(want, name, raw)
	w.byNetHTTP = true
	return w
}

// numbered fills in the row's own task ID.
func (w row) numbered(number int) row {
	w.id = cmp.Or(w.id, fmt.Sprintf("row%04d", number))
	w.body = strings.ReplaceAll(w.body, ownID, w.id)
	w.stored = strings.ReplaceAll(w.stored, ownID, w.id)
	if w.head != nil {
		w.header = w.head(w.id)
	}
	if w.raw == "" {
		w.raw = w.sent.raw()
	}
	w.raw = strings.NewReplacer("$BODY", w.body, "$LENGTH", strconv.Itoa(len(w.body)), "$HEX", fmt.Sprintf("%x", len(w.body))).Replace(w.raw)
	return w
}

// converse sends raw bytes, says that nothing more comes, and returns the final
// answer.
func (r *rig) converse(raw, method string) answer {
	r.tb.Helper()
	conn := r.dial()
	defer func() { _ = conn.Close() }()
	_, err := io.WriteString(conn, raw)
	if half, ok := conn.(*net.TCPConn); ok && err == nil {
		err = half.CloseWrite()
	}
	if err != nil {
		r.tb.Fatal(err)
	}
	for reader := bufio.NewReader(conn); ; {
		response, err := http.ReadResponse(reader, &http.Request{Method: method})
		if err != nil {
			r.tb.Fatalf("read answer to %.200q: %v", raw, err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil {
			r.tb.Fatal(err)
		}
		if response.StatusCode >= http.StatusOK {
			return answer{response.StatusCode, response.Header, string(body)}
		}
	}
}

// hold sends every row of every rule in turn, and holds the answers, and then the
// streams, against the rows.
func hold(t *testing.T, r *rig, rules []rule) {
	t.Helper()
	var answers []answer
	for i := range rules {
		for j, w := range rules[i].rows {
			w = w.numbered(len(answers))
			rules[i].rows[j] = w
			at := cmp.Or(w.at, r)
			if w.ends {
				answers = append(answers, at.converse(w.raw, w.method))
			} else {
				answers = append(answers, at.exchange(w.raw, w.method))
			}
		}
	}
	book := r.ledger()
	for _, rule := range rules {
		t.Run(rule.says, func(t *testing.T) {
			rule.illustrated(t)
			for _, w := range rule.rows {
				a := answers[0]
				answers = answers[1:]
				t.Run(w.name, func(t *testing.T) {
					w.answered(t, a)
					w.found(t, book)
				})
			}
		})
	}
	for id, m := range book {
		t.Errorf("%s holds %s, which no row stores: %.300q", m.Subject, id, m.Body)
	}
}

// illustrated checks that there are rows on both sides of the rule.
func (u rule) illustrated(t *testing.T) {
	t.Helper()
	var kept, broken bool
	for _, w := range u.rows {
		good := w.want == http.StatusOK && w.kept == ""
		kept, broken = kept || good, broken || !good
	}
	if !kept || !broken {
		t.Errorf("a request that is accepted: %t; one that is refused: %t", kept, broken)
	}
}

// answered checks the answer itself.
func (w row) answered(t *testing.T, a answer) {
	t.Helper()
	if a.status != w.want {
		t.Errorf("answered %d %s, want %d\n%.300q", a.status, a.body, w.want, w.raw)
	}
	if !strings.Contains(a.body, w.says) {
		t.Errorf("answered %s, want words of %q", a.body, w.says)
	}
	switch {
	case w.byNetHTTP:
		if strings.Contains(a.body, "{") {
			t.Errorf("answered %s, want net/http's own text", a.body)
		}
		return
	case w.method != http.MethodHead:
		a.wellFormed(t)
	}
	if a.status == http.StatusOK && a.body != `{"code":200,"msg":"success"}` {
		t.Errorf("answered %s", a.body)
	}
	if allow := a.header.Get("Allow"); (a.status == http.StatusMethodNotAllowed) != (allow == http.MethodPost) {
		t.Errorf("Allow is %q", allow)
	}
	again := a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable
	if wait, err := strconv.Atoi(a.header.Get("Retry-After")); again != (err == nil && wait > 0) {
		t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
	}
	if location := a.header.Get("Location"); location != "" {
		t.Errorf("redirected to %q", location)
	}
}

// ledger is what the streams hold, by message ID.
func (r *rig) ledger() map[string]broker.Message {
	r.tb.Helper()
	book := make(map[string]broker.Message)
	for _, filter := range []string{"callbacks.>", "quarantine.>"} {
		err := r.broker.Read(r.tb.Context(), filter, func(m broker.Message) error {
			id := m.Header["Nats-Msg-Id"]
			if _, twice := book[id]; twice {
				r.tb.Errorf("%s holds %s twice", m.Subject, id)
			}
			book[id] = m
			return nil
		})
		if err != nil {
			r.tb.Fatal(err)
		}
	}
	return book
}

// found checks that the streams hold what the row says, and strikes it out.
func (w row) found(t *testing.T, book map[string]broker.Message) {
	t.Helper()
	if id := w.stored; id != "" {
		cb := callbackOf(t, id)
		m := w.strike(t, book, id, fmt.Sprintf("callbacks.%s.%s", cb.Type, cb.Stage))
		checkHeaders(t, m.Header, cb)
	}
	if w.kept != "" {
		typ, reason, _ := strings.Cut(w.kept, "/")
		m := w.strike(t, book, fmt.Sprintf("%s/%x", w.kept, sha256.Sum256([]byte(w.body))), "quarantine."+typ)
		if m.Header["Fanfare-Reason"] != reason {
			t.Errorf("in quarantine as %q, want %q", m.Header["Fanfare-Reason"], reason)
		}
	}
}

// strike takes a message out of the ledger, which must hold the row's body.
func (w row) strike(t *testing.T, book map[string]broker.Message, id, subject string) broker.Message {
	t.Helper()
	m, ok := book[id]
	delete(book, id)
	if !ok {
		t.Fatalf("no message %s", id)
	}
	if m.Subject != subject {
		t.Errorf("%s is on %s, want %s", id, m.Subject, subject)
	}
	if string(m.Body) != w.body {
		t.Errorf("%s holds %d bytes %.200q, want the %d sent", id, len(m.Body), m.Body, len(w.body))
	}
	return m
}

// callbackOf reads a message ID: <type>/<task ID>/<stage>/<code>, or other:<word>
// for the stage.
func callbackOf(t *testing.T, id string) callback.Callback {
	t.Helper()
	parts := strings.Split(id, "/")
	if len(parts) != 4 {
		t.Fatalf("%q is no message ID", id)
	}
	code, err := strconv.ParseInt(parts[3], 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	stage, word, _ := strings.Cut(parts[2], ":")
	return callback.Callback{
		Type: callback.Type(parts[0]), TaskID: callback.TaskID(parts[1]), Stage: callback.Stage(stage), Word: word, Code: int32(code),
	}
}
