package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"fanfare/gateway"
	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/natsd/natstest"
)

// request is a request to a gateway with every lock there is; what is wrong with
// it can be wrong together.
type request struct {
	method, typ, token, forwarded, padding, media string
	declared                                      int           // length of the body; 0: what it is
	cut                                           int           // bytes of the body that do not come
	age                                           time.Duration // of the signature
	key, code, tail                               string
}

func flawless() request {
	return request{method: "POST", typ: "wav", token: newToken, forwarded: "192.0.2.1", media: "application/json", key: newKey, code: "200"}
}

// raw is the request on the wire, with its body.
func (q request) raw(id string) (raw, body string) {
	body = strings.Replace(strings.ReplaceAll(ownWAV, ownID, id), "200", q.code, 1) + q.tail
	at := instant(-q.age)
	return fmt.Sprintf("%s /callbacks/%s/%s HTTP/1.1\r\nHost: fanfare\r\nConnection: close\r\nX-Forwarded-For: %s\r\nX-Padding: %s\r\nContent-Type: %s\r\n",
		q.method, q.typ, q.token, q.forwarded, q.padding, q.media) +
		fmt.Sprintf("X-Webhook-Timestamp: %s\r\nX-Webhook-Signature: %s\r\nContent-Length: %d\r\n\r\n%s",
			at, sign(q.key, id, at), max(q.declared, len(body)), body[:len(body)-q.cut]), body
}

// flaw is one thing that can be wrong.
type flaw struct {
	step   string // of the order in which requests are checked
	status int
	says   string // what the answer says
	spoil  func(q *request)
}

// flaws are in the order in which they are found.
func flaws() []flaw {
	return []flaw{
		{"path and type 404", 404, "no such callback URL", func(q *request) { q.typ = "lyrics" }},
		{"token 404", 404, "no such callback URL", func(q *request) { q.token = oldToken }},
		{"405", 405, "only POST", func(q *request) { q.method = "PUT" }},
		{"address 403", 403, "this address", func(q *request) { q.forwarded += ", 203.0.113.1" }},
		{"431", 431, "the headers are larger", func(q *request) { q.padding = strings.Repeat("x", 33<<10) }},
		{"415", 415, "send one Content-Type", func(q *request) { q.media = "text/plain" }},
		{"413", 413, "the body is larger", func(q *request) { q.declared = 1<<20 + 1 }},
		{"signature headers absent, malformed or stale 401", 401, "not signed", func(q *request) { q.age = time.Hour }},
		{"body 400", 400, "did not arrive whole", func(q *request) { q.cut = 1 }},
		{"decode and task ID 400", 400, "not one strict JSON object", func(q *request) { q.tail = "x" }},
		{"signature 401", 401, "not signed", func(q *request) { q.key = oldKey }},
		{"the rest of validation 400", 400, "code must be", func(q *request) { q.code = `"200"` }},
	}
}

// locks are the options of a gateway that asks for all that [flawless] shows.
func locks(t *testing.T) func(*gateway.Options) {
	t.Helper()
	keys, tokens := []string{secretFile(t, newKey)}, []string{secretFile(t, newToken)}
	return func(o *gateway.Options) {
		o.HMACKeyFiles, o.URLTokenFiles = keys, tokens
		o.AllowFrom, o.TrustedProxies = []string{"192.0.2.0/24"}, []string{"127.0.0.1"}
	}
}

// spoiled is a row about a request with flaws, in their order. It must be answered
// as if it had the first one alone.
func spoiled(name, id string, found ...flaw) row {
	q := flawless()
	for _, f := range found {
		f.spoil(&q)
	}
	w := row{sent: sent{name: name, method: q.method, want: http.StatusOK}, id: id, ends: true}
	w.raw, w.body = q.raw(id)
	switch {
	case len(found) == 0:
		w.stored = "wav/" + id + "/complete/200"
	default:
		w.want, w.says = found[0].status, found[0].says
		if found[0].step == "the rest of validation 400" {
			w.kept = "wav/schema"
		}
	}
	return w
}

// unable is a store that cannot store.
type unable struct{ *broker.Broker }

func (unable) Publish(context.Context, callback.Callback) (broker.Published, error) {
	return broker.Stored, broker.ErrUnavailable
}

func (unable) Quarantine(context.Context, broker.Quarantined) error { return broker.ErrUnavailable }

