package media

import (
	"bytes"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

const testBucket = "fanfare-test"

// realStore names the environment variable with the address of an S3 store, such
// as http://127.0.0.1:7070, that the tests are to use instead of their own. Its
// credentials are in the AWS environment; the bucket is made, and emptied.
const realStore = "FANFARE_MEDIA_TEST_S3"

// setAWS is the environment of all tests, so that none finds credentials of
// somebody's, or asks the network for them.
func setAWS() {
	settings := map[string]string{
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_REGION": "",
	}
	if os.Getenv(realStore) == "" {
		settings["AWS_ACCESS_KEY_ID"], settings["AWS_SECRET_ACCESS_KEY"] = "test", "test-secret"
	}
	for name, value := range settings {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
}

// store is an S3 store that can be told to misbehave.
type store struct {
	url     string // of its HTTP server
	handler http.Handler

	mu        sync.Mutex
	misbehave func(http.ResponseWriter, *http.Request) bool // nil, or what answers instead, unless it returns false
	requests  []string                                      // operations
}

// newStore starts a store with one bucket. It lives in the test's process, so that
// AWS is never asked for anything, unless the environment names another.
func newStore(t *testing.T) *store {
	t.Helper()
	target := os.Getenv(realStore)
	if target == "" {
		return newOwnStore(t)
	}
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	return startStore(t, &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(u)
		r.Out.Host = r.In.Host // which is signed
	}})
}

// newOwnStore starts a store for tests that need one with another clock, or that
// take off what was signed.
func newOwnStore(t *testing.T, options ...gofakes3.Option) *store {
	t.Helper()
	backend := s3mem.New()
	fake := gofakes3.New(backend, append([]gofakes3.Option{gofakes3.WithTimeSkewLimit(0)}, options...)...)
	return startStore(t, conditional(fake.Server(), backend))
}

func startStore(t *testing.T, handler http.Handler) *store {
	t.Helper()
	s := &store{handler: handler}
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	s.url = server.URL
	s.createBucket(t)
	return s
}

// conditional adds what gofakes3 lacks: If-None-Match when a multipart upload is
// completed, and an empty list where there has never been an upload.
func conditional(fake http.Handler, backend gofakes3.Backend) http.Handler {
	var mu sync.Mutex
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case operation(r) == "ListMultipartUploads":
			w = &emptyList{ResponseWriter: w}
			fallthrough
		case operation(r) != "CompleteMultipartUpload" || r.Header.Get("If-None-Match") != "*":
			fake.ServeHTTP(w, r)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		if _, err := backend.HeadObject(bucket, key); err == nil {
			refuse(http.StatusPreconditionFailed, "PreconditionFailed")(w, r)
			return
		}
		fake.ServeHTTP(w, r)
	})
}

// emptyList turns 404 into an empty list.
type emptyList struct {
	http.ResponseWriter
	empty bool
}

func (l *emptyList) WriteHeader(status int) {
	l.empty = status == http.StatusNotFound
	if l.empty {
		l.ResponseWriter.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(l.ResponseWriter, "<ListMultipartUploadsResult></ListMultipartUploadsResult>")
		return
	}
	l.ResponseWriter.WriteHeader(status)
}

func (l *emptyList) Write(p []byte) (int, error) {
	if l.empty {
		return len(p), nil
	}
	return l.ResponseWriter.Write(p)
}

// refuse answers as S3 does when it will not.
func refuse(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		_ = xml.NewEncoder(w).Encode(struct {
			XMLName xml.Name `xml:"Error"`
			Code    string
			Message string
		}{Code: code, Message: code})
	}
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	misbehave := s.misbehave
	s.requests = append(s.requests, operation(r))
	s.mu.Unlock()
	if misbehave == nil || !misbehave(w, r) {
		s.handler.ServeHTTP(w, r)
	}
}

// setMisbehave makes the handler answer the operations.
func (s *store) setMisbehave(handler http.HandlerFunc, operations ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.misbehave = func(w http.ResponseWriter, r *http.Request) bool {
		if !slices.Contains(operations, operation(r)) {
			return false
		}
		handler(w, r)
		return true
	}
}

func (s *store) behave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.misbehave = nil
}

// asked returns the operations so far, and forgets them.
func (s *store) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.requests
	s.requests = nil
	return asked
}

