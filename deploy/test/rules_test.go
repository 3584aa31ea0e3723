// Package deploy_test holds deploy's configuration for Prometheus and Grafana against
// the real programs: promtool reads it, and Prometheus evaluates it over what a running
// fanfare reports. It is a module of its own, so that their libraries stay out of
// fanfare's.
package deploy_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// loadRules reads every rule.
func loadRules(tb testing.TB) (alerts, records []rulefmt.Rule) {
	tb.Helper()
	for _, file := range files(tb, rules) {
		groups, errs := rulefmt.ParseFile(file, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
		for _, err := range errs {
			tb.Error(err)
		}
		for _, group := range groups.Groups {
			for _, rule := range group.Rules {
				if rule.Alert != "" {
					alerts = append(alerts, rule)
				} else {
					records = append(records, rule)
				}
			}
		}
	}
	return alerts, records
}

func TestPromtoolAcceptsTheConfiguration(t *testing.T) {
	t.Parallel()
	promtool(t, "check", "config", "--lint=all", "--lint-fatal", "prometheus.yml")
	for _, file := range files(t, rules) {
		promtool(t, "check", "rules", "--lint=all", "--lint-fatal", "rules/"+filepath.Base(file))
	}
}

func TestAlertsFireAndStaySilent(t *testing.T) {
	t.Parallel()
	for _, file := range files(t, "../prometheus/*_test.yml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			promtool(t, "test", "rules", filepath.Base(file))
		})
	}
}

// unitTests is what is read here of a file for promtool test rules.
type unitTests struct {
	Order []string `yaml:"group_eval_order"`
	Tests []struct {
		Alerts []struct {
			Name     string           `yaml:"alertname"`
			Expected []map[string]any `yaml:"exp_alerts"`
		} `yaml:"alert_rule_test"`
	} `yaml:"tests"`
}

func TestEveryAlertHasBothCases(t *testing.T) {
	t.Parallel()
	fires, silent := make(map[string]bool), make(map[string]bool)
	for _, file := range files(t, "../prometheus/*_test.yml") {
		var tests unitTests
		if err := yaml.Unmarshal(read(t, file), &tests); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if len(tests.Order) == 0 {
			t.Errorf("%s: without group_eval_order promtool draws the order of groups anew each time", file)
		}
		for _, test := range tests.Tests {
			for _, alert := range test.Alerts {
				if len(alert.Expected) > 0 {
					fires[alert.Name] = true
				} else {
					silent[alert.Name] = true
				}
			}
		}
	}
	alerts, _ := loadRules(t)
	for _, alert := range alerts {
		if !fires[alert.Alert] {
			t.Errorf("%s fires in no unit test", alert.Alert)
		}
		if !silent[alert.Alert] {
			t.Errorf("%s stays silent in no unit test", alert.Alert)
		}
		delete(fires, alert.Alert)
		delete(silent, alert.Alert)
	}
	if len(fires)+len(silent) > 0 {
		t.Errorf("unit tests of alerts that are not there: %v %v", fires, silent)
	}
}

func TestEveryAlertSaysWhatToDo(t *testing.T) {
	t.Parallel()
	sections := runbook(t)
	alerts, _ := loadRules(t)
	var names []string
	for _, alert := range alerts {
		names = append(names, alert.Alert)
		if !slices.Contains([]string{"critical", "warning"}, alert.Labels["severity"]) {
			t.Errorf("%s: severity %q", alert.Alert, alert.Labels["severity"])
		}
		if alert.Annotations["summary"] == "" || alert.Annotations["description"] == "" {
			t.Errorf("%s: summary or description is missing", alert.Alert)
		}
		if want := "deploy/runbook.md#" + strings.ToLower(alert.Alert); alert.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook_url %q, want %q", alert.Alert, alert.Annotations["runbook_url"], want)
		}
		text := sections[alert.Alert]
		if !strings.Contains(text, alert.Labels["severity"]) {
			t.Errorf("%s: deploy/runbook.md has no section, or it does not say %s", alert.Alert, alert.Labels["severity"])
		}
		for _, part := range []string{"**It means**", "**Look**", "**Do**", "**It is over**"} {
			if !strings.Contains(text, part) {
				t.Errorf("%s: its section of deploy/runbook.md has no %s", alert.Alert, part)
			}
		}
	}
	for name := range sections {
		if strings.HasPrefix(name, "Fanfare") && !slices.Contains(names, name) {
			t.Errorf("deploy/runbook.md: there is no alert %s", name)
		}
	}
}

// runbook returns the runbook's sections by their headings.
func runbook(tb testing.TB) map[string]string {
	tb.Helper()
	sections := make(map[string]string)
	for _, section := range regexp.MustCompile(`(?m)^### `).Split(string(read(tb, "../runbook.md")), -1) {
		heading, text, _ := strings.Cut(section, "\n")
		sections[heading] = text
	}
	return sections
}

func read(tb testing.TB, file string) []byte {
	tb.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	return content
}
