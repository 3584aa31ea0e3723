package media

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// small fits into one part, large needs three.
func small() []byte { return wav(44_100) }
func large() []byte { return wav(2*partBytes + 44_100) }

func TestOpenObjectsRefuses(t *testing.T) {
	const region = "region=eu-central-1"
	tests := []struct{ name, url, says string }{
		{"no bucket", "s3://?" + region, "s3://bucket"},
		{"credentials", "s3://AKIA:" + secret + "@bucket?" + region, "AWS environment"},
		{"a port", "s3://bucket:9000?" + region, "endpoint"},
		{"a path", "s3://bucket/media?" + region, "prefix"},
		{"a path of nothing", "s3://bucket/?" + region, "prefix"},
		{"a fragment", "s3://bucket?" + region + "#media", "prefix"},
		{"opaque", "s3:bucket?" + region, "s3://bucket"},
		{"no region", "s3://bucket", "region"},
		{"a secret for a parameter", "s3://bucket?" + region + "&secret_key=" + secret, "secret_key"},
		{"a parameter of files", "s3://bucket?" + region + "&min_free_bytes=1", "min_free_bytes"},
		{"a parameter's value", "s3://bucket?" + region + "&use_path_style=perhaps", "use_path_style"},
		{"a prefix that is no folder", "s3://bucket?" + region + "&prefix=media", "end in /"},
		{"a prefix of nothing", "s3://bucket?" + region + "&prefix=/", "empty"},
		{"a prefix above", "s3://bucket?" + region + "&prefix=../", "relative"},
		{"another scheme", "gs://bucket", "file or s3"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := OpenArchive(t.Context(), test.url)
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want what says %q", err, test.says)
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("the secret is told: %v", err)
			}
		})
	}
}

func TestStoreObjects(t *testing.T) {
	for _, test := range []struct {
		name    string
		content []byte
		asked   []string // of the store, to write it
	}{
		{"in one part", small(), []string{"PutObject"}},
		{"in three parts", large(), []string{"CreateMultipartUpload", "UploadPart", "UploadPart", "UploadPart", "CompleteMultipartUpload"}},
		{"of a part's size", wav(partBytes - 44), []string{"CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"}},
	} {
		for _, prefix := range []string{"", "media/archive/"} {
			t.Run(test.name+" below "+prefix, func(t *testing.T) {
				s := newStore(t)
				archive := s.open(t, "prefix", prefix)
				if prefix == "" {
					archive = s.open(t)
				}
				var requests atomic.Int64
				server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
					requests.Add(1)
					_, _ = w.Write(test.content)
				})
				f := testFetcher(t, FetcherOptions{EgressAllow: loopback()})
				s.asked()
				want := File{
					SourceURL: server.URL, Key: "wav/task=2E1/a.wav", Bytes: int64(len(test.content)),
					SHA256: sha(test.content), ContentType: "audio/wav",
				}
				file, err := archive.Store(t.Context(), f, want.Key, wavAsset(server.URL), nil)
				if err != nil || file != want {
					t.Fatalf("got %+v, %v, want %+v", file, err, want)
				}
				if asked := s.asked(); !slices.Equal(asked, append([]string{"GetObject"}, test.asked...)) {
					t.Errorf("asked %s", asked)
				}
				s.holds(t, map[string][]byte{prefix + want.Key: test.content})
				attributes, err := archive.bucket.Attributes(t.Context(), want.Key)
				if err != nil || attributes.ContentType != "audio/wav" {
					t.Errorf("stored as %s, %v", attributes.ContentType, err)
				}

				want.SourceURL = ""
				moved := 0
				again, err := archive.Store(t.Context(), f, want.Key, wavAsset(server.URL), func(n int) { moved += n })
				if err != nil || again != want || moved != len(test.content) || requests.Load() != 1 {
					t.Errorf("again: %+v, %v, %d bytes moved, %d requests", again, err, moved, requests.Load())
				}
				if hashed, err := archive.Hash(t.Context(), want.Key); err != nil || hashed != want {
					t.Errorf("Hash: %+v, %v", hashed, err)
				}
				if _, err := archive.Hash(t.Context(), "wav/task=2E1/b.wav"); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("Hash of nothing: %v", err)
				}
				if free, ok := archive.FreeBytes(); ok {
					t.Errorf("%d bytes free", free)
				}
			})
		}
	}
}

// What the media host breaks off leaves nothing, however much of it was stored.
func TestStoreObjectsOfBrokenSources(t *testing.T) {
	for name, content := range map[string][]byte{"in the first part": small(), "in the third part": large()} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			archive := s.open(t)
			server := serve(t, raw(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(content)+1, content)))
			_, err := archive.Store(t.Context(), testFetcher(t, FetcherOptions{EgressAllow: loopback()}), "wav/t/a.wav", wavAsset(server.URL), nil)
			if failure := fetchFailure(t, err); failure.Reason != ReasonTruncated {
				t.Errorf("got %v", err)
			}
			s.holds(t, nil)
		})
	}
}

