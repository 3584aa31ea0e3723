package schemas_test

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go/jetstream"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/eventually"
	"fanfare/pkg/natsd/natstest"
)

// storeMaxBytes is what is shared out in this test: a percentage of it is whole.
const storeMaxBytes = 1 << 28 / 100 * 100

// settings are a stream's as JetStream's API names them, without those that are the
// server's default.
func settings(tb testing.TB, js jetstream.JetStream, name string) object {
	tb.Helper()
	reply, err := js.Conn().Request("$JS.API.STREAM.INFO."+name, nil, patience)
	if err != nil {
		tb.Fatal(err)
	}
	var info struct {
		Config object `json:"config"`
	}
	if err := json.Unmarshal(reply.Data, &info); err != nil {
		tb.Fatal(err)
	}
	maps.DeleteFunc(info.Config, func(name string, value any) bool {
		switch name {
		case "name", "metadata", "consumer_limits": // of the server, but for the name
			return true
		case "compression":
			return value == "none"
		}
		return slices.Contains([]any{false, -1.0}, value)
	})
	return info.Config
}

// documented are a stream's settings as the document has them, in JetStream's units.
func documented(tb testing.TB, described object) object {
	tb.Helper()
	found := maps.Clone(described)
	delete(found, "durables")
	delete(found, "bucket")
	for _, name := range []string{"max_age", "duplicate_window"} {
		d, err := time.ParseDuration(text(described, name))
		if err != nil {
			tb.Fatal(err)
		}
		found[name] = float64(d)
	}
	percent, err := strconv.ParseInt(strings.TrimSuffix(text(described, "max_bytes"), "%"), 10, 64)
	if err != nil {
		tb.Fatal(err)
	}
	found["max_bytes"] = float64(storeMaxBytes / 100 * percent)
	return found
}

func TestStreamsAreProvisionedAsDescribed(t *testing.T) {
	t.Parallel()
	contracts, err := callback.LoadContracts()
	if err != nil {
		t.Fatal(err)
	}
	server := natstest.Start(t, t.TempDir(), "")
	if _, err := natstest.Connect(t, server).Provision(t.Context(), broker.Plan{Types: contracts.Types(), StoreMaxBytes: storeMaxBytes}); err != nil {
		t.Fatal(err)
	}
	d := describe(t)
	js := natstest.JetStream(t, server)
	var found []string
	for name := range js.StreamNames(t.Context()).Name() {
		found = append(found, name)
		described := d.streams[name]
		if described == nil {
			t.Errorf("stream %s is not described", name)
			continue
		}
		if is, want := settings(t, js, name), documented(t, described); !reflect.DeepEqual(is, want) {
			t.Errorf("stream %s is %v, described as %v", name, is, want)
		}
		if bucket, is := strings.CutPrefix(name, "KV_"); is != (described["bucket"] != nil) || is && bucket != text(described, "bucket") {
			t.Errorf("stream %s is described as bucket %q", name, text(described, "bucket"))
		}
	}
	if described := slices.Sorted(maps.Keys(d.streams)); !slices.Equal(described, sorted(found)) {
		t.Errorf("described are %v, provisioned %v", described, found)
	}
	for _, c := range d.channels {
		if d.streams[c.stream] == nil {
			t.Errorf("channel %s is in stream %q, which is not described", c.name, c.stream)
		}
	}
}

func TestDurablesAreAsDescribed(t *testing.T) {
	t.Parallel()
	r := startRig(t, http.HandlerFunc(outside))
	host := callback.Escape(strings.TrimPrefix(r.outside.URL, "http://"))
	for name, described := range describe(t).streams {
		want := make(map[string][]any)
		for durable, filters := range members(described, "durables") {
			want[strings.ReplaceAll(durable, "{provider}", host)] = filters.([]any)
		}
		var is map[string][]any
		eventually.Await(t, "the durables of "+name, func() bool {
			is = r.durables(name)
			return len(is) >= len(want)
		})
		if !reflect.DeepEqual(is, want) {
			t.Errorf("stream %s has the durables %v, described are %v", name, is, want)
		}
	}
}

// durables are a stream's, with what they filter.
func (r *rig) durables(name string) map[string][]any {
	r.tb.Helper()
	stream, err := r.js.Stream(r.tb.Context(), name)
	if err != nil {
		r.tb.Fatal(err)
	}
	found := make(map[string][]any)
	for info := range stream.ListConsumers(r.tb.Context()).Info() {
		if info.Config.Durable == "" {
			continue // of somebody who only looks
		}
		var filters []any
		for _, filter := range append(info.Config.FilterSubjects, info.Config.FilterSubject) {
			if filter != "" {
				filters = append(filters, filter)
			}
		}
		found[info.Config.Durable] = filters
	}
	return found
}
