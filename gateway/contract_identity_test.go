package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"fanfare/pkg/natsd/natstest"
)

// once is a callback of type wav that is stored, and forms the same value can have.
const once = `{"code":200,"msg":"a","data":{"task_id":"` + ownID + `","audioWavUrl":"https://example.com/a.wav","n":[1,2],"x":null}}`

// again is a row about a task that an earlier row was about. It is stored once
// more only if it says so.
func again(name, id, path, body string) row {
	return row{sent: sent{name: name, path: "/callbacks/" + path, body: body, want: http.StatusOK}, id: id}
}

// contradicting is [again], and goes to quarantine as a conflict.
func contradicting(name, id, path, body string) row {
	w := again(name, id, path, body)
	w.kept = path + "/conflict"
	return w
}

func TestContractOfIdentity(t *testing.T) {
	t.Parallel()
	change := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(once) }
	first := func(id string) row {
		w := accepted("the first", "wav/"+ownID+"/complete/200", once)
		w.id = id
		return w
	}
	same := func(name string, pairs ...string) row { return again(name, "same", "wav", change(pairs...)) }
	other := func(name string, pairs ...string) row { return contradicting(name, "same", "wav", change(pairs...)) }
	large := func(x string) string { // 1 MiB
		return strings.Replace(once, `"x":null`, `"x":"`+strings.Repeat(x, 1<<20-len(once)+len("null")-len(`""`))+`"`, 1)
	}
	largest := accepted("1 MiB", "wav/largest/complete/200", large("x"))
	largest.id = "largest"
	invalid := func(name, typ, kept, body string) row {
		return row{sent: sent{name: name, path: "/callbacks/" + typ, body: body, want: http.StatusBadRequest}, id: "kept", kept: kept}
	}
	var apart, retried []row
	for _, one := range []struct{ stored, body string }{
		{"music/" + ownID + "/text/200", told("200", `"callbackType":"text"`)},
		{"music/" + ownID + "/first/200", told("200", `"callbackType":"first",`+track)},
		{"music/" + ownID + "/error/501", told("501", `"callbackType":"error"`)},
		{"music/" + ownID + "/error/531", told("531", `"callbackType":"error"`)},
		{"music/" + ownID + "/error/200", told("200", `"callbackType":"error"`)},
		{"music/" + ownID + "/complete/200", told("200", `"callbackType":"complete",`+track)},
		{"music/" + ownID + "/other:mixed/200", told("200", `"callbackType":"mixed"`)},
		{"music/" + ownID + "/other:mastered/200", told("200", `"callbackType":"mastered"`)},
		{"video/" + ownID + "/complete/200", told("200", clip)},
		{"video/" + ownID + "/complete/0", told("0", clip)},
		{"wav/" + ownID + "/complete/200", told("200", waves)},
		{"cover/" + ownID + "/complete/200", told("200", images)},
	} {
		w := accepted(one.stored, one.stored, one.body)
		w.id = "apart"
		apart = append(apart, w)
		w.stored, w.name = "", w.name+" again"
		retried = append(retried, w)
	}
	differs := contradicting("one of them with another value", "apart", "music", told("501", `"callbackType":"error","x":1`))
	hold(t, start(t, natstest.Broker(t)), []rule{
		{"message ID = <type>/<task ID>/<stage>/<code>, other:<the word> for stage other", append(append(apart, retried...), differs)},
		{"200: stored durably, or already stored (the same callback again)", []row{
			first("again"),
			again("byte for byte", "again", "wav", once),
			again("a third time", "again", "wav", once),
			refused("and an invalid one", "wav/schema", strings.Replace(once, "https", "ftp", 1)),
		}},
		{"on a duplicate the gateway compares the JSON value: equal → 200", []row{
			first("same"),
			same("white space", ",", " ,\n\t", `":`, "\"\r:  "),
			same("white space around it", "{\"code", "\r\n {\"code"),
			same("order of names", `"code":200,"msg":"a",`, ``, `"x":null}}`, `"x":null},"msg":"a","code":200}`),
			same("order of names inside", `"n":[1,2],"x":null`, `"x":null,"n":[1,2]`),
			same("spelling of numbers", "200", "2e2", "[1,2]", "[1.0,20e-1]"),
			same("escapes", `"a"`, `"\u0061"`, "https://", `https:\/\/`, `"n"`, `"\u006E"`),
			other("another URL", "a.wav", "b.wav"),
		}},
		{"different → 200, and in quarantine as conflict, never to a consumer", []row{
			same("equal", ",", ", "),
			other("another message", `"msg":"a"`, `"msg":"b"`),
			other("the message in capitals", `"msg":"a"`, `"msg":"A"`),
			other("another order of items", "[1,2]", "[2,1]"),
			other("an item less", "[1,2]", "[1]"),
			other("another type", "[1,2]", `["1","2"]`),
			other("a member more", `"x":null`, `"x":null,"y":null`),
			other("a member less", `,"x":null`, ``),
			other("null and empty", `"x":null`, `"x":""`),
			other("the task ID's other name", "task_id", "taskId"),
			largest,
			contradicting("1 MiB otherwise", "largest", "wav", large("y")),
			again("a conflict again is kept once", "same", "wav", change("a.wav", "b.wav")),
			contradicting("a failure told otherwise", "apart", "music", told("531", `"callbackType":"error","x":1`)),
		}},
		{"QUARANTINE: message ID <type>/<reason>/<sha256 of the body>", []row{
			invalid("the first", "wav", "wav/schema", told("200", `"x":2`)),
			invalid("the same again", "wav", "", told("200", `"x":2`)),
			invalid("the same once more", "wav", "", told("200", `"x":2`)),
			invalid("a space more", "wav", "wav/schema", told("200", `"x":2`)+" "),
			invalid("another type", "video", "video/schema", told("200", `"x":2`)),
			accepted("the failure, which needs no result", "wav/"+ownID+"/error/500", told("500", `"x":2`)),
		}},
	})
}

