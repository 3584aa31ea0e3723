package callback

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxDepth     = 64 // how deep objects and lists may nest in a body
	maxItemsKept = 65 // of a list: one more than any schema allows, so that what follows cannot make it valid
)

// errDepth reports a body that nests deeper than maxDepth.
var errDepth = errors.New("nested too deeply")

// parseObject reads body as one strict JSON object (RFC 8259, UTF-8, no byte
// order mark, no name twice in an object at any level, nothing after it) into
// maps, slices, strings, bools, nil and float64. A number beyond float64 becomes
// the largest one of its sign, and of a long list only the beginning is kept:
// nobody reads more of either, and it must not cost more.
func parseObject(body []byte) (map[string]any, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body))
	if kind := dec.PeekKind(); kind != '{' && kind != 0 {
		return nil, &Invalid{ReasonMalformed, "the body is not a JSON object"}
	}
	value, err := parseValue(dec)
	if err == nil {
		if _, rest := dec.ReadToken(); rest != io.EOF { //nolint:errorlint // jsontext documents a bare io.EOF
			err = errors.New("data after the object")
		}
	}
	if err != nil {
		return nil, &Invalid{ReasonMalformed, malformed(err, dec.InputOffset())}
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, &Invalid{ReasonMalformed, "the body is not a JSON object"}
	}
	return object, nil
}

func malformed(err error, offset int64) string {
	switch {
	case errors.Is(err, errDepth):
		return fmt.Sprintf("the body nests deeper than %d levels", maxDepth)
	case errors.Is(err, jsontext.ErrDuplicateName):
		return fmt.Sprintf("an object in the body has the same name twice, near byte %d", offset)
	default:
		return fmt.Sprintf("the body is not one strict JSON object in UTF-8, near byte %d", offset)
	}
}

func parseValue(dec *jsontext.Decoder) (any, error) {
	tok, err := dec.ReadToken()
	if err != nil {
		return nil, err
	}
	switch tok.Kind() {
	case '{':
		return parseMembers(dec)
	case '[':
		return parseItems(dec)
	case '"':
		return tok.String(), nil
	case '0':
		return parseNumber(tok.String()), nil
	case 't', 'f':
		return tok.Bool(), nil
	default:
		return nil, nil
	}
}

func parseMembers(dec *jsontext.Decoder) (any, error) {
	if dec.StackDepth() > maxDepth {
		return nil, errDepth
	}
	object := make(map[string]any)
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		key := name.String()
		if object[key], err = parseValue(dec); err != nil {
			return nil, err
		}
	}
	_, err := dec.ReadToken()
	return object, err
}

func parseItems(dec *jsontext.Decoder) (any, error) {
	if dec.StackDepth() > maxDepth {
		return nil, errDepth
	}
	items := []any{}
	for dec.PeekKind() != ']' {
		item, err := parseValue(dec)
		if err != nil {
			return nil, err
		}
		if len(items) < maxItemsKept {
			items = append(items, item)
		}
	}
	_, err := dec.ReadToken()
	return items, err
}

func parseNumber(literal string) float64 {
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil && math.IsInf(f, 0) {
		return math.Copysign(math.MaxFloat64, f)
	}
	return f
}