// A caller that gives up, at whatever moment, leaves nothing.
func TestStoreObjectsCancelled(t *testing.T) {
	for _, test := range []struct {
		name   string
		hangs  string // what the store does not answer, and the caller gives up at
		source []byte
	}{
		{"before the first byte", "", nil},
		{"in the first part", "", small()},
		{"in the third part", "", large()},
		{"while a small file is put", "PutObject", small()},
		{"while an upload is begun", "CreateMultipartUpload", large()},
		{"while a part is on its way", "UploadPart", large()},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			archive := s.open(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s.setMisbehave(func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // until then nobody sees that the client has gone
				cancel()
				hold(r)
			}, test.hangs)
			server := serve(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = w.Write(test.source)
				if test.hangs == "" {
					_ = http.NewResponseController(w).Flush()
					hold(r)
				}
			})
			arrived := 0
			_, err := archive.Store(ctx, testFetcher(t, FetcherOptions{EgressAllow: loopback()}), "wav/t/a.wav", wavAsset(server.URL), func(n int) {
				if arrived += n; arrived == len(test.source) && test.hangs == "" {
					cancel()
				}
			})
			if !errors.Is(err, context.Canceled) || errors.Is(err, ErrArchive) {
				t.Errorf("got %v", err)
			}
			s.behave()
			s.holds(t, nil)
		})
	}
}

// Two processes store different content under one key at the same moment: both
// must describe the file that stays.
func TestStoreObjectsConcurrently(t *testing.T) {
	for name, contents := range map[string][2][]byte{
		"small": {small(), wav(8000)}, "large": {large(), wav(2 * partBytes)}, "of both kinds": {small(), large()},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			f := testFetcher(t, FetcherOptions{EgressAllow: loopback()})
			arrived, release := make(chan struct{}, 2), make(chan struct{})
			type outcome struct {
				file File
				err  error
			}
			outcomes := make(chan outcome, len(contents))
			for _, content := range contents {
				server := serve(t, func(w http.ResponseWriter, r *http.Request) {
					_, _ = w.Write(content[:sniffBytes])
					_ = http.NewResponseController(w).Flush()
					arrived <- struct{}{}
					select {
					case <-release:
					case <-r.Context().Done():
					}
					_, _ = w.Write(content[sniffBytes:])
				})
				archive := s.open(t)
				go func() {
					file, err := archive.Store(t.Context(), f, "wav/t/a.wav", wavAsset(server.URL), nil)
					outcomes <- outcome{file, err}
				}()
			}
			<-arrived
			<-arrived
			close(release)
			first, second := <-outcomes, <-outcomes
			if first.err != nil || second.err != nil {
				t.Fatalf("got %v and %v", first.err, second.err)
			}
			stored := s.objects(t)["wav/t/a.wav"]
			if first.file.SHA256 != sha(stored) || second.file.SHA256 != sha(stored) {
				t.Errorf("described as %s and %s, is %s", first.file.SHA256, second.file.SHA256, sha(stored))
			}
			if (first.file.SourceURL == "") == (second.file.SourceURL == "") {
				t.Errorf("stored from %q and %q", first.file.SourceURL, second.file.SourceURL)
			}
			s.holds(t, map[string][]byte{"wav/t/a.wav": stored})
		})
	}
}

// The store's faults are the archive's: the media host is not blamed, no partial
// file is visible, and the next try works.
func TestStoreObjectsUnavailable(t *testing.T) {
	reset := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	for _, test := range []struct {
		name      string
		operation string
		answer    http.HandlerFunc
		content   []byte
	}{
		{"cannot be asked", "GetObject", refuse(http.StatusForbidden, "AccessDenied"), small()},
		{"denies", "PutObject", refuse(http.StatusForbidden, "AccessDenied"), small()},
		{"is full", "PutObject", refuse(http.StatusInsufficientStorage, "XMinioStorageFull"), small()},
		{"does not know conditions", "PutObject", refuse(http.StatusNotImplemented, "NotImplemented"), small()},
		{"denies uploads", "CreateMultipartUpload", refuse(http.StatusForbidden, "AccessDenied"), large()},
		{"is full at a part", "UploadPart", refuse(http.StatusInsufficientStorage, "XMinioStorageFull"), large()},
		{"hangs up at a part", "UploadPart", reset, large()},
		{"fails at the end", "CompleteMultipartUpload", refuse(http.StatusBadRequest, "InvalidPart"), large()},
		{"drops the upload", "CompleteMultipartUpload", refuse(http.StatusConflict, "ConditionalRequestConflict"), large()},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			archive := s.open(t)
			server := serveBytes(t, test.content)
			f := testFetcher(t, FetcherOptions{EgressAllow: loopback(), OnFailure: func(e *FetchError) {
				t.Errorf("media host is blamed: %v", e)
			}})
			s.setMisbehave(test.answer, test.operation)
			_, err := archive.Store(t.Context(), f, "wav/t/a.wav", wavAsset(server.URL, server.URL), nil)
			if _, ok := errors.AsType[*FetchError](err); !errors.Is(err, ErrArchive) || ok {
				t.Errorf("got %v", err)
			}
			s.behave()
			s.holds(t, nil)
			if _, err := archive.Store(t.Context(), f, "wav/t/a.wav", wavAsset(server.URL), nil); err != nil {
				t.Errorf("again: %v", err)
			}
			s.holds(t, map[string][]byte{"wav/t/a.wav": test.content})
		})
	}
}