// TestContractOfComparison plants what the gateway cannot store itself: a result
// that was polled, and a callback that an operator deleted.
func TestContractOfComparison(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), "")
	r := start(t, natstest.Provisioned(t, server))
	js := natstest.JetStream(t, server)
	natstest.Erasable(t, js, "CALLBACKS")
	plant := func(id, source string) uint64 {
		msg := nats.NewMsg("callbacks.wav.complete")
		msg.Header = nats.Header{"Nats-Msg-Id": {id}, "ce-id": {id}, "ce-source": {source}}
		msg.Data = []byte("{}")
		ack, err := js.PublishMsg(t.Context(), msg)
		if err != nil {
			t.Fatal(err)
		}
		return ack.Sequence
	}
	const polled, compared, deleted = "wav/polled/complete/200", "wav/compared/complete/200", "wav/deleted/complete/200"
	plant(polled, "/polled/wav")
	plant(compared, "/callbacks/wav")
	gone := plant(deleted, "/callbacks/wav")
	stream, err := js.Stream(t.Context(), "CALLBACKS")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteMsg(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{polled: "duplicate", compared: "conflict", deleted: "duplicate"} {
		before := r.callbacks("wav", "complete", want)
		raw := sent{body: strings.ReplaceAll(ownWAV, ownID, strings.Split(id, "/")[1])}.raw()
		if a := r.exchange(raw, http.MethodPost); a.status != http.StatusOK {
			t.Errorf("%s: answered %d %s", id, a.status, a.body)
		}
		if after := r.callbacks("wav", "complete", want); after != before+1 {
			t.Errorf("%s: not counted as %s", id, want)
		}
	}
	book := r.ledger()
	for _, id := range []string{polled, compared} {
		if string(book[id].Body) != "{}" {
			t.Errorf("%s is now %s", id, book[id].Body)
		}
		delete(book, id)
	}
	for id, m := range book {
		if m.Header["Fanfare-Reason"] != "conflict" || !strings.Contains(string(m.Body), `"compared"`) {
			t.Errorf("%s holds %s: %s", m.Subject, id, m.Body)
		}
	}
	if len(book) != 1 {
		t.Errorf("%d messages more than were planted, want the one conflict", len(book))
	}
}

func TestContractOfQuarantinedHeaders(t *testing.T) {
	t.Parallel()
	r := start(t, natstest.Broker(t), withKeys(secretFile(t, newKey)))
	now := instant(0)
	kept := map[string]string{
		"Content-Type": "application/json", "X-Webhook-Timestamp": now, "X-Webhook-Signature": sign(newKey, "t1", now),
		"User-Agent": "provider/1.0", "Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	}
	header := "Authorization: secret\r\nCookie: secret\r\nX-Forwarded-For: 192.0.2.1\r\n"
	for name, value := range kept {
		header += name + ": " + value + "\r\n"
	}
	body := strings.Replace(ownWAV, ownID, "t1", 1)
	invalid := strings.Replace(body, "https", "ftp", 1)
	for _, s := range []sent{{header: header, body: invalid, want: 400}, {header: header, body: body, want: 200}, {header: header, body: strings.ToLower(body), want: 400}} {
		if a := r.exchange(s.raw(), http.MethodPost); a.status != s.want {
			t.Errorf("answered %d %s, want %d", a.status, a.body, s.want)
		}
	}
	for _, m := range r.stored("quarantine.wav", 2) {
		for name, want := range kept {
			if got := m.Header[name]; got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		for name, value := range m.Header {
			if _, ours := map[string]bool{"Nats-Msg-Id": true, "Fanfare-Reason": true, "Fanfare-Version": true, "Fanfare-Received": true, "Nats-Expected-Stream": true}[name]; !ours && kept[name] == "" {
				t.Errorf("header %s: %s is kept", name, value)
			}
		}
	}
}
