package simulate

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"fanfare/pkg/callback"
	"fanfare/pkg/media"
	"fanfare/pkg/result"
)

// records are results in memory.
type records struct {
	mu       sync.Mutex
	docs     map[string]result.Document
	letters  []DeadLetter
	activity Activity
	reads    int

	read  func(n int) error                                       // nil: every read succeeds
	alter func(result.Document) (doc result.Document, found bool) // nil: documents are read as written
	bury  func(DeadLetter) bool                                   // nil: every dead letter is kept
}

func (r *records) Result(_ context.Context, t callback.Type, id callback.TaskID) (result.Document, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.readable(); err != nil {
		return result.Document{}, false, err
	}
	doc, found := r.docs[callback.Key(t, id, "/")]
	if found && r.alter != nil {
		doc, found = r.alter(doc)
	}
	return doc, found, nil
}

func (r *records) Activity(context.Context) (Activity, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.activity.Unsettled > 0 {
		r.activity.Moves++ // somebody is at it, however busy the machine is
	}
	return r.activity, r.readable()
}

func (r *records) DeadLetters(_ context.Context, show func(DeadLetter)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, letter := range r.letters {
		if r.bury == nil || r.bury(letter) {
			show(letter)
		}
	}
	return r.readable()
}

func (r *records) giveUp(letter DeadLetter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.letters = append(r.letters, letter)
}

func (r *records) readable() error {
	r.reads++
	if r.read == nil {
		return nil
	}
	return r.read(r.reads)
}

// merge records what next says, and settles so many messages.
func (r *records) merge(next result.Document, arrived, settled uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.docs == nil {
		r.docs = make(map[string]result.Document)
	}
	r.activity.Moves++
	r.activity.Unsettled += arrived - settled
	key := callback.Key(next.Type, next.TaskID, "/")
	if current, found := r.docs[key]; found {
		next, _ = result.Merge(current, next)
	}
	r.docs[key] = next
}

// receiver is a small gateway with its consumers: it decodes what it gets by
// the contracts, merges the results, and archives the media as consumers do.
type receiver struct {
	t         *testing.T
	contracts callback.Contracts
	records   *records
	archive   *media.Archive
	fetcher   *media.Fetcher
	consumers sync.WaitGroup

	// fault may answer, or hang, instead of the receiver; n counts the requests
	// with the same message ID from 1 on.
	fault func(w http.ResponseWriter, r *http.Request, cb callback.Callback, n int) (answered bool)

	mu   sync.Mutex
	seen map[string]int
	kept map[string]map[string]any
}

// newReceiver starts a receiver and returns its URL.
func newReceiver(t *testing.T) (rcv *receiver, target string) {
	t.Helper()
	archive, err := media.OpenArchive(t.Context(), "file://"+filepath.ToSlash(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	rcv = &receiver{
		t: t, contracts: loadContracts(t), records: &records{}, archive: archive,
		seen: make(map[string]int), kept: make(map[string]map[string]any),
	}
	server := httptest.NewServer(rcv)
	t.Cleanup(func() {
		server.Close()
		rcv.consumers.Wait()
		_ = archive.Close()
	})
	return rcv, server.URL
}

func (rcv *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender hung up
	}
	typ, ok := strings.CutPrefix(r.URL.Path, "/callbacks/")
	contract := rcv.contracts[callback.Type(typ)]
	if !ok || contract == nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
		rcv.t.Errorf("unexpected request %s %s", r.Method, r.URL.Path)
		http.NotFound(w, r)
		return
	}
	cb, err := contract.Decode(body)
	if err != nil {
		rcv.t.Errorf("refused: %v\n%s", err, body)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	rcv.mu.Lock()
	rcv.seen[cb.MessageID()]++
	n := rcv.seen[cb.MessageID()]
	rcv.mu.Unlock()
	if rcv.fault != nil && rcv.fault(w, r, cb, n) {
		return
	}
	rcv.store(cb)
	_, _ = io.WriteString(w, `{"code":200,"msg":"success"}`)
}

// store handles the callback unless it is there already.
func (rcv *receiver) store(cb callback.Callback) {
	value := parse(rcv.t, cb.Body)
	rcv.mu.Lock()
	defer rcv.mu.Unlock()
	if kept, duplicate := rcv.kept[cb.MessageID()]; duplicate {
		if !reflect.DeepEqual(kept, value) && kept != nil && !cb.Polled { // nobody compares what came with what was found
			rcv.t.Errorf("conflict: %s", cb.MessageID())
		}
		return
	}
	rcv.kept[cb.MessageID()] = value
	if cb.Polled {
		rcv.kept[cb.MessageID()] = nil
	}
	cb.Received = time.Now()
	assets := mediaOf(cb, data(value))
	offered := make([]result.Media, len(assets))
	for i, asset := range assets {
		offered[i] = result.Media{Name: asset.Name, SourceURL: asset.URLs[0]}
	}
	doc := result.New(cb, offered)
	rcv.records.merge(doc, 1, 0)
	rcv.consumers.Go(func() { rcv.records.merge(rcv.fetch(doc, assets), 0, 1) })
}
