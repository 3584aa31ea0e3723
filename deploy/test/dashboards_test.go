package deploy_test

import (
	"bytes"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"fanfare/deploy/test/dashboards"
)

// dashboard is what is read here of a dashboard.
type dashboard struct {
	UID    string `json:"uid"`
	Panels []struct {
		Title       string `json:"title"`
		Description string `json:"description"`
		FieldConfig struct {
			Defaults struct {
				Unit string `json:"unit"`
			} `json:"defaults"`
		} `json:"fieldConfig"`
		GridPos struct {
			X, Y, W, H int
		} `json:"gridPos"`
		Targets []struct {
			Expr     string `json:"expr"`
			Exemplar bool   `json:"exemplar"`
		} `json:"targets"`
	} `json:"panels"`
}

func loadDashboards(tb testing.TB) map[string]dashboard {
	tb.Helper()
	boards := make(map[string]dashboard)
	for _, file := range files(tb, "../grafana/dashboards/*.json") {
		var board dashboard
		if err := json.Unmarshal(read(tb, file), &board, json.MatchCaseInsensitiveNames(true)); err != nil {
			tb.Fatalf("%s: %v", file, err)
		}
		boards[filepath.Base(file)] = board
	}
	return boards
}

// dashboardExpressions returns every expression of every dashboard as Grafana sends
// it, by where it stands.
func dashboardExpressions(tb testing.TB) map[string]string {
	tb.Helper()
	expressions := make(map[string]string)
	for file, board := range loadDashboards(tb) {
		for _, panel := range board.Panels {
			for _, target := range panel.Targets {
				where := file + ": " + panel.Title + ": " + target.Expr
				expressions[where] = strings.ReplaceAll(target.Expr, "$__rate_interval", "1m")
			}
		}
	}
	return expressions
}

func TestDashboardsAreWhatTheCodeMakes(t *testing.T) {
	t.Parallel()
	want, err := dashboards.All()
	if err != nil {
		t.Fatal(err)
	}
	committed := files(t, "../grafana/dashboards/*.json")
	if len(committed) != len(want) {
		t.Errorf("%d dashboards are committed, the code makes %d", len(committed), len(want))
	}
	for _, file := range committed {
		if !bytes.Equal(read(t, file), want[filepath.Base(file)]) {
			t.Errorf("%s is not what the code makes: go run ./cmd/dashboards", file)
		}
	}
}

func TestEveryPanelExplainsItself(t *testing.T) {
	t.Parallel()
	var uids []string
	for file, board := range loadDashboards(t) {
		if board.UID == "" || slices.Contains(uids, board.UID) {
			t.Errorf("%s: uid %q is missing or taken", file, board.UID)
		}
		uids = append(uids, board.UID)
		taken := make(map[[2]int]string)
		for _, panel := range board.Panels {
			if panel.Title == "" || !strings.HasSuffix(panel.Description, ".") || panel.FieldConfig.Defaults.Unit == "" || len(panel.Targets) == 0 {
				t.Errorf("%s: %q lacks a title, a sentence that describes it, a unit or an expression", file, panel.Title)
			}
			for x := panel.GridPos.X; x < panel.GridPos.X+panel.GridPos.W; x++ {
				for y := panel.GridPos.Y; y < panel.GridPos.Y+panel.GridPos.H; y++ {
					if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
						t.Fatalf("%s: %q lies over %q, or beyond the grid", file, panel.Title, other)
					}
					taken[[2]int{x, y}] = panel.Title
				}
			}
		}
	}
	for where, expression := range dashboardExpressions(t) {
		if _, err := parser.NewParser(parser.Options{}).ParseExpr(expression); err != nil {
			t.Errorf("%s: %v", where, err)
		}
	}
}

// TestLatenciesShowTheirExemplars names the histograms that have examples of traces.
func TestLatenciesShowTheirExemplars(t *testing.T) {
	t.Parallel()
	var shown []string
	for _, board := range loadDashboards(t) {
		for _, panel := range board.Panels {
			for _, target := range panel.Targets {
				if target.Exemplar {
					shown = append(shown, regexp.MustCompile(`fanfare_\w+_bucket|$`).FindString(target.Expr))
				}
			}
		}
	}
	slices.Sort(shown)
	if got, want := strings.Join(slices.Compact(shown), " "),
		"fanfare_callback_duration_seconds_bucket fanfare_handle_duration_seconds_bucket fanfare_publish_duration_seconds_bucket"; got != want {
		t.Errorf("exemplars are shown of %s, want %s", got, want)
	}
}

func TestProvisioningIsReadable(t *testing.T) {
	t.Parallel()
	for _, file := range files(t, "../grafana/provisioning/*/*.yml") {
		var content struct {
			Version     int              `yaml:"apiVersion"`
			Datasources []map[string]any `yaml:"datasources"`
			Providers   []map[string]any `yaml:"providers"`
		}
		if err := yaml.Unmarshal(read(t, file), &content); err != nil || content.Version != 1 || len(content.Datasources)+len(content.Providers) != 1 {
			t.Errorf("%s: %+v %v", file, content, err)
		}
	}
}
