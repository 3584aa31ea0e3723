package simulate

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"fanfare/pkg/media"
)

func TestMediaFaultsAreOneTable(t *testing.T) {
	t.Parallel()
	share, names := 0, make(map[string]bool)
	var lasting []string
	for _, f := range MediaFaults() {
		share += f.Share
		if names[f.Name] || f.Share < 1 || f.Does == "" || len(f.forms) == 0 || f.least > f.most {
			t.Errorf("fault %+v", f)
		}
		names[f.Name] = true
		if f.Lasting {
			lasting = append(lasting, f.Name)
		}
		for _, form := range f.forms {
			reason := media.Reason(form.reason)
			if f.Lasting && (f.most != 0 || !slices.Contains(media.Reasons(), reason) || !reason.Permanent()) {
				t.Errorf("%s for good is given up as %q", f.Name, reason)
			}
			if !f.Lasting && form.reason != "" {
				t.Errorf("%s passes and is given up as %q", f.Name, reason)
			}
		}
	}
	if share != 100 {
		t.Errorf("the shares make %d, want 100", share)
	}
	if !slices.Equal(lasting, LastingMediaFaults()) {
		t.Errorf("lasting %v, want %v", LastingMediaFaults(), lasting)
	}
}

// drawn counts the files of a plan by their fault.
func drawn(t *testing.T, h Hostility) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	p := testPlan(6, 1000, h)
	for i := range p.ids {
		c := composer{generator: newGenerator(p.seed, fmt.Sprintf("bodies/%d", i)), plan: p, outline: p.outline(i)}
		c.draw()
		p.drawTroubles(i, c.assets)
		for _, a := range c.assets {
			if a.trouble.fault != "" {
				counts[a.trouble.fault]++
			}
			if a.trouble.first && !a.fallback {
				t.Errorf("%s has no second URL, and its first one is broken", a.name)
			}
		}
	}
	return counts
}

func TestEveryMediaFaultIsDrawn(t *testing.T) {
	t.Parallel()
	counts := drawn(t, Hostility{})
	for _, f := range MediaFaults() {
		if counts[f.Name] < 2*f.Share {
			t.Errorf("%s: drawn for %d files of 1,000 tasks", f.Name, counts[f.Name])
		}
	}
	if counts := drawn(t, Hostility{NoMediaFaults: faultNames()}); len(counts) > 0 {
		t.Errorf("still drawn: %v", counts)
	}
}

func TestSwitchesRemoveTheirMediaFault(t *testing.T) {
	t.Parallel()
	on := drawn(t, Hostility{})
	for _, f := range MediaFaults() {
		want := maps.Clone(on)
		delete(want, f.Name)
		if off := drawn(t, Hostility{NoMediaFaults: []string{f.Name}}); !maps.Equal(off, want) {
			t.Errorf("without %s: %v, want %v", f.Name, off, want)
		}
	}
}

func TestMediaFaultsLeaveCallbacksAsTheyAre(t *testing.T) {
	t.Parallel()
	on, off := testPlan(6, 100, Hostility{}), testPlan(6, 100, Hostility{NoMediaFaults: faultNames()})
	for i := range on.ids {
		if a, b := writeTask(t, on, i), writeTask(t, off, i); !reflect.DeepEqual(a.sendings, b.sendings) {
			t.Fatalf("task %d sends other callbacks", i)
		}
	}
}

// host is a media server of one file.
type host struct {
	*mediaServer

	url  string
	file asset
}

// troubles returns every form of every fault, as drawn for a file that suits it.
func troubles() map[string]trouble {
	all := make(map[string]trouble)
	for _, f := range MediaFaults() {
		for i, form := range f.forms {
			drawn := trouble{fault: f.Name, form: i, spoils: f.most, first: f.fallback, reason: form.reason}
			if f.hops {
				drawn.hops = []string{"/cdn/1/a?Signature=1", "/cdn/2/a?Signature=2", "/cdn/3/a?Signature=3"}
			}
			all[fmt.Sprintf("%s/%d", f.Name, i)] = drawn
		}
	}
	return all
}

// serveTrouble serves a file with that trouble until the test ends.
func serveTrouble(t *testing.T, k kind, drawn trouble) host {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	canary, err := newCanary()
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + listener.Addr().String() + "/files"
	m := newMediaServer(discard(), listener, base, "/files", canary)
	m.hang, m.slow = 20*time.Millisecond, 20*time.Millisecond
	h := host{m, base + "/r/a", asset{seed: 3, name: "a", kind: k, paths: []string{"/r/a", "/source/a"}, fallback: true, trouble: drawn}}
	m.offer([]asset{h.file})
	done := make(chan error, 2)
	go func() { done <- m.serve() }()
	go func() { done <- canary.watch() }()
	t.Cleanup(func() {
		canary.stop()
		_ = m.server.Close()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if n := canary.touched.Load(); n > 0 {
			t.Errorf("%d connections to the canary", n)
		}
	})
	return h
}

// kindOf is what consumers want of a file.
func kindOf(k kind) media.Kind {
	switch k {
	case mp3, riff:
		return media.Audio
	case mp4:
		return media.Video
	default:
		return media.Image
	}
}

// TestMediaFaultsEndAsTheTableSays has the consumers' own fetcher meet every form
// of every fault.
func TestMediaFaultsEndAsTheTableSays(t *testing.T) {
	t.Parallel()
	for name, drawn := range troubles() {
		kinds := []kind{mp3}
		if drawn.fault == "fakes" { // what is another file depends on what the file is
			kinds = []kind{mp3, jpg, mp4, riff, png}
		}
		for _, k := range kinds {
			t.Run(fmt.Sprintf("%s of %s", name, k.contentType()), func(t *testing.T) {
				t.Parallel()
				meet(t, serveTrouble(t, k, drawn))
			})
		}
	}
}

func meet(t *testing.T, h host) {
	t.Helper()
	fetcher, err := media.NewFetcher(media.FetcherOptions{EgressAllow: []string{h.listener.Addr().String()}})
	if err != nil {
		t.Fatal(err)
	}
	defer fetcher.Close()
	archive, err := media.OpenArchive(t.Context(), "file://"+filepath.ToSlash(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = archive.Close() }()
	wanted := media.Asset{Name: "a", Kind: kindOf(h.file.kind), URLs: []string{h.url}}
	if h.file.trouble.first {
		wanted.URLs = append(wanted.URLs, h.base+"/source/a")
	}
	var file media.File
	failures := 0
	for {
		var failure *media.FetchError
		file, err = archive.Store(t.Context(), fetcher, "music/x/a", wanted, nil)
		if !errors.As(err, &failure) || failure.Permanent() || failures > maxHops {
			break
		}
		failures++
	}
	reason := ""
	if failure, ok := errors.AsType[*media.FetchError](err); ok {
		reason = string(failure.Reason)
	} else if err != nil {
		t.Fatal(err)
	}
	digest, size, err := h.file.sum()
	if err != nil {
		t.Fatal(err)
	}
	if reason != h.file.trouble.reason || reason == "" && (file.SHA256 != digest || file.Bytes != size) {
		t.Errorf("after %d failures: given up as %q, want %q; %d bytes, want %d", failures, reason, h.file.trouble.reason, file.Bytes, size)
	}
	if failures > h.file.trouble.spoils {
		t.Errorf("%d failures, want at most %d", failures, h.file.trouble.spoils)
	}
}
