package simulate

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// A JSON value is an object, a list, a number, a string, a bool or nil. Unlike
// a map, an object has its members in an order, so that the same body can be
// written in several.
type (
	object []member
	list   []any
	number string // a JSON number, as written

	member struct {
		name  string
		value any
	}
)

func integer[T ~int | ~int32 | ~int64](n T) number {
	return number(strconv.FormatInt(int64(n), 10))
}

// has reports whether the object has a member of that name.
func (o object) has(name string) bool {
	return slices.ContainsFunc(o, func(m member) bool { return m.name == name })
}

// order is how the members of an object follow each other.
type order int

const (
	pageOrder    order = iota // as on the provider's pages
	alphabetical              // as in most captured callbacks
	shuffled                  // as nobody should care
)

// layout is one way to write a JSON value.
type layout struct {
	order  order
	indent string // "": no white space
	escape bool   // write slashes and what is not ASCII as escapes
}

// write returns the value in the layout; g shuffles.
func (l layout) write(g generator, value any) ([]byte, error) {
	body, err := l.append(nil, g, value)
	if err != nil {
		return nil, fmt.Errorf("write body: %w", err)
	}
	if l.indent != "" {
		err = (*jsontext.Value)(&body).Indent(jsontext.WithIndent(l.indent))
	}
	if err != nil {
		return nil, fmt.Errorf("indent body: %w", err)
	}
	return body, nil
}

func (l layout) append(dst []byte, g generator, value any) ([]byte, error) {
	switch v := value.(type) {
	case nil:
		return append(dst, "null"...), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	case number:
		return append(dst, v...), nil
	case string:
		return l.appendString(dst, v)
	case list:
		return l.appendList(dst, g, v)
	case object:
		return l.appendObject(dst, g, v)
	default:
		return nil, fmt.Errorf("%T is no JSON value", value)
	}
}

func (l layout) appendList(dst []byte, g generator, items list) ([]byte, error) {
	var err error
	dst = append(dst, '[')
	for i, item := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = l.append(dst, g, item); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

func (l layout) appendObject(dst []byte, g generator, o object) ([]byte, error) {
	members := slices.Clone(o)
	switch l.order {
	case alphabetical:
		slices.SortFunc(members, func(a, b member) int { return cmp.Compare(a.name, b.name) })
	case shuffled:
		g.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	case pageOrder:
	}
	var err error
	dst = append(dst, '{')
	for i, m := range members {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = l.appendString(dst, m.name); err != nil {
			return nil, err
		}
		dst = append(dst, ':')
		if dst, err = l.append(dst, g, m.value); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

func (l layout) appendString(dst []byte, s string) ([]byte, error) {
	quoted, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		return nil, fmt.Errorf("quote: %w", err)
	}
	if !l.escape {
		return append(dst, quoted...), nil
	}
	for _, r := range string(quoted) {
		switch {
		case r == '/':
			dst = append(dst, `\/`...)
		case r < utf8.RuneSelf:
			dst = utf8.AppendRune(dst, r)
		case r > 0xFFFF:
			r -= 0x10000
			dst = fmt.Appendf(dst, `\u%04x\u%04x`, 0xD800+r>>10, 0xDC00+r&0x3FF)
		default:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		}
	}
	return dst, nil
}
