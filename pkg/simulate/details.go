package simulate

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"fanfare/pkg/callback"
)

// The budget of polls is held against every so long, with some slack: a poller knows
// when it asks and not when the question arrives, and several ask at the same time.
const (
	budgetWindow = 10 * time.Second
	budgetSlack  = time.Second // worth of polls
	budgetBurst  = 40          // polls
)

// raceSpread is how far a push and the poll that it races lie apart at most.
const raceSpread = 20 * time.Millisecond

// endpoint is where tasks of one type are asked for.
type endpoint struct {
	typ   callback.Type
	from  []string          // what an answer calls the result
	names map[string]string // what an answer calls the members of its items, by their names in a callback
}

// pollTally counts polls, and what was wrong with them.
type pollTally struct {
	polls   int64 // of whatever task
	faults  int64 // not answered as they should
	told    int64 // answered with the task's end
	after   int64 // although one was answered so before
	excess  int64 // beyond the budget, or that of one task
	twins   int64 // while the same task was asked for
	keyless int64 // without a key
	useful  int64 // of tasks of this run, until they were answered with the end
}

// details serves the provider's details endpoints, for the tasks that have begun.
type details struct {
	logger    *slog.Logger
	plan      *plan
	prefix    string // of every path, without a final slash
	endpoints map[string]endpoint
	share     float64 // of polls that are answered badly

	mu      sync.Mutex
	records map[string]*record
	recent  window
	tally   pollTally
}

func newDetails(logger *slog.Logger, p *plan, prefix string) (*details, error) {
	contracts, err := callback.LoadContracts()
	if err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	d := &details{
		logger: logger, plan: p, prefix: prefix, share: p.missed.PollErrors,
		endpoints: make(map[string]endpoint), records: make(map[string]*record),
		recent: window{
			length: budgetWindow,
			most:   int(p.missed.PollBudget*(budgetWindow+budgetSlack).Seconds()) + budgetBurst,
		},
	}
	for t, contract := range contracts {
		how, asked := contract.Details()
		if !asked {
			continue
		}
		e := endpoint{typ: t, from: how.Result.From, names: make(map[string]string)}
		if how.Result.Items != nil {
			for from, to := range how.Result.Items.Rename {
				e.names[to] = from
			}
		}
		d.endpoints[how.Path] = e
	}
	return d, nil
}

// open begins to answer questions about a task.
func (d *details) open(t task) *record {
	r := newRecord(t)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.records[taskKey(t.flavour.typ, t.id)] = r
	return r
}

// serves reports whether a path is that of an endpoint.
func (d *details) serves(path string) bool {
	_, found := d.endpoint(path)
	return found
}

func (d *details) endpoint(path string) (e endpoint, found bool) {
	if path, found = strings.CutPrefix(path, d.prefix); !found {
		return e, false
	}
	e, found = d.endpoints[path]
	return e, found
}

// ServeHTTP answers a poll.
func (d *details) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e, found := d.endpoint(r.URL.Path)
	if !found || r.Method != http.MethodGet {
		http.NotFound(w, r)
		return
	}
	rec := d.count(e.typ, callback.TaskID(r.URL.Query().Get("taskId")))
	if key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); !ok || strings.TrimSpace(key) == "" {
		d.note(func(t *pollTally) { t.keyless++ })
		unsaid(w, http.StatusUnauthorized, "You do not have access permissions")
		return
	}
	if rec == nil {
		d.deny(w, e.typ)
		return
	}
	d.answer(w, r, e, rec)
}

// count counts a poll and returns the record of its task, nil if there is none.
func (d *details) count(t callback.Type, id callback.TaskID) *record {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tally.polls++
	if d.recent.add(time.Now()) {
		d.tally.excess++
	}
	return d.records[taskKey(t, id)]
}

// answer answers a poll of a task of this run, well or badly.
func (d *details) answer(w http.ResponseWriter, r *http.Request, e endpoint, rec *record) {
	v := rec.enter(time.Now())
	defer rec.leave()
	d.note(func(t *pollTally) {
		t.excess += one(v.hasty)
		t.twins += one(v.twin)
		t.after += one(v.after)
		t.useful += one(!v.after)
	})
	g := newGenerator(d.plan.seed, fmt.Sprintf("poll/%s/%s/%d", e.typ, rec.task.id, v.number))
	fault, spoilt := drawPollFault(g), g.Float64() < d.share && rec.spoil()
	c := composer{generator: g, plan: d.plan, outline: rec.task.outline, tracks: rec.task.tracks, urls: rec.task.urls}
	switch {
	case spoilt:
		d.note(func(t *pollTally) { t.faults++ })
		fault(&pollExchange{w: w, draws: g, composer: c, endpoint: e, standing: v.standing})
		return
	case v.number == 1 && g.chance(unknownFirst(e.typ)):
		d.deny(w, e.typ)
		return
	}
	if v.final() {
		d.tell(r, g, rec)
	}
	body, err := drawLayout(g).write(g, c.details(e, v.standing))
	if err != nil {
		d.logger.Error("details not written", "type", e.typ, "task_id", rec.task.id, "error", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // that a client has gone is its own affair
}

// tell notes that a poll is told of its task's end. A callback that races it sets out
// now, and one of the two is a little faster.
func (d *details) tell(r *http.Request, g generator, rec *record) {
	rec.tell()
	d.note(func(t *pollTally) { t.told++ })
	if rec.task.fate == raced {
		pause(r.Context(), g.between(0, raceSpread))
	}
}

// unknownFirst is of how many of 100 tasks the first poll finds nothing yet.
func unknownFirst(t callback.Type) int {
	if t == cover {
		return 50 // the real one was seen to do so
	}
	return 10
}

// deny says that there is no such task, as each endpoint does.
func (d *details) deny(w http.ResponseWriter, t callback.Type) {
	switch t {
	case music, cover:
		unsaid(w, http.StatusOK, "success")
	default:
		unsaid(w, http.StatusUnprocessableEntity, "Record does not exist")
	}
}

// unsaid answers without data. All but a missing key comes as HTTP 200.
func unsaid(w http.ResponseWriter, code int, message string) {
	w.Header().Set("Content-Type", "application/json")
	if code == http.StatusUnauthorized {
		w.WriteHeader(code)
	}
	_, _ = fmt.Fprintf(w, `{"code":%d,"msg":%q,"data":null}`, code, message)
}

func (d *details) note(change func(*pollTally)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&d.tally)
}

// useful counts the polls that may lead to something.
func (d *details) useful() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tally.useful
}

// counts returns what was counted, the most polls in a [budgetWindow], and the most
// that a task needed.
func (d *details) counts() (t pollTally, peak, most int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for r := range maps.Values(d.records) {
		r.mu.Lock()
		most = max(most, r.polls)
		r.mu.Unlock()
	}
	return d.tally, d.recent.peak, most
}

func one(is bool) int64 {
	if is {
		return 1
	}
	return 0
}
