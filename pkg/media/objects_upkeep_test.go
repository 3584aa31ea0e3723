package media

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/johannesboyne/gofakes3"

	"fanfare/pkg/eventually"
)

func TestProbeObjects(t *testing.T) {
	s := newStore(t)
	archive := s.open(t, "prefix", "media/")
	s.asked()
	if err := archive.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	if asked := s.asked(); !slices.Equal(asked, []string{"CreateMultipartUpload", "UploadPart", "AbortMultipartUpload"}) {
		t.Errorf("asked %s", asked)
	}
	s.holds(t, nil)
	for _, operation := range []string{"CreateMultipartUpload", "UploadPart", "AbortMultipartUpload"} {
		s.setMisbehave(refuse(http.StatusForbidden, "AccessDenied"), operation)
		if err := archive.Probe(t.Context()); !errors.Is(err, ErrArchive) {
			t.Errorf("without %s: %v", operation, err)
		}
		if operation != "AbortMultipartUpload" {
			s.behave()
			s.holds(t, nil)
		}
	}
}

func TestProbeObjectsCancelled(t *testing.T) {
	s := newStore(t)
	archive := s.open(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.setMisbehave(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		cancel()
		hold(r)
	}, "UploadPart")
	if err := archive.Probe(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, ErrArchive) {
		t.Errorf("got %v", err)
	}
	s.behave()
	s.holds(t, nil)
}

func TestCheckObjects(t *testing.T) {
	s := newStore(t)
	archive := s.open(t, "prefix", "media/")
	if err := archive.Check(t.Context()); err != nil {
		t.Error(err)
	}
	none, err := OpenArchive(t.Context(), strings.Replace(s.archiveURL(), testBucket, testBucket+"-none", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = none.Close() }()
	if err := none.Check(t.Context()); !errors.Is(err, ErrArchive) || !strings.Contains(err.Error(), testBucket+"-none") {
		t.Errorf("without a bucket: %v", err)
	}
	s.setMisbehave(refuse(http.StatusForbidden, "AccessDenied"), "ListObjects")
	if err := archive.Check(t.Context()); !errors.Is(err, ErrArchive) || strings.Contains(err.Error(), "test-secret") {
		t.Errorf("denied: %v", err)
	}
	s.setMisbehave(func(_ http.ResponseWriter, r *http.Request) { hold(r) }, "ListObjects")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := archive.Check(ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrArchive) {
		t.Errorf("hanging: %v", err)
	}
}

// begin starts a multipart upload and leaves it alone.
func (s *store) begin(t *testing.T, key string) {
	t.Helper()
	bucket := testBucket
	_, err := s.open(t).objects.client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSweepObjects(t *testing.T) {
	old := newOwnStore(t, gofakes3.WithTimeSource(ago(25*time.Hour)))
	for _, key := range []string{"wav/t/a.wav", "media/wav/t/a.wav", "media/probe", "media/other", "media/a/b/c/d"} {
		old.begin(t, key)
	}
	for range 3 {
		old.begin(t, "media/wav/t/b.wav")
	}
	removed, err := old.open(t, "prefix", "media/").sweep(t.Context())
	if left := old.uploads(t); removed != 5 || err != nil || !slices.Equal(left, []string{"media/a/b/c/d", "media/other", "wav/t/a.wav"}) {
		t.Errorf("removed %d, %v; left %s", removed, err, left)
	}
	removed, err = old.open(t).sweep(t.Context())
	if left := old.uploads(t); removed != 1 || err != nil || !slices.Equal(left, []string{"media/a/b/c/d", "media/other"}) {
		t.Errorf("removed %d, %v; left %s", removed, err, left)
	}

	young := newStore(t)
	young.begin(t, "wav/t/a.wav")
	if removed, err := young.open(t).sweep(t.Context()); removed != 0 || err != nil || len(young.uploads(t)) != 1 {
		t.Errorf("removed %d, %v; left %s", removed, err, young.uploads(t))
	}
}

// Another sweeper may be faster; a store that refuses is reported.
func TestSweepObjectsFails(t *testing.T) {
	s := newOwnStore(t, gofakes3.WithTimeSource(ago(25*time.Hour)))
	s.begin(t, "wav/t/a.wav")
	archive := s.open(t)
	s.setMisbehave(refuse(http.StatusNotFound, codeNoUpload), "AbortMultipartUpload")
	if removed, err := archive.sweep(t.Context()); removed != 0 || err != nil {
		t.Errorf("removed %d, %v", removed, err)
	}
	for _, operation := range []string{"AbortMultipartUpload", "ListMultipartUploads"} {
		s.setMisbehave(refuse(http.StatusForbidden, "AccessDenied"), operation)
		if _, err := archive.sweep(t.Context()); !errors.Is(err, ErrArchive) {
			t.Errorf("without %s: %v", operation, err)
		}
	}
}

// A long list comes in pages.
func TestSweepObjectsInPages(t *testing.T) {
	s := newStore(t)
	archive := s.open(t)
	key, upload, began, page := "wav/t/a.wav", "1", time.Now().Add(-staleAfter-time.Hour), 0
	s.setMisbehave(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		page++
		if page > 1 && r.URL.Query().Get("key-marker") != key {
			t.Errorf("page %d from %q", page, r.URL.Query().Get("key-marker"))
		}
		_, _ = fmt.Fprintf(w, `<ListMultipartUploadsResult><IsTruncated>%t</IsTruncated><NextKeyMarker>%s</NextKeyMarker>
			<NextUploadIdMarker>1</NextUploadIdMarker><Upload><Key>%[2]s</Key><UploadId>%s</UploadId><Initiated>%s</Initiated></Upload>
			</ListMultipartUploadsResult>`, page < 3, key, upload, began.UTC().Format(time.RFC3339))
	}, "ListMultipartUploads", "AbortMultipartUpload")
	if removed, err := archive.sweep(t.Context()); removed != 3 || err != nil || page != 3 {
		t.Errorf("removed %d, %v, of %d pages", removed, err, page)
	}
}

func TestIsStale(t *testing.T) {
	now := time.Now()
	o := &objects{prefix: "media/"}
	for key, want := range map[string]bool{
		"media/wav/t/a.wav": true, "media/probe": true, "media/wav/a.wav": false, "media/wav/t/u/a.wav": false, "media/wav/t/a b": false,
		"media/wav/../a": false, "media/": false,
	} {
		for age, old := range map[time.Duration]bool{0: false, 23 * time.Hour: false, 25 * time.Hour: true, -time.Hour: false} {
			began := now.Add(-age)
			if got := o.isStale(types.MultipartUpload{Key: &key, Initiated: &began}, now); got != (want && old) {
				t.Errorf("%s, %s old: %t", key, age, got)
			}
		}
	}
	if o.isStale(types.MultipartUpload{}, now) {
		t.Error("an upload of which nothing is known")
	}
}

// However large the files are, an upload holds no more than four parts.
func TestObjectsMemory(t *testing.T) {
	const uploads, parts, limit = 4, 12, 4 * partBytes
	s := newStore(t)
	archive := s.open(t)
	var (
		arrived sync.WaitGroup // at the last part, which all uploads wait at
		release = make(chan struct{})
	)
	arrived.Add(uploads)
	s.setMisbehave(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("ETag", `"1"`)
		switch operation(r) {
		case "CreateMultipartUpload":
			_ = xml.NewEncoder(w).Encode(gofakes3.InitiateMultipartUploadResult{UploadID: "1"})
		case "CompleteMultipartUpload":
			_ = xml.NewEncoder(w).Encode(gofakes3.CompleteMultipartUploadResult{ETag: "1"})
		default:
			if r.URL.Query().Get("partNumber") == fmt.Sprint(parts) {
				arrived.Done()
				<-release
			}
		}
	}, "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload")
	head, body := wav(8000), make([]byte, 1<<20)
	source := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(head)
		for range (parts + 4) * partBytes / len(body) {
			_, _ = w.Write(body)
		}
	})
	f := testFetcher(t, FetcherOptions{EgressAllow: loopback()})
	before := live()
	failures := make(chan error, uploads)
	for n := range uploads {
		go func() {
			_, err := archive.Store(t.Context(), f, fmt.Sprintf("wav/t/%d", n), wavAsset(source.URL), nil)
			failures <- err
		}()
	}
	arrived.Wait()
	each := (live() - before) / uploads
	close(release)
	for range uploads {
		if err := <-failures; err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d KiB an upload", each>>10)
	if each > limit {
		t.Errorf("%d bytes an upload, over %d", each, limit)
	}
}

