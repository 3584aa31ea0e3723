package consume_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"fanfare/consumers/music"
	"fanfare/consumers/wav"
	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/consume"
	"fanfare/pkg/eventually"
	"fanfare/pkg/media"
	"fanfare/pkg/natsd"
	"fanfare/pkg/natsd/natstest"
	"fanfare/pkg/result"
)

// mp3 and wave begin as such files do; what follows makes them differ.
func mp3(unique string) []byte {
	frame := "\xff\xfb\x90\x00" + strings.Repeat("\x00", 413) // MPEG-1 layer III, 128 kbit/s, 44.1 kHz
	return []byte(frame + frame + unique)
}

func wave(unique string) []byte { return []byte("RIFF\x24\x00\x00\x00WAVEfmt " + unique) }

// host is a media host whose files can be taken away and put back.
type host struct {
	*httptest.Server
	mu       sync.Mutex
	files    map[string][]byte
	status   map[string]int // answered instead of the file
	requests map[string]int
}

func newHost(tb testing.TB, files map[string][]byte) *host {
	tb.Helper()
	h := &host{files: files, status: make(map[string]int), requests: make(map[string]int)}
	h.Server = httptest.NewServer(http.HandlerFunc(h.serve))
	tb.Cleanup(h.Close)
	return h
}

func (h *host) serve(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests[r.URL.Path]++
	body, ok := h.files[r.URL.Path]
	switch status := h.status[r.URL.Path]; {
	case status != 0:
		w.WriteHeader(status)
	case !ok:
		w.WriteHeader(http.StatusNotFound)
	default:
		_, _ = w.Write(body)
	}
}

func (h *host) answer(path string, status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status[path] = status
}

func (h *host) asked(path string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.requests[path]
}

// archiving is a consumer with its archive.
type archiving struct {
	server   *natsd.Server
	broker   *broker.Broker
	runner   *consume.Runner
	dir      string
	registry *prometheus.Registry
}

func archive(tb testing.TB, spec consume.Spec, h *host, giveUp time.Duration) *archiving {
	tb.Helper()
	server := natstest.Start(tb, tb.TempDir(), "")
	a := &archiving{server: server, broker: natstest.Provisioned(tb, server), dir: tb.TempDir(), registry: prometheus.NewPedanticRegistry()}
	store, err := media.OpenArchive(tb.Context(), "file://"+a.dir)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = store.Close() })
	reg := prometheus.WrapRegistererWith(prometheus.Labels{"type": string(spec.Type)}, a.registry)
	archiver, err := consume.NewArchiver(reg, spec, a.broker.Results(), store, media.FetcherOptions{EgressAllow: []string{h.Listener.Addr().String()}})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = archiver.Close() })
	a.runner, _ = run(tb, consume.Options{
		Registerer: reg, Broker: a.broker, Contract: contract(tb, spec.Type), GiveUp: giveUp,
		Handler: archiver.Handle, Probe: archiver.Probe, Abandon: archiver.Abandon,
	})
	return a
}

// result waits until the task's result is as asked for.
func (a *archiving) result(tb testing.TB, t callback.Type, id callback.TaskID, ok func(result.Document) bool) result.Document {
	tb.Helper()
	var doc result.Document
	results := a.broker.Results()
	eventually.Await(tb, "the result", func() bool {
		stored, found, err := results.Get(tb.Context(), t, id)
		if err != nil {
			tb.Fatal(err)
		}
		doc = stored
		return found && ok(doc)
	})
	return doc
}

// intact checks that every archived file is there as its result says, and the
// result beside them.
func (a *archiving) intact(tb testing.TB, doc result.Document) {
	tb.Helper()
	eventually.Await(tb, "the manifest says what the result says", func() bool {
		manifest, err := os.ReadFile(filepath.Join(a.dir, filepath.FromSlash(doc.Key(media.ManifestName))))
		stored, found, resultErr := a.broker.Results().Get(tb.Context(), doc.Type, doc.TaskID)
		encoded, encodeErr := stored.Encode()
		return err == nil && resultErr == nil && encodeErr == nil && found && bytes.Equal(manifest, encoded)
	})
	for _, m := range doc.Media {
		if !m.Archived() {
			continue
		}
		body, err := os.ReadFile(filepath.Join(a.dir, filepath.FromSlash(m.Key)))
		if err != nil {
			tb.Error(err)
			continue
		}
		sum := sha256.Sum256(body)
		if int64(len(body)) != m.Bytes || hex.EncodeToString(sum[:]) != m.SHA256 {
			tb.Errorf("%s is not as its result says", m.Key)
		}
	}
}

