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

// members are the names that a schema asks after, at whatever level.
type members map[string]string

// membersOf adds every name that the schema doc, or a part of it, asks after.
func membersOf(into members, doc any) {
	switch doc := doc.(type) {
	case []any:
		for _, part := range doc {
			membersOf(into, part)
		}
	case map[string]any:
		properties, _ := doc["properties"].(map[string]any)
		for name := range properties {
			into[name] = name
		}
		required, _ := doc["required"].([]any)
		for _, name := range required {
			if name, ok := name.(string); ok {
				into[name] = name
			}
		}
		for _, part := range doc {
			membersOf(into, part)
		}
	}
}

// parseObject reads body as one strict JSON object (RFC 8259, UTF-8, no byte
// order mark, no name twice in an object at any level, nothing after it) into
// maps, slices, strings, bools, nil and float64. Nobody reads more than the named
// members, of a list more than its beginning, and of a number more than float64
// holds, so no more is kept: it must not cost more.
func parseObject(dec *jsontext.Decoder, body []byte, named members) (map[string]any, error) {
	dec.Reset(bytes.NewBuffer(body))
	p := parser{dec, named}
	if kind := dec.PeekKind(); kind != '{' && kind != 0 {
		return nil, &Invalid{ReasonMalformed, "the body is not a JSON object"}
	}
	value, err := p.value()
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

type parser struct {
	dec   *jsontext.Decoder
	named members
}

func (p parser) value() (any, error) {
	tok, err := p.dec.ReadToken()
	if err != nil {
		return nil, err
	}
	switch tok.Kind() {
	case '{':
		return p.object()
	case '[':
		return p.list()
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

func (p parser) object() (any, error) {
	if p.dec.StackDepth() > maxDepth {
		return nil, errDepth
	}
	object := make(map[string]any)
	for p.dec.PeekKind() != '}' {
		name, ok, err := p.name()
		if err != nil {
			return nil, err
		}
		if !ok {
			if err := p.skip(); err != nil {
				return nil, err
			}
			continue
		}
		if object[name], err = p.value(); err != nil {
			return nil, err
		}
	}
	_, err := p.dec.ReadToken()
	return object, err
}

// name reads the name of a member and reports whether a schema asks after it.
func (p parser) name() (name string, ok bool, err error) {
	quoted, err := p.dec.ReadValue()
	if err != nil || len(quoted) < len(`""`) {
		return "", false, err
	}
	if bytes.IndexByte(quoted, '\\') < 0 {
		name, ok = p.named[string(quoted[1:len(quoted)-1])]
		return name, ok, nil
	}
	unquoted, err := jsontext.AppendUnquote(nil, quoted)
	name, ok = p.named[string(unquoted)]
	return name, ok, err
}

// skip reads a value that nobody asks after.
func (p parser) skip() error {
	for depth := p.dec.StackDepth(); ; {
		if _, err := p.dec.ReadToken(); err != nil {
			return err
		}
		switch now := p.dec.StackDepth(); {
		case now > maxDepth:
			return errDepth
		case now <= depth:
			return nil
		}
	}
}

func (p parser) list() (any, error) {
	if p.dec.StackDepth() > maxDepth {
		return nil, errDepth
	}
	items := []any{}
	for p.dec.PeekKind() != ']' {
		if len(items) == maxItemsKept {
			if err := p.skip(); err != nil {
				return nil, err
			}
			continue
		}
		item, err := p.value()
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	_, err := p.dec.ReadToken()
	return items, err
}

// parseNumber makes of a number beyond float64 the largest one of its sign.
func parseNumber(literal string) float64 {
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil && math.IsInf(f, 0) {
		return math.Copysign(math.MaxFloat64, f)
	}
	return f
}
