package deploy_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	"fanfare/deploy/test/eventually"
)

// ask asks Prometheus's API, and returns the data of its answer.
func ask[T any](t *testing.T, prometheus, path string, query url.Values) (data T) {
	t.Helper()
	var answer struct {
		Status string `json:"status"`
		Data   T      `json:"data"`
	}
	body := get(t, prometheus+"/api/v1/"+path+"?"+query.Encode())
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Status != "success" {
		t.Errorf("%s %v: answered %q (%v)", path, query, body, err)
	}
	return answer.Data
}

// samples is what an expression returns, of which only the number counts here.
type samples struct {
	Result []struct {
		Metric map[string]string `json:"metric"`
	} `json:"result"`
}

// evaluate returns how many series an expression returns.
func evaluate(t *testing.T, prometheus, expression string) int {
	t.Helper()
	return len(ask[samples](t, prometheus, "query", url.Values{"query": {expression}}).Result)
}

// TestOverWhatIsScraped lets a real Prometheus scrape a real fanfare.
func TestOverWhatIsScraped(t *testing.T) {
	t.Parallel()
	r := startRig(t)
	prometheus := startPrometheus(t, r)
	r.traffic(t) // now, for a rate sees what changes between two scrapes
	t.Run("expressions", func(t *testing.T) { checkExpressions(t, prometheus) })
	t.Run("names", func(t *testing.T) { checkNames(t, r) })
	t.Run("watched", func(t *testing.T) { checkWatched(t, r) })
}

// checkExpressions wants no expression to name a metric, a label or a label's value
// that is not there, and none of a dashboard to be empty.
func checkExpressions(t *testing.T, prometheus string) {
	t.Helper()
	alerts, records := loadRules(t)
	for _, record := range records {
		eventually.Await(t, "the recording of "+record.Record, func() bool { return evaluate(t, prometheus, record.Record) > 0 })
	}
	scraped := ask[[]map[string]string](t, prometheus, "series", url.Values{"match[]": {`{__name__=~".+"}`}})
	for _, rule := range slices.Concat(records, alerts) {
		checkSelectors(t, rule.Record+rule.Alert, rule.Expr, scraped)
		evaluate(t, prometheus, rule.Expr)
	}
	for where, expression := range dashboardExpressions(t) {
		checkSelectors(t, where, expression, scraped)
		eventually.Await(t, where+" to return data", func() bool { return evaluate(t, prometheus, expression) > 0 })
	}
	checkRulesAreHealthy(t, prometheus, len(alerts)+len(records))
	checkNothingIsWrong(t, prometheus, alerts)
}

// checkNothingIsWrong wants no alert's expression to return anything, whether it would
// have to do so for a while or not: everything runs as it should.
func checkNothingIsWrong(t *testing.T, prometheus string, alerts []rulefmt.Rule) {
	t.Helper()
	for _, alert := range alerts {
		found := ask[samples](t, prometheus, "query", url.Values{"query": {alert.Expr}}).Result
		for _, series := range found {
			t.Errorf("%s would be raised of a healthy fanfare: %v", alert.Alert, series.Metric)
		}
	}
}

// checkSelectors wants each selector of an expression to match series that were
// scraped or recorded, and every label by which it groups or joins to be one of theirs.
func checkSelectors(t *testing.T, where, expression string, scraped []map[string]string) {
	t.Helper()
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expression)
	if err != nil {
		t.Errorf("%s: %v", where, err)
		return
	}
	var grouping []string
	known := make(map[string]bool)
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			found := matching(n, scraped)
			if len(found) == 0 {
				t.Errorf("%s: %s selects nothing that is scraped", where, n)
			}
			for _, series := range found {
				for name := range series {
					known[name] = true
				}
			}
		case *parser.AggregateExpr:
			grouping = append(grouping, n.Grouping...)
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				grouping = append(grouping, append(n.VectorMatching.MatchingLabels, n.VectorMatching.Include...)...)
			}
		}
		return nil
	})
	for _, label := range grouping {
		if !known[label] {
			t.Errorf("%s: no metric of it has the label %s", where, label)
		}
	}
}

// matching returns the series that a selector selects. A label that it names must be
// there, even if it may be empty.
func matching(selector *parser.VectorSelector, scraped []map[string]string) (found []map[string]string) {
	for _, series := range scraped {
		all := true
		for _, m := range selector.LabelMatchers {
			value, there := series[m.Name]
			all = all && there && m.Matches(value)
		}
		if all {
			found = append(found, series)
		}
	}
	return found
}

// checkRulesAreHealthy wants every rule to have been evaluated without an error.
func checkRulesAreHealthy(t *testing.T, prometheus string, want int) {
	t.Helper()
	loaded := ask[struct {
		Groups []struct {
			Rules []struct {
				Name   string `json:"name"`
				Health string `json:"health"`
				Error  string `json:"lastError"`
			} `json:"rules"`
		} `json:"groups"`
	}](t, prometheus, "rules", nil)
	count := 0
	for _, group := range loaded.Groups {
		for _, rule := range group.Rules {
			count++
			if rule.Health != "ok" {
				t.Errorf("%s: health %s: %s", rule.Name, rule.Health, rule.Error)
			}
		}
	}
	if count != want {
		t.Errorf("Prometheus has %d rules, want %d", count, want)
	}
}

// checkNames holds what is scraped against Prometheus's conventions.
func checkNames(t *testing.T, r rig) {
	t.Helper()
	for _, ops := range []string{r.standalone, r.gateway} {
		problems, err := promlint.New(strings.NewReader(get(t, "http://"+ops+"/metrics"))).Lint()
		if err != nil {
			t.Errorf("%s: %v", ops, err)
		}
		for _, problem := range problems {
			t.Errorf("%s: %s", problem.Metric, problem.Text)
		}
	}
}

// checkWatched wants each metric of ours in a rule or on a dashboard.
func checkWatched(t *testing.T, r rig) {
	t.Helper()
	var expressions []string
	for _, expression := range dashboardExpressions(t) {
		expressions = append(expressions, expression)
	}
	alerts, records := loadRules(t)
	for _, rule := range slices.Concat(alerts, records) {
		expressions = append(expressions, rule.Expr)
	}
	watched := strings.Join(expressions, "\n")
	for line := range strings.Lines(get(t, "http://"+r.standalone+"/metrics") + get(t, "http://"+r.gateway+"/metrics")) {
		name, isType := strings.CutPrefix(line, "# TYPE fanfare_")
		name, _, _ = strings.Cut(name, " ")
		if isType && name != "build_info" && !strings.Contains(watched, "fanfare_"+name) {
			t.Errorf("fanfare_%s is in no rule and on no dashboard", name)
		}
	}
}