func archived(doc result.Document) bool { return doc.Archive == result.Archived }

func wavComplete(id, url string) string {
	return fmt.Sprintf(`{"code":200,"msg":"success","data":{"task_id":%q,"audioWavUrl":%q}}`, id, url)
}

func TestMediaAreArchivedAndTheResultSaysSo(t *testing.T) {
	t.Parallel()
	h := newHost(t, map[string][]byte{"/a.wav": wave("a")})
	a := archive(t, wav.Spec(), h, 0)
	received := time.Now().UTC()
	publish(t, a.broker, "wav", wavComplete("5c79****be8e", h.URL+"/a.wav"), received)
	doc := a.result(t, "wav", "5c79****be8e", archived)
	a.intact(t, doc)
	if len(doc.Media) != 1 {
		t.Fatalf("%d media", len(doc.Media))
	}
	m := doc.Media[0]
	if m.Key != "wav/5c79=2A=2A=2A=2Abe8e/audio.wav" || m.SourceURL != h.URL+"/a.wav" || m.ContentType == "" {
		t.Errorf("media is %+v", m)
	}
	if doc.Outcome != result.Succeeded || doc.Stage != callback.Complete || doc.Code != 200 || doc.Message != "success" {
		t.Errorf("result is %+v", doc)
	}
	if !doc.Times.Received.Equal(received) || !doc.Times.Expires.Equal(received.Add(14*24*time.Hour)) || doc.Times.Archived.IsZero() {
		t.Errorf("times are %+v", doc.Times)
	}
}

func TestResultIsThereBeforeTheMediaAre(t *testing.T) {
	t.Parallel()
	h := newHost(t, map[string][]byte{"/a.wav": wave("a")})
	h.answer("/a.wav", http.StatusServiceUnavailable)
	a := archive(t, wav.Spec(), h, 0)
	publish(t, a.broker, "wav", wavComplete("t1", h.URL+"/a.wav"), time.Now())
	doc := a.result(t, "wav", "t1", func(d result.Document) bool { return len(d.Media) == 1 && d.Media[0].Error != "" })
	if doc.Archive != result.Pending || doc.Outcome != result.Succeeded || doc.Media[0].Error != "http_status" {
		t.Errorf("result is %+v", doc)
	}
	h.answer("/a.wav", 0)
	doc = a.result(t, "wav", "t1", archived)
	a.intact(t, doc)
	if doc.Media[0].Error != "" {
		t.Errorf("an error is left: %q", doc.Media[0].Error)
	}
}

func TestMediaThatAreGoneAreGivenUpAtOnce(t *testing.T) {
	t.Parallel()
	h := newHost(t, map[string][]byte{"/1.mp3": mp3("1")})
	h.answer("/2.mp3", http.StatusGone)
	a := archive(t, music.Spec(), h, 0)
	publish(t, a.broker, "music", fmt.Sprintf(`{"code":200,"msg":"","data":{"task_id":"t1","callbackType":"complete",
		"data":[{"id":"one","audio_url":"%[1]s/1.mp3"},{"id":"two","audio_url":"%[1]s/2.mp3"}]}}`, h.URL), time.Now())
	letter := deadLetters(t, a.broker, 1)[0]
	if letter.Header["Fanfare-Reason"] != "permanent" {
		t.Errorf("reason %q", letter.Header["Fanfare-Reason"])
	}
	doc := a.result(t, "music", "t1", func(d result.Document) bool { return d.Archive == result.Partial })
	a.intact(t, doc)
	if doc.Outcome != result.Succeeded || !doc.Media[0].Archived() || doc.Media[1].Error != "gone" {
		t.Errorf("result is %+v", doc)
	}
}

