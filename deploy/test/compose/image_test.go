package compose_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// maxImageBytes is how large the image may be.
const maxImageBytes = 60 << 20

// layers returns what the image holds: files by their path, folders with a slash at its end.
func layers(t *testing.T) map[string][]byte {
	t.Helper()
	saved := filepath.Join(t.TempDir(), "image.tar")
	ask(t, "save", "--output", saved, "fanfare")
	raw, err := os.ReadFile(saved)
	if err != nil {
		t.Fatal(err)
	}
	outer := untar(t, raw)
	var manifests []struct{ Layers []string }
	decode(t, string(outer["manifest.json"]), &manifests)
	if len(manifests) != 1 {
		t.Fatalf("%d images", len(manifests))
	}
	found := make(map[string][]byte)
	for _, layer := range manifests[0].Layers {
		maps.Copy(found, untar(t, outer[layer]))
	}
	return found
}

func untar(t *testing.T, raw []byte) map[string][]byte {
	t.Helper()
	found := make(map[string][]byte)
	for archive := tar.NewReader(bytes.NewReader(raw)); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		if found[header.Name], err = io.ReadAll(archive); err != nil {
			t.Fatal(err)
		}
	}
}

func TestImageHoldsOneProgram(t *testing.T) {
	t.Parallel()
	needEngine(t)
	var names []string
	for name := range layers(t) {
		names = append(names, name)
	}
	slices.Sort(names)
	want := []string{"data/", "etc/", "etc/ssl/", "etc/ssl/certs/", "etc/ssl/certs/ca-certificates.crt", "fanfare"}
	if !slices.Equal(names, want) {
		t.Errorf("the image holds %q", names)
	}
}

func TestImageIsSmallAndNobodys(t *testing.T) {
	t.Parallel()
	needEngine(t)
	var images []struct {
		Size   int64
		Config struct {
			User        string
			Entrypoint  []string
			Healthcheck struct{ Test []string }
		}
	}
	decode(t, ask(t, "image", "inspect", "fanfare"), &images)
	if len(images) != 1 {
		t.Fatalf("%d images", len(images))
	}
	is := images[0]
	t.Logf("%d bytes", is.Size)
	if is.Size >= maxImageBytes {
		t.Errorf("the image has %d bytes", is.Size)
	}
	if is.Config.User != "65532:65532" || !slices.Equal(is.Config.Entrypoint, []string{"/fanfare"}) ||
		!slices.Equal(is.Config.Healthcheck.Test, []string{"CMD", "/fanfare", "health"}) {
		t.Errorf("%+v", is.Config)
	}
	version := ask(t, "run", "--rm", "--read-only", "--cap-drop", "ALL", "--network", "none", "--pids-limit", "32", "fanfare", "version")
	if !strings.Contains(version, docker.version) {
		t.Errorf("version says %q, want %s", version, docker.version)
	}
}

// TestImageIsReproducible builds the program here, elsewhere than the image's was, and wants the same bytes.
func TestImageIsReproducible(t *testing.T) {
	t.Parallel()
	needEngine(t)
	program := layers(t)["fanfare"]
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"CGO_ENABLED=0", "GOTOOLCHAIN=" + info.GoVersion}
	if out, err := command(building, env, "go", "-C", root, "env", "GOVERSION"); err != nil {
		t.Skipf("the image is built by %s, which cannot be had here: %s", info.GoVersion, out)
	}
	path := filepath.Join(t.TempDir(), "fanfare")
	if _, err := command(building, env, "go", "-C", root, "build", "-trimpath", "-buildvcs=true", "-ldflags", "-s -w -X main.version="+docker.version, "-o", path, "."); err != nil {
		t.Fatal(err)
	}
	here, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if sha256.Sum256(here) != sha256.Sum256(program) {
		other, err := buildinfo.Read(bytes.NewReader(here))
		t.Errorf("the image's program is not the one that is built here (%v):\n%s\n%s", err, info, other)
	}
}
