package simulate

import (
	"math"
	"net"
	"strings"
	"testing"
	"time"
)

func TestOptionsAreValidated(t *testing.T) {
	t.Parallel()
	for want, spoil := range map[string]func(*Options){
		"Logger":   func(o *Options) { o.Logger = nil },
		"Results":  func(o *Options) { o.Results = nil },
		"Tasks":    func(o *Options) { o.Tasks = -1 },
		"Rate":     func(o *Options) { o.Rate = math.NaN() },
		"Speed":    func(o *Options) { o.Speed = math.Inf(1) },
		"Settle":   func(o *Options) { o.Settle = maxSettle + time.Second },
		"Target":   func(o *Options) { o.Target = "127.0.0.1:8080" },
		"MediaURL": func(o *Options) { o.MediaURL = "http://user@host" },
		"listen":   func(o *Options) { o.MediaListen = "nowhere" },
		"MediaURL is missing": func(o *Options) {
			o.MediaListen = ":0"
		},
	} {
		opts := Options{Logger: discard(), Results: &records{}, MediaListen: "127.0.0.1:0"}
		spoil(&opts)
		if s, err := New(opts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error that names %s, got %v", want, err)
			if s != nil {
				_ = s.Close()
			}
		}
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	opts, err := Options{Logger: discard(), Results: &records{}}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if opts.Target != "http://127.0.0.1:8080" || opts.MediaListen != "127.0.0.1:8089" || opts.Path(cover) != "/callbacks/cover" {
		t.Errorf("addresses %q, %q, %q", opts.Target, opts.MediaListen, opts.Path(cover))
	}
	if opts.Tasks != 100 || opts.Rate != 20 || opts.Speed != 20 || opts.Settle != 3*time.Minute || opts.Seed == 0 {
		t.Errorf("options %+v", opts)
	}
	base, err := opts.mediaBase(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8089})
	if err != nil || base != "http://127.0.0.1:8089" {
		t.Errorf("media at %q, error %v", base, err)
	}
}

func TestNewListensAndCloseStops(t *testing.T) {
	t.Parallel()
	s, err := New(Options{Logger: discard(), Results: &records{}, MediaListen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(s.MediaAddr(), "127.0.0.1:") || s.plan.mediaURL != "http://"+s.MediaAddr() {
		t.Errorf("media address %s, URL %s", s.MediaAddr(), s.plan.mediaURL)
	}
	if _, err := New(Options{Logger: discard(), Results: &records{}, MediaListen: s.MediaAddr()}); err == nil {
		t.Error("no error although the address is taken")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
