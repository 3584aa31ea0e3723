package simulate

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	"fanfare/pkg/callback"
	asking "fanfare/pkg/provider"
)

// missedPlan is a plan of a provider that misses callbacks.
func missedPlan(seed uint64, tasks int, m Missed) *plan {
	p := testPlan(seed, tasks, Hostility{})
	p.missed = m
	if p.missed.PollBudget == 0 {
		p.missed.PollBudget = 1e6
	}
	return p
}

// asked is a provider that is asked for its tasks by a real client.
type asked struct {
	*details

	contracts callback.Contracts
	client    *asking.Client
	url       string
}

func newAsked(t *testing.T, p *plan) *asked {
	t.Helper()
	d, err := newDetails(discard(), p, "/media")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	a := &asked{details: d, contracts: loadContracts(t), url: server.URL + "/media"}
	a.client = newClient(t, a.url)
	return a
}

func newClient(t *testing.T, url string) *asking.Client {
	t.Helper()
	client, err := asking.New(asking.Options{BaseURL: url, Key: func() string { return "key" }, EgressAllow: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func (a *asked) ask(t *testing.T, typ callback.Type, id callback.TaskID) asking.Answer {
	t.Helper()
	answer, err := a.client.Details(t.Context(), a.contracts[typ], id)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// pushedAs returns what a task's call is as a callback that came, and the media that
// it offers.
func pushedAs(t *testing.T, contracts callback.Contracts, planned task, call int) (id string, urls any) {
	t.Helper()
	for _, s := range planned.sendings {
		if s.call == call && len(s.bodies) > 0 {
			return identityOf(t, contracts[planned.flavour.typ], s.bodies[0])
		}
	}
	t.Fatalf("task %s never sends its call %d", planned.id, call)
	return "", nil
}

func identityOf(t *testing.T, contract *callback.Contract, body []byte) (id string, urls any) {
	t.Helper()
	cb, err := contract.Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	return cb.MessageID(), mediaOf(cb, data(parse(t, body)))
}

// TestAnswersAreTheCallbacks holds what a poll makes of each answer against the
// callback that the task has for it.
func TestAnswersAreTheCallbacks(t *testing.T) {
	t.Parallel()
	for seed := uint64(1); seed <= 4; seed++ {
		p := missedPlan(seed, 150, Missed{})
		a := newAsked(t, p)
		for i := range p.ids {
			planned := writeTask(t, p, i)
			rec := a.open(planned)
			_ = a.ask(t, planned.flavour.typ, planned.id) // which may find nothing
			if got := a.ask(t, planned.flavour.typ, planned.id); got.Outcome != asking.Running {
				t.Fatalf("%s: before it began: %+v", planned.id, got)
			}
			for call, c := range planned.calls {
				rec.reach(call)
				if c.stage == callback.Error && call != planned.decides() {
					if got := a.ask(t, planned.flavour.typ, planned.id); got.Outcome == asking.Final {
						t.Fatalf("%s: a failure that it recovers from is final", planned.id)
					}
					continue
				}
				checkFound(t, a, planned, call)
				if call == planned.decides() {
					rec.giveUp(call)
					checkFound(t, a, planned, call)
				}
			}
		}
		if a.tally.told != a.tally.after+int64(len(p.ids)) || a.tally.keyless+a.tally.twins+a.tally.faults != 0 {
			t.Errorf("counted %+v", a.tally)
		}
	}
}

// checkFound asks for a task that has come as far as that call.
func checkFound(t *testing.T, a *asked, planned task, call int) {
	t.Helper()
	got := a.ask(t, planned.flavour.typ, planned.id)
	want := asking.Progress
	if planned.calls[call].stage.Final() {
		want = asking.Final
	}
	if got.Outcome != want {
		t.Fatalf("%s %s at %v: %+v", planned.flavour.name, planned.id, planned.calls[call], got)
	}
	id, urls := pushedAs(t, a.contracts, planned, call)
	foundID, foundURLs := identityOf(t, a.contracts[planned.flavour.typ], got.Callback.Body)
	if foundID != id || !reflect.DeepEqual(foundURLs, urls) {
		t.Fatalf("%s found as %s with %v, want %s with %v", planned.flavour.name, foundID, foundURLs, id, urls)
	}
}

func TestUnknownTasks(t *testing.T) {
	t.Parallel()
	a := newAsked(t, missedPlan(1, 1, Missed{}))
	for typ := range a.contracts {
		if got := a.ask(t, typ, "nobody-knows"); got.Outcome != asking.UnknownTask {
			t.Errorf("%s: %+v", typ, got)
		}
	}
	if a.useful() != 0 || a.tally.polls != int64(len(a.contracts)) {
		t.Errorf("counted %+v", a.tally)
	}
}

func TestPollsThatBreakPromisesAreCounted(t *testing.T) {
	t.Parallel()
	p := missedPlan(1, 1, Missed{PollBudget: 1})
	a := newAsked(t, p)
	planned := writeTask(t, p, 0)
	rec := a.open(planned)
	rec.reach(planned.decides())

	contract := a.contracts[planned.flavour.typ]
	how, _ := contract.Details()
	status, _ := get(t, http.DefaultClient, http.MethodGet, a.url+how.Path+"?taskId="+string(planned.id))
	if status != http.StatusUnauthorized || a.tally.keyless != 1 {
		t.Errorf("without a key: status %d, %+v", status, a.tally)
	}
	if status, _ := get(t, http.DefaultClient, http.MethodGet, a.url+"/elsewhere"); status != http.StatusNotFound {
		t.Errorf("elsewhere: status %d", status)
	}
	const allowed = 11 + budgetBurst // of a budget of one
	rec.asking = 1                   // as if another were under way
	for range allowed {
		_ = a.ask(t, planned.flavour.typ, planned.id)
	}
	if a.tally.excess == 0 || a.tally.twins != allowed || a.tally.after < allowed-2 || a.tally.useful > 2 {
		t.Errorf("counted %+v", a.tally)
	}
	before := a.tally.excess
	_ = a.ask(t, planned.flavour.typ, "nobody-knows")
	if a.tally.excess != before+1 {
		t.Errorf("the budget is not exceeded: %+v", a.tally)
	}
}

func TestPollFaultsHeal(t *testing.T) {
	t.Parallel()
	p := missedPlan(3, 400, Missed{PollErrors: maxPollErrors})
	a := newAsked(t, p)
	outcomes := make(map[asking.Outcome]int)
	for i := range p.ids {
		planned := writeTask(t, p, i)
		rec := a.open(planned)
		rec.reach(planned.decides())
		for n := 1; ; n++ {
			got := a.ask(t, planned.flavour.typ, planned.id)
			if got.Outcome == asking.Final {
				break
			}
			outcomes[got.Outcome]++
			if n > maxTaskFaults+1 { // and one that finds nothing yet
				t.Fatalf("task %s: poll %d: %+v", planned.id, n, got)
			}
		}
	}
	for _, o := range []asking.Outcome{asking.Throttled, asking.Unavailable, asking.Unusable, asking.NoCredits, asking.Running, asking.UnknownTask} {
		if outcomes[o] == 0 {
			t.Errorf("no poll was %s: %v", o, outcomes)
		}
	}
}

func TestEveryPollFaultIsOne(t *testing.T) {
	t.Parallel()
	p := missedPlan(5, 1, Missed{})
	a := newAsked(t, p)
	planned := writeTask(t, p, 0)
	how, _ := a.contracts[planned.flavour.typ].Details()
	e := a.endpoints[how.Path]
	for n, fault := range pollFaults() {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			g := newGenerator(1, "fault")
			c := composer{generator: g, plan: p, outline: planned.outline, tracks: planned.tracks, urls: planned.urls}
			fault(&pollExchange{w: w, draws: g, composer: c, endpoint: e, standing: standing{call: planned.final(), begun: true}})
		}))
		got, err := newClient(t, server.URL).Details(t.Context(), a.contracts[planned.flavour.typ], planned.id)
		if err != nil || got.Outcome == asking.Final || got.Outcome == asking.Progress {
			t.Errorf("fault %d: %+v, %v", n, got, err)
		}
		server.Close()
	}
}
