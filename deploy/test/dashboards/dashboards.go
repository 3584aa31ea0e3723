package dashboards

import (
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// boards lists every dashboard.
func boards() []board {
	return []board{overview(), consumers(), broker(), provider(), tasks()}
}

// All returns every dashboard by the name of its file.
func All() (map[string][]byte, error) {
	files := make(map[string][]byte)
	for _, b := range boards() {
		content, err := json.Marshal(b.model(), json.Deterministic(true), jsontext.WithIndent("  "))
		if err != nil {
			return nil, fmt.Errorf("encode dashboard %s: %w", b.file, err)
		}
		files[b.file+".json"] = append(content, '\n')
	}
	return files, nil
}

// red and orange are what critical and warning alerts begin at, where there are any.
func red(from float64) limit    { return limit{from, "red"} }
func orange(from float64) limit { return limit{from, "orange"} }
