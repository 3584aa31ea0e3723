// Package dashboards makes Grafana's dashboards for fanfare. What is committed in
// deploy/grafana/dashboards comes from here: go run ./cmd/dashboards writes it.
package dashboards

import "regexp"

// A panel is one graph or number: what it shows, in which unit, and how it is asked for.
type panel struct {
	title       string
	description string
	unit        string // as Grafana names units: s, bytes, reqps, short, percentunit
	queries     []query
	limits      []limit // drawn as lines, or what a number's colour changes at
	max         float64 // of the axis; 0: as the data ask for
	number      bool    // only the latest value
}

// A query is one expression, and what its series are called.
type query struct{ expr, legend string }

// exemplary reports whether it is over a histogram that has examples of traces.
func (q query) exemplary() bool {
	return regexp.MustCompile(`fanfare_(callback|publish|handle)_duration_seconds_bucket`).MatchString(q.expr)
}

// A limit is a value from which on a colour counts.
type limit struct {
	from  float64
	color string
}

// A board is a dashboard.
type board struct {
	file, title, description string
	panels                   []panel
}

// Grafana's grid: 24 columns, with two graphs or six numbers in a row.
const (
	columns      = 24
	graphWidth   = 12
	graphHeight  = 8
	numberWidth  = 4
	numberHeight = 4
)

type object = map[string]any

// source is the datasource that is chosen at the top of a dashboard.
func source() object { return object{"type": "prometheus", "uid": "${datasource}"} }

// model is a dashboard as Grafana reads it.
func (b board) model() object {
	return object{
		"uid":           "fanfare-" + b.file,
		"title":         "fanfare: " + b.title,
		"description":   b.description,
		"tags":          []string{"fanfare"},
		"schemaVersion": 39,
		"editable":      true,
		"graphTooltip":  1, // one crosshair for all graphs
		"refresh":       "30s",
		"time":          object{"from": "now-6h", "to": "now"},
		"links": []object{{
			"type": "dashboards", "title": "fanfare", "tags": []string{"fanfare"}, "asDropdown": true, "keepTime": true,
		}},
		"templating": object{"list": []object{{
			"name": "datasource", "label": "Datasource", "type": "datasource", "query": "prometheus",
		}}},
		"panels": b.layout(),
	}
}

// layout puts the panels in rows, from left to right.
func (b board) layout() []object {
	models := make([]object, 0, len(b.panels))
	x, y, height := 0, 0, 0
	for i, p := range b.panels {
		w, h := graphWidth, graphHeight
		if p.number {
			w, h = numberWidth, numberHeight
		}
		if x+w > columns || height != 0 && h != height {
			x, y = 0, y+height
		}
		height = h
		model := p.model()
		model["id"] = i + 1
		model["gridPos"] = object{"x": x, "y": y, "w": w, "h": h}
		models = append(models, model)
		x += w
	}
	return models
}

func (p panel) model() object {
	targets := make([]object, 0, len(p.queries))
	for i, q := range p.queries {
		target := object{
			"refId": string(rune('A' + i)), "datasource": source(),
			"expr": q.expr, "legendFormat": q.legend, "instant": p.number, "range": !p.number,
		}
		if q.exemplary() && !p.number { // there are no examples of a single moment
			target["exemplar"] = true
		}
		targets = append(targets, target)
	}
	model := object{
		"title": p.title, "description": p.description,
		"type": "timeseries", "datasource": source(), "targets": targets,
		"fieldConfig": object{"defaults": p.defaults(), "overrides": []object{}},
		"options": object{
			"legend":  object{"displayMode": "list", "placement": "bottom", "showLegend": true},
			"tooltip": object{"mode": "multi", "sort": "desc"},
		},
	}
	if p.number {
		model["type"] = "stat"
		model["options"] = object{"reduceOptions": object{"calcs": []string{"lastNotNull"}}, "colorMode": "value", "graphMode": "none"}
	}
	return model
}

// defaults says how values are shown.
func (p panel) defaults() object {
	steps := []object{{"color": "green", "value": nil}}
	for _, l := range p.limits {
		steps = append(steps, object{"color": l.color, "value": l.from})
	}
	defaults := object{
		"unit": p.unit, "min": 0,
		"thresholds": object{"mode": "absolute", "steps": steps},
	}
	if p.max > 0 {
		defaults["max"] = p.max
	}
	if !p.number {
		custom := object{"fillOpacity": 10, "showPoints": "never"}
		if len(p.limits) > 0 {
			custom["thresholdsStyle"] = object{"mode": "line"}
		}
		defaults["custom"] = custom
	}
	return defaults
}