// operation is the name of the S3 operation that a request asks for.
func operation(r *http.Request) string {
	query := r.URL.Query()
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	object := key != ""
	switch {
	case r.Method == http.MethodPost && query.Has("uploads"):
		return "CreateMultipartUpload"
	case r.Method == http.MethodPost && query.Has("uploadId"):
		return "CompleteMultipartUpload"
	case r.Method == http.MethodPut && query.Has("uploadId"):
		return "UploadPart"
	case r.Method == http.MethodDelete && query.Has("uploadId"):
		return "AbortMultipartUpload"
	case r.Method == http.MethodGet && query.Has("uploads"):
		return "ListMultipartUploads"
	case r.Method == http.MethodPut && object:
		return "PutObject"
	case r.Method == http.MethodGet && object:
		return "GetObject"
	case r.Method == http.MethodGet:
		return "ListObjects"
	default:
		return r.Method
	}
}

// archiveURL is where the store's bucket is an archive.
func (s *store) archiveURL(parameters ...string) string {
	query := url.Values{"region": {"eu-central-1"}, "endpoint": {s.url}, "use_path_style": {"true"}}
	for i := 0; i < len(parameters); i += 2 {
		query.Set(parameters[i], parameters[i+1])
	}
	return "s3://" + testBucket + "?" + query.Encode()
}

func (s *store) open(t *testing.T, parameters ...string) *Archive {
	t.Helper()
	archive, err := OpenArchive(t.Context(), s.archiveURL(parameters...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := archive.Close(); err != nil {
			t.Error(err)
		}
	})
	return archive
}

// createBucket makes the bucket, or empties it.
func (s *store) createBucket(t *testing.T) {
	t.Helper()
	client := s.open(t).objects.client
	bucket := testBucket
	_, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket})
	if err != nil && !hasCode(err, "BucketAlreadyOwnedByYou") && !hasCode(err, "BucketAlreadyExists") {
		t.Fatal(err)
	}
	s.empty(t)
	t.Cleanup(func() { s.behave() })
}

func (s *store) empty(t *testing.T) {
	t.Helper()
	archive := s.open(t)
	bucket := testBucket
	for key := range s.objects(t) {
		if _, err := archive.objects.client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &bucket, Key: &key}); err != nil {
			t.Fatal(err)
		}
	}
	for _, upload := range s.unfinished(t) {
		if err := archive.objects.abort(t.Context(), *upload.Key, upload.UploadId); err != nil {
			t.Fatal(err)
		}
	}
	s.asked()
}

// objects returns what is in the bucket, prefixes included.
func (s *store) objects(t *testing.T) map[string][]byte {
	t.Helper()
	archive, found := s.open(t), make(map[string][]byte)
	for entry, err := range archive.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		content, err := archive.bucket.ReadAll(t.Context(), entry.Key)
		if err != nil {
			t.Fatal(err)
		}
		found[entry.Key] = content
	}
	return found
}

// uploads returns the keys of multipart uploads that are neither completed nor
// aborted.
func (s *store) uploads(t *testing.T) []string {
	t.Helper()
	keys := []string{}
	for _, upload := range s.unfinished(t) {
		keys = append(keys, *upload.Key)
	}
	return keys
}

func (s *store) unfinished(t *testing.T) []types.MultipartUpload {
	t.Helper()
	bucket := testBucket
	page, err := s.open(t).objects.client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &bucket})
	if err != nil {
		t.Fatal(err)
	}
	return page.Uploads
}

// holds fails unless the bucket holds the objects and nothing unfinished.
func (s *store) holds(t *testing.T, want map[string][]byte) {
	t.Helper()
	found := s.objects(t)
	for key, content := range want {
		if !bytes.Equal(found[key], content) {
			t.Errorf("%s: %d bytes, want %d, or others", key, len(found[key]), len(content))
		}
	}
	if len(found) != len(want) {
		t.Errorf("%d objects, want %d", len(found), len(want))
	}
	if uploads := s.uploads(t); len(uploads) != 0 {
		t.Errorf("unfinished uploads: %s", uploads)
	}
}

// ago is a clock that is behind.
type ago time.Duration

func (a ago) Now() time.Time                     { return time.Now().Add(-time.Duration(a)) }
func (a ago) Since(then time.Time) time.Duration { return a.Now().Sub(then) }
