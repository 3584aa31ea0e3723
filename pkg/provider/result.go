package provider

import (
	"bytes"
	"errors"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"fanfare/pkg/callback"
)

// maxItems bounds a list: no schema admits a longer one.
const maxItems = 64

// Reasons why a result cannot be read. They hold nothing of it.
var (
	errItems  = errors.New("the answer's result is a list of more than 64 items")
	errResult = errors.New("the answer's result cannot be read")
)

// result is what was found in an answer, as a callback has it; the zero result
// is that there is none.
type result struct {
	list  bool
	items []jsontext.Value // of a list; else the value alone
}

// nothing reports one of the provider's ways to say that it has none.
func nothing(v jsontext.Value) bool {
	switch v.Kind() {
	case '"':
		return string(v) == `""`
	case '[', '{':
		return len(bytes.TrimSpace(v[1:len(v)-1])) == 0
	case '0', 't', 'f':
		return false
	default:
		return true
	}
}

// result finds the type's result in data.response, which is no object where the
// provider has none.
func (q question) result(response jsontext.Value) (result, error) {
	if response.Kind() != '{' {
		return result{}, nil
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(response, &members); err != nil {
		return result{}, errResult
	}
	for _, name := range q.details.Result.From {
		switch value := members[name]; {
		case nothing(value):
		case value.Kind() == '[':
			items, err := itemsOf(value, q.details.Result.Items)
			return result{list: true, items: items}, err
		default:
			return result{items: []jsontext.Value{value}}, nil
		}
	}
	return result{}, nil
}

// itemsOf reads a list.
func itemsOf(list jsontext.Value, how *callback.DetailsItems) (items []jsontext.Value, err error) {
	dec := jsontext.NewDecoder(bytes.NewReader(list))
	if _, err := dec.ReadToken(); err != nil {
		return nil, errResult
	}
	for n := 0; dec.PeekKind() != ']'; n++ {
		if n == maxItems {
			return nil, errItems
		}
		value, err := dec.ReadValue()
		if err != nil {
			return nil, errResult
		}
		item, err := itemOf(value.Clone(), how)
		if err != nil {
			return nil, err
		}
		if item != nil {
			items = append(items, item)
		}
	}
	return items, nil
}

// itemOf returns an item as a callback has it, or nil for a placeholder: a task
// that has just begun can have one.
func itemOf(value jsontext.Value, how *callback.DetailsItems) (jsontext.Value, error) {
	switch {
	case how == nil:
		return value, nil
	case nothing(value):
		return nil, nil
	case value.Kind() != '{':
		return value, nil
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(value, &members); err != nil {
		return nil, errResult
	}
	if !slices.ContainsFunc(how.Needs, func(name string) bool { return !nothing(members[name]) }) {
		return nil, nil
	}
	for _, from := range slices.Sorted(maps.Keys(how.Rename)) {
		member, ok := members[from]
		if !ok {
			continue
		}
		delete(members, from)
		if to := how.Rename[from]; nothing(members[to]) {
			members[to] = member
		}
	}
	item, err := json.Marshal(members, json.Deterministic(true))
	if err != nil {
		return nil, errResult
	}
	return item, nil
}

// encode writes the result as a callback has it.
func (r result) encode() jsontext.Value {
	switch {
	case len(r.items) == 0 && !r.list:
		return jsontext.Value("null")
	case !r.list:
		return r.items[0]
	}
	list := jsontext.Value("[")
	for i, item := range r.items {
		if i > 0 {
			list = append(list, ',')
		}
		list = append(list, item...)
	}
	return append(list, ']')
}
