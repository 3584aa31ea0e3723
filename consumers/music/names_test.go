package music_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"fanfare/pkg/media"
)

// maxNameBytes is how long the archive lets a file's name be.
const maxNameBytes = 234

func TestFilesAreNamedByTheirTrack(t *testing.T) {
	t.Parallel()
	c := contract(t)
	id64, id65 := strings.Repeat("*", 64), strings.Repeat("a", 65)
	for _, row := range []struct {
		name string
		ids  []string
		want []string
	}{
		{"by ID", []string{"a", "b"}, []string{"a", "b"}},
		{"no ID", []string{"", "b", ""}, []string{"track.1", "b", "track.3"}},
		{"one ID twice", []string{"a", "a", "a"}, []string{"a", "track.2", "track.3"}},
		{"an ID like a place", []string{"", "track.1", "track.3", ""}, []string{"track.1", "track=2E1", "track=2E3", "track.4"}},
		{"an ID like an escape", []string{"*", "=2A"}, []string{"=2A", "=3D2A"}},
		{"64 bytes", []string{id64}, []string{strings.Repeat("=2A", 64)}},
		{"65 bytes", []string{id65}, []string{"track.1"}},
		{"paths", []string{"..", "../../etc/passwd", "/"}, []string{"=2E=2E", "=2E=2E=2F=2E=2E=2Fetc=2Fpasswd", "=2F"}},
		{"endings of the archive's own", []string{"a.tmp", "a.attrs"}, []string{"a=2Etmp", "a=2Eattrs"}},
		{"beyond ASCII", []string{"é", "\x00\n"}, []string{"=C3=A9", "=00=0A"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			assets := found(t, c, withIDs(t, row.ids...))
			if len(assets) != 2*len(row.want) {
				t.Fatalf("%d files, want %d", len(assets), 2*len(row.want))
			}
			for i, want := range row.want {
				if audio, image := assets[2*i].Name, assets[2*i+1].Name; audio != want+".mp3" || image != want+".jpeg" {
					t.Errorf("track %d: %s and %s, want %s", i+1, audio, image, want)
				}
			}
		})
	}
}

// withIDs is a complete callback with one finished track per ID.
func withIDs(tb testing.TB, ids ...string) []byte {
	tb.Helper()
	type track struct {
		ID    string `json:"id"`
		Audio string `json:"audio_url"`
		Image string `json:"image_url"`
	}
	tracks := make([]track, len(ids))
	for i, id := range ids {
		tracks[i] = track{ID: id, Audio: "https://h/a.mp3", Image: "https://h/a"}
	}
	encoded, err := json.Marshal(tracks)
	if err != nil {
		tb.Fatal(err)
	}
	return withTracks(string(encoded))
}

// What the archive has under a name is never fetched again: a name must mean the
// same track in every callback of a task.
func TestNamesStayWhenTracksFinish(t *testing.T) {
	t.Parallel()
	c := contract(t)
	for _, row := range []struct{ name, ids string }{
		{"own IDs", `"id":"a",/"id":"b",`},
		{"no IDs", `/`},
		{"one ID twice", `"id":"a",/"id":"a",`},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			one, two, _ := strings.Cut(row.ids, "/")
			first := found(t, c, withTracks(`[{`+one+`"audio_url":""},{`+two+`"audio_url":"https://h/2.mp3"}]`))
			complete := found(t, c, withTracks(`[{`+one+`"audio_url":"https://h/1.mp3"},{`+two+`"audio_url":"https://h/2.mp3"}]`))
			if len(first) != 1 || len(complete) != 2 || !equal(first[0], complete[1]) {
				t.Errorf("first %+v, complete %+v; want the second track under one name", first, complete)
			}
		})
	}
}

func FuzzNamesAreValidAndUnique(f *testing.F) {
	f.Add(firstID, secondID, "", "https://h/a.mp3")
	f.Add("track.2", "track.2", "track=2E2", "https://h/a.tmp")
	f.Add(strings.Repeat("*", 64), strings.Repeat("é", 40), "..", "https://h/..")
	c := contract(f)
	f.Fuzz(func(t *testing.T, a, b, id, u string) {
		for _, s := range []string{a, b, id, u} {
			if strings.ToValidUTF8(s, "") != s {
				t.Skip("no body holds it")
			}
		}
		body := withIDs(t, a, b, id, a, "")
		if quoted, err := json.Marshal(u); err == nil {
			body = []byte(strings.ReplaceAll(string(body), `"https://h/a.mp3"`, string(quoted)))
		}
		if _, err := c.Decode(body); err != nil {
			t.Skip("refused by the gateway")
		}
		checkNames(t, found(t, c, body))
	})
}

// checkNames checks that the archive can keep all the assets side by side.
func checkNames(t *testing.T, assets []media.Asset) {
	t.Helper()
	valid := regexp.MustCompile(`\A[A-Za-z0-9_.=-]+\z`)
	seen := make(map[string]bool)
	for _, asset := range assets {
		if !valid.MatchString(asset.Name) || len(asset.Name) > maxNameBytes || seen[asset.Name] {
			t.Errorf("name %q is invalid, too long or taken", asset.Name)
		}
		seen[asset.Name] = true
	}
}