// busy is a gateway that stores one callback at a time, and is at that of raw until
// the test ends.
func busy(t *testing.T, b *broker.Broker, raw string, change ...func(*gateway.Options)) *rig {
	t.Helper()
	h := held{b, make(chan struct{}), make(chan struct{})}
	r := startWith(t, b, h, append(change, func(o *gateway.Options) { o.MaxInFlight = 1 })...)
	var posted sync.WaitGroup
	posted.Go(func() { // what it is answered is nobody's concern: on a slow machine the gateway has hung up by then
		conn := r.dial()
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, raw)
		<-h.let
	})
	<-h.begun
	t.Cleanup(func() { close(h.let); posted.Wait() })
	return r
}

// TestContractOfOrder sends every request that has one or two things wrong with it.
func TestContractOfOrder(t *testing.T) {
	t.Parallel()
	all := flaws()
	var rules []rule
	for i, first := range all {
		rows := []row{
			spoiled("nothing else", fmt.Sprintf("alone%d", i), first),
			spoiled("the same, corrected", fmt.Sprintf("alone%d", i)), // a refusal leaves no trace in what is remembered of task IDs
			spoiled("all that comes after", fmt.Sprintf("all%d", i), all[i:]...),
		}
		for j, second := range all[i+1:] {
			rows = append(rows, spoiled("and "+second.step, fmt.Sprintf("pair%d.%d", i, i+1+j), first, second))
		}
		rules = append(rules, rule{"order: " + first.step, rows})
	}
	hold(t, start(t, natstest.Broker(t), locks(t)), rules)
}

func TestContractOfCapacity(t *testing.T) {
	t.Parallel()
	b := natstest.Broker(t)
	inHand, _ := flawless().raw("busy")
	free, full, cannot := start(t, b, locks(t)), busy(t, b, inHand, locks(t)), startWith(t, b, unable{b}, locks(t))
	all := flaws()
	at := func(r *rig, want int, says string, w row) row {
		w.at, w.want, w.says, w.stored, w.kept = r, want, says, "", ""
		return w
	}
	const later, lost = "too many callbacks at once", "not stored: try again"
	slots := []row{
		at(full, 429, later, spoiled("nothing wrong", "slot")),
		spoiled("the same again", "slot"),
	}
	last := []row{
		at(cannot, 503, lost, spoiled("nothing wrong", "store")),
		spoiled("the same again", "store"),
	}
	for i, f := range all {
		slot, stored := spoiled(f.step, fmt.Sprint("slot", i), f), spoiled(f.step, fmt.Sprint("store", i), f)
		switch f.step {
		case "the rest of validation 400": // which is quarantined first
			slot, stored = at(full, 429, later, slot), at(cannot, 503, lost, stored)
		case "decode and task ID 400", "signature 401":
			slot, stored = at(full, 429, later, slot), at(cannot, f.status, f.says, stored)
		default:
			slot, stored = at(full, f.status, f.says, slot), at(cannot, f.status, f.says, stored)
		}
		slots, last = append(slots, slot), append(last, stored)
	}
	hold(t, free, []rule{
		{"429 + Retry-After: over the in-flight limit; a slot is taken once the body is read", slots},
		{"503 + Retry-After: the broker did not confirm in time; publish comes last, and every 400 of an authentic sender is quarantined first", last},
	})
}

func TestContractOfLocks(t *testing.T) {
	t.Parallel()
	q := func(want int, name string, spoil ...func(*request)) row {
		var found []flaw
		for _, s := range spoil {
			found = append(found, flaw{status: want, spoil: s})
		}
		return spoiled(name, strings.ReplaceAll(name, " ", "-"), found...)
	}
	token := func(q *request) { q.token = "wrong" }
	address := func(q *request) { q.forwarded = "203.0.113.1" }
	key := func(q *request) { q.key = oldKey }
	hold(t, start(t, natstest.Broker(t), locks(t)), []rule{
		{"fail closed: every configured mechanism (HMAC, URL token, address) must pass", []row{
			q(200, "all pass"),
			q(404, "no token", token), q(403, "no address", address), q(401, "no signature", key),
			q(403, "token alone", address, key), q(404, "address alone", token, key), q(404, "signature alone", token, address),
			q(404, "none", token, address, key),
		}},
	})
}