func TestMediaThatNeverComeAreGivenUpInTheEnd(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	h.answer("/a.wav", http.StatusBadGateway)
	a := archive(t, wav.Spec(), h, time.Nanosecond)
	publish(t, a.broker, "wav", wavComplete("t1", h.URL+"/a.wav"), time.Now())
	if letter := deadLetters(t, a.broker, 1)[0]; letter.Header["Fanfare-Reason"] != "gave_up" {
		t.Errorf("reason %q", letter.Header["Fanfare-Reason"])
	}
	doc := a.result(t, "wav", "t1", func(d result.Document) bool { return d.Archive == result.AllFailed })
	if doc.Outcome != result.Succeeded || doc.Times.Archived.IsZero() {
		t.Errorf("result is %+v", doc)
	}
}

func TestFailuresDownloadNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	a := archive(t, wav.Spec(), h, 0)
	publish(t, a.broker, "wav", `{"code":531,"msg":"refunded","data":{"task_id":"t1"}}`, time.Now())
	doc := a.result(t, "wav", "t1", func(result.Document) bool { return true })
	if doc.Outcome != result.Failed || doc.Archive != result.None || doc.Failure == nil || !doc.Failure.CreditsRefunded {
		t.Errorf("result is %+v", doc)
	}
}

// stages are the callbacks of one music task whose ID stands for %s, and whose
// media host for %s.
func stages() map[string]string {
	const one = `{"id":"one","audio_url":"%[2]s/1.mp3"}`
	return map[string]string{
		"text":     `{"code":200,"msg":"","data":{"task_id":"%[1]s","callbackType":"text","data":[]}}`,
		"first":    `{"code":200,"msg":"","data":{"task_id":"%[1]s","callbackType":"first","data":[` + one + `,{"id":"two","audio_url":""}]}}`,
		"error":    `{"code":501,"msg":"","data":{"task_id":"%[1]s","callbackType":"error","data":null}}`,
		"complete": `{"code":200,"msg":"","data":{"task_id":"%[1]s","callbackType":"complete","data":[` + one + `,{"id":"two","audio_url":"%[2]s/2.mp3"}]}}`,
	}
}

// orders returns every order of items.
func orders(items []string) [][]string {
	if len(items) <= 1 {
		return [][]string{slices.Clone(items)}
	}
	var all [][]string
	for i := range items {
		rest := slices.Delete(slices.Clone(items), i, i+1)
		for _, order := range orders(rest) {
			all = append(all, append([]string{items[i]}, order...))
		}
	}
	return all
}

func TestStagesInEveryOrderEndTheSame(t *testing.T) {
	t.Parallel()
	h := newHost(t, map[string][]byte{"/1.mp3": mp3("1"), "/2.mp3": mp3("2")})
	a := archive(t, music.Spec(), h, 0)
	all := orders([]string{"text", "first", "error", "complete"})
	for i, order := range all {
		for _, stage := range order {
			id := fmt.Sprintf("order-%d", i)
			publish(t, a.broker, "music", fmt.Sprintf(stages()[stage]+"%[3]s", id, h.URL, ""), time.Now())
		}
	}
	eventually.Await(t, "everything settled", func() bool { return unsettled(t, a.broker, "music") == 0 })
	for i, order := range all {
		doc := a.result(t, "music", callback.TaskID(fmt.Sprintf("order-%d", i)), archived)
		a.intact(t, doc)
		if doc.Outcome != result.Succeeded || len(doc.Media) != 2 || len(doc.Conflicts) != 1 {
			t.Errorf("%s: result is %+v", strings.Join(order, ", "), doc)
		}
	}
}

func TestTheSameIDOnTwoTypesIsTwoTasks(t *testing.T) {
	t.Parallel()
	h := newHost(t, map[string][]byte{"/a.wav": wave("a")})
	a := archive(t, wav.Spec(), h, 0)
	publish(t, a.broker, "music", `{"code":501,"msg":"","data":{"task_id":"t1","callbackType":"error"}}`, time.Now())
	publish(t, a.broker, "wav", wavComplete("t1", h.URL+"/a.wav"), time.Now())
	a.result(t, "wav", "t1", archived)
	if _, found, err := a.broker.Results().Get(t.Context(), "music", "t1"); found || err != nil {
		t.Errorf("the wav consumer recorded a music task: %v, %v", found, err)
	}
	if n := unsettled(t, a.broker, "music"); n != 1 {
		t.Errorf("%d music messages wait, want 1", n)
	}
}