// S3 may drop an upload because another changed the key meanwhile: what that one
// stored stays, and is described.
func TestStoreObjectsConflict(t *testing.T) {
	for operation, content := range map[string][]byte{"PutObject": small(), "CompleteMultipartUpload": large()} {
		t.Run(operation, func(t *testing.T) {
			s := newStore(t)
			archive := s.open(t)
			s.setMisbehave(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				s.behave()
				if err := s.open(t).bucket.WriteAll(r.Context(), "wav/t/a.wav", wav(8000), nil); err != nil {
					t.Error(err)
				}
				refuse(http.StatusConflict, codeConflict)(w, r)
			}, operation)
			source := serveBytes(t, content)
			file, err := archive.Store(t.Context(), testFetcher(t, FetcherOptions{EgressAllow: loopback()}), "wav/t/a.wav", wavAsset(source.URL), nil)
			if err != nil || file.SHA256 != sha(wav(8000)) || file.SourceURL != "" {
				t.Errorf("got %+v, %v", file, err)
			}
			s.holds(t, map[string][]byte{"wav/t/a.wav": wav(8000)})
		})
	}
}

// A store that ignores If-None-Match keeps the last, whole.
func TestStoreObjectsWithoutConditions(t *testing.T) {
	s := newOwnStore(t)
	archive, other := s.open(t), s.open(t)
	conditional := s.handler
	s.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("If-None-Match")
		conditional.ServeHTTP(w, r)
	})
	f := testFetcher(t, FetcherOptions{EgressAllow: loopback()})
	source := serveBytes(t, small())
	overtaken := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := other.Store(r.Context(), f, "wav/t/a.wav", wavAsset(source.URL), nil); err != nil {
			t.Error(err)
		}
		_, _ = w.Write(wav(8000))
	})
	file, err := archive.Store(t.Context(), f, "wav/t/a.wav", wavAsset(overtaken.URL), nil)
	if err != nil || file.SHA256 != sha(wav(8000)) {
		t.Errorf("got %+v, %v", file, err)
	}
	s.holds(t, map[string][]byte{"wav/t/a.wav": wav(8000)})
}

// The parameters of the URL reach the store, also in what a probe asks.
func TestObjectsParameters(t *testing.T) {
	s := newOwnStore(t)
	var encrypted, plain atomic.Int64
	s.setMisbehave(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Server-Side-Encryption") == "aws:kms" && r.Header.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id") == "key-1" {
			encrypted.Add(1)
		} else {
			plain.Add(1)
		}
		for header := range r.Header {
			if strings.HasPrefix(header, "X-Amz-Server-Side") {
				r.Header.Del(header)
			}
		}
		s.handler.ServeHTTP(w, r)
	}, "PutObject", "CreateMultipartUpload")
	archive := s.open(t, "ssetype", "aws:kms", "kmskeyid", "key-1")
	for key, content := range map[string][]byte{"wav/t/a.wav": small(), "wav/t/b.wav": large()} {
		_, err := archive.Store(t.Context(), testFetcher(t, FetcherOptions{EgressAllow: loopback()}), key, wavAsset(serveBytes(t, content).URL), nil)
		if err != nil {
			t.Error(err)
		}
	}
	if err := archive.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	if err := archive.PutManifest(t.Context(), "wav/t/result.json", []byte("{}")); err != nil {
		t.Error(err)
	}
	if encrypted.Load() != 4 || plain.Load() != 0 {
		t.Errorf("%d encrypted, %d not", encrypted.Load(), plain.Load())
	}
	if !bytes.Equal(s.objects(t)["wav/t/result.json"], []byte("{}")) {
		t.Error("the manifest is not there")
	}
}

// The connections are given up when they stand still, and the AWS configuration's
// certificate authorities count.
func TestObjectsConnections(t *testing.T) {
	s := newOwnStore(t)
	secure := serveTLS(t, s.ServeHTTP)
	bundle := t.TempDir() + "/ca.pem"
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	if err := os.WriteFile(bundle, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.open(t, "endpoint", secure.URL).Check(t.Context()); !errors.Is(err, ErrArchive) {
		t.Errorf("unknown authority: %v", err)
	}
	t.Setenv("AWS_CA_BUNDLE", bundle)
	archive := s.open(t, "endpoint", secure.URL)
	if err := archive.Check(t.Context()); err != nil {
		t.Errorf("known authority: %v", err)
	}
	conn, err := archive.objects.transport.DialContext(t.Context(), "tcp", secure.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if stall, ok := conn.(*stallConn); !ok || stall.wait != stallWait {
		t.Errorf("a connection is a %T", conn)
	}
}