// live returns the bytes that are in use.
func live() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// A store that falls silent is given up; one that is slow is not.
func TestStalling(t *testing.T) {
	const wait = 200 * time.Millisecond
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for range 10 {
			_, _ = w.Write([]byte("."))
			_ = http.NewResponseController(w).Flush()
			if r.URL.Path == "/silent" {
				hold(r)
				return
			}
			<-time.After(wait / 4)
		}
	}))
	defer server.Close()
	transport := &http.Transport{DialContext: stalling((&net.Dialer{}).DialContext, wait)}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	read := func(path string, request io.Reader) (string, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+path, request)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(r)
		if err != nil {
			return "", err
		}
		defer func() { _ = response.Body.Close() }()
		content, err := io.ReadAll(response.Body)
		return string(content), err
	}
	if got, err := read("/slow", nil); got != ".........." || err != nil {
		t.Errorf("slow answer: %q, %v", got, err)
	}
	if got, err := read("/slow", &slowReader{pause: wait / 4, left: 10}); got != ".........." || err != nil {
		t.Errorf("slow request: %q, %v", got, err)
	}
	start := time.Now()
	if got, err := read("/silent", nil); got != "." || err == nil || time.Since(start) > patience/2 {
		t.Errorf("silent: %q, %v after %s", got, err, time.Since(start))
	}
}

// A closed archive keeps no connections.
func TestCloseObjects(t *testing.T) {
	s := newStore(t)
	var open atomic.Int64
	server := httptest.NewUnstartedServer(s)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
		}
	}
	server.Start()
	defer server.Close()
	archive := s.open(t, "endpoint", server.URL)
	if err := archive.Check(t.Context()); err != nil || open.Load() == 0 {
		t.Errorf("%d connections, %v", open.Load(), err)
	}
	if err := archive.objects.probe(t.Context()); err != nil {
		t.Error(err)
	}
	archive.objects.close()
	eventually.Await(t, "the connections are closed", func() bool { return open.Load() == 0 })
}

// slowReader gives a byte after each pause.
type slowReader struct {
	pause time.Duration
	left  int
}

func (r *slowReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	r.left--
	<-time.After(r.pause)
	p[0] = '.'
	return 1, nil
}