func TestAnotherDeliveryDownloadsNothingTwice(t *testing.T) {
	t.Parallel()
	h := newHost(t, map[string][]byte{"/1.mp3": mp3("1"), "/2.mp3": mp3("2")})
	h.answer("/2.mp3", http.StatusBadGateway)
	a := archive(t, music.Spec(), h, 0)
	publish(t, a.broker, "music", fmt.Sprintf(stages()["complete"], "t1", h.URL), time.Now())
	eventually.Await(t, "the second track asked for", func() bool { return h.asked("/2.mp3") > 0 })
	h.answer("/2.mp3", 0)
	a.intact(t, a.result(t, "music", "t1", archived))
	if n := h.asked("/1.mp3"); n != 1 {
		t.Errorf("the first track was asked for %d times", n)
	}
}

func TestArchiverMetrics(t *testing.T) {
	t.Parallel()
	h := newHost(t, map[string][]byte{"/a.wav": wave("a")})
	a := archive(t, wav.Spec(), h, 0)
	publish(t, a.broker, "wav", wavComplete("t1", h.URL+"/a.wav"), time.Now())
	polled, err := contract(t, "wav").Decode([]byte(failedWAV(2)))
	if err != nil {
		t.Fatal(err)
	}
	polled.Received, polled.Polled = time.Now(), true
	if _, err := a.broker.Publish(t.Context(), polled); err != nil {
		t.Fatal(err)
	}
	eventually.Await(t, "everything settled", func() bool { return unsettled(t, a.broker, "wav") == 0 })
	want := strings.NewReplacer("%d", fmt.Sprint(len(wave("a")))).Replace(`
# HELP fanfare_archive_bytes_total Bytes of media put into the archive.
# TYPE fanfare_archive_bytes_total counter
fanfare_archive_bytes_total{type="wav"} %d
# HELP fanfare_archive_files_total Media files put into the archive.
# TYPE fanfare_archive_files_total counter
fanfare_archive_files_total{type="wav"} 1
# HELP fanfare_deliveries_total Messages delivered to a handler, by verdict (ack, retry, dead_letter).
# TYPE fanfare_deliveries_total counter
fanfare_deliveries_total{type="wav",verdict="ack"} 2
fanfare_deliveries_total{type="wav",verdict="dead_letter"} 0
fanfare_deliveries_total{type="wav",verdict="retry"} 0
# HELP fanfare_results_by_origin_total Final task states recorded, by how they were learned (callback, poll).
# TYPE fanfare_results_by_origin_total counter
fanfare_results_by_origin_total{origin="callback",type="wav"} 1
fanfare_results_by_origin_total{origin="poll",type="wav"} 1
# HELP fanfare_results_total Task states recorded, by outcome (progress, succeeded, failed) and reason of failure.
# TYPE fanfare_results_total counter
fanfare_results_total{outcome="failed",reason="content_rejected",type="wav"} 0
fanfare_results_total{outcome="failed",reason="generation_failed",type="wav"} 0
fanfare_results_total{outcome="failed",reason="generation_failed_refunded",type="wav"} 0
fanfare_results_total{outcome="failed",reason="invalid_request",type="wav"} 0
fanfare_results_total{outcome="failed",reason="provider_error",type="wav"} 1
fanfare_results_total{outcome="failed",reason="source_unavailable",type="wav"} 0
fanfare_results_total{outcome="failed",reason="timeout",type="wav"} 0
fanfare_results_total{outcome="failed",reason="unknown",type="wav"} 0
fanfare_results_total{outcome="progress",reason="none",type="wav"} 0
fanfare_results_total{outcome="succeeded",reason="none",type="wav"} 1
`)
	check := func() error {
		return testutil.GatherAndCompare(a.registry, strings.NewReader(want), "fanfare_archive_bytes_total",
			"fanfare_archive_files_total", "fanfare_deliveries_total", "fanfare_results_total", "fanfare_results_by_origin_total")
	}
	eventually.Await(t, "the last delivery counted", func() bool { return check() == nil })
	problems, err := testutil.GatherAndLint(a.registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}
