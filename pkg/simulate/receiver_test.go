package simulate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gabriel-vasile/mimetype"

	"fanfare/pkg/callback"
	"fanfare/pkg/result"
)

// records are results in memory.
type records struct {
	mu       sync.Mutex
	docs     map[string]result.Document
	activity Activity
	reads    int

	read  func(n int) error                                       // nil: every read succeeds
	alter func(result.Document) (doc result.Document, found bool) // nil: documents are read as written
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
	return r.activity, r.readable()
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
// the contracts, merges the results and downloads the media.
type receiver struct {
	t         *testing.T
	contracts callback.Contracts
	records   *records
	client    *http.Client
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
	rcv = &receiver{
		t: t, contracts: loadContracts(t), records: &records{},
		client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		seen:   make(map[string]int), kept: make(map[string]map[string]any),
	}
	server := httptest.NewServer(rcv)
	t.Cleanup(func() {
		server.Close()
		rcv.consumers.Wait()
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
		if !reflect.DeepEqual(kept, value) {
			rcv.t.Errorf("conflict: %s", cb.MessageID())
		}
		return
	}
	rcv.kept[cb.MessageID()] = value
	cb.Received = time.Now()
	doc := result.New(cb, mediaOf(cb, data(value)))
	rcv.records.merge(doc, 1, 0)
	rcv.consumers.Go(func() { rcv.records.merge(rcv.archive(doc), 0, 1) })
}

// archive downloads the document's media.
func (rcv *receiver) archive(doc result.Document) result.Document {
	if len(doc.Media) == 0 {
		return doc
	}
	doc.Archive = result.Archived
	doc.Media = slices.Clone(doc.Media)
	for i, m := range doc.Media {
		status, content := get(rcv.t, rcv.client, http.MethodGet, m.SourceURL)
		if status != http.StatusOK {
			rcv.t.Errorf("%s: answered %d", m.SourceURL, status)
			doc.Archive = result.Partial
			continue
		}
		sum := sha256.Sum256(content)
		doc.Media[i].SHA256 = hex.EncodeToString(sum[:])
		doc.Media[i].Bytes = int64(len(content))
		doc.Media[i].ContentType = mimetype.Detect(content).String()
	}
	return doc
}

// mediaOf names a callback's files.
func mediaOf(cb callback.Callback, data map[string]any) []result.Media {
	var media []result.Media
	add := func(value any) {
		if url, _ := value.(string); url != "" {
			media = append(media, result.Media{Name: fmt.Sprint(len(media)), SourceURL: url})
		}
	}
	if cb.Stage == callback.Error || cb.Stage == callback.Text {
		return nil
	}
	tracks, _ := data["data"].([]any)
	for _, item := range tracks {
		if track, _ := item.(map[string]any); something(track["audio_url"]) {
			add(track["audio_url"])
			add(track["image_url"])
		}
	}
	images, _ := data["images"].([]any)
	for _, image := range images {
		add(image)
	}
	response, _ := data["response"].(map[string]any)
	for _, value := range []any{data["video_url"], data["audioWavUrl"], data["audio_wav_url"], response["audioWavUrl"]} {
		add(value)
	}
	return media
}
