package callback_test

import (
	"cmp"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"fanfare/pkg/callback"
)

const alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// documents is how many bodies are made for each type.
const documents = 3000

// TestDecodeAgreesWithAnotherJudge makes bodies that are callbacks, or nearly, and
// holds every verdict against that of a second reading of the rules of acceptance.
// It shares neither the JSON library nor the schemas with ours.
func TestDecodeAgreesWithAnotherJudge(t *testing.T) {
	t.Parallel()
	for typ, c := range contracts(t) {
		t.Run(string(typ), func(t *testing.T) {
			t.Parallel()
			m := maker{rand.New(rand.NewPCG(8259, 3629)), typ}
			scalar := regexp.MustCompile(`\A(?:true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)\z`) // but for strings
			seen := make(map[string]int)
			for n := range documents {
				body := m.document()
				got, want := ours(c, body), theirs(typ, scalar, body)
				if got != want {
					t.Errorf("document %d is %s, and by the other judge %s:\n%q", n, got, want, body)
				}
				word, _, _ := strings.Cut(want, " ")
				seen[word]++
			}
			for _, verdict := range []string{"accepted", "malformed", "task_id", "schema"} {
				if seen[verdict] < documents/20 {
					t.Errorf("too few documents are %s: %v", verdict, seen)
				}
			}
		})
	}
}

// ours is what Decode makes of a body: a reason, or all that was read.
func ours(c *callback.Contract, body string) string {
	cb, err := c.Decode([]byte(body))
	if invalid, ok := errors.AsType[*callback.Invalid](err); ok {
		return string(invalid.Reason)
	}
	return fmt.Sprintf("accepted %s %q %v", cb.MessageID(), cb.Message, err)
}

// node is a JSON value.
type node struct {
	kind    byte             // its first byte
	text    string           // of a string, unescaped; of a number, as it stands
	members map[string]*node // of an object; of a list, by index
}

// of is a member of an object, or nil.
func (n *node) of(name string) *node {
	if n == nil || n.kind != '{' {
		return nil
	}
	return n.members[name]
}

// nothing reports what the provider has in the place of a value that it has not.
func (n *node) nothing() bool {
	return n == nil || n.kind == 'n' || n.kind == '"' && n.text == "" || n.kind == '[' && len(n.members) == 0
}

// cut cuts the first token off s, or what might be meant for one.
func cut(s string) (token, rest string) {
	s = strings.TrimLeft(s, " \t\n\r")
	n := min(1, len(s))
	switch {
	case strings.HasPrefix(s, `"`):
		for ; n < len(s) && s[n] != '"'; n++ {
			if s[n] == '\\' {
				n++
			}
		}
		n = min(n+1, len(s))
	case n > 0 && strings.IndexByte("{}[]:,", s[0]) < 0:
		n = cmp.Or(strings.IndexAny(s, "{}[]:,\" \t\n\r")+1, len(s)+1) - 1
	}
	return s[:n], s[n:]
}

// reader reads tokens by recursive descent.
type reader struct {
	scalar *regexp.Regexp
	tokens []string
	bad    bool // whether they were no JSON so far
}

// parse reads a body by RFC 8259, or returns nil.
func parse(body string, scalar *regexp.Regexp) *node {
	p := &reader{scalar: scalar, bad: !utf8.ValidString(body)}
	for token, rest := cut(body); token != ""; token, rest = cut(rest) {
		p.tokens = append(p.tokens, token)
	}
	if n := p.value(1); !p.bad && len(p.tokens) == 0 {
		return n
	}
	return nil
}

// next takes the next token, which must be among those given, if there are any.
func (p *reader) next(wanted ...string) string {
	if len(p.tokens) == 0 || wanted != nil && !slices.Contains(wanted, p.tokens[0]) {
		p.bad = true
		return "!"
	}
	token := p.tokens[0]
	p.tokens = p.tokens[1:]
	return token
}

func (p *reader) value(depth int) *node {
	token := p.next()
	n := &node{kind: token[0], text: token, members: make(map[string]*node)}
	switch token[0] {
	case '{', '[':
		p.bad = p.bad || depth > 64
		for shut := string(token[0] + 2); !p.bad; {
			if len(p.tokens) > 0 && p.tokens[0] == shut {
				p.next()
				return n
			}
			if len(n.members) > 0 {
				p.next(",")
			}
			name := strconv.Itoa(len(n.members))
			if n.kind == '{' {
				name = p.unquote(p.next())
				p.next(":")
			}
			p.bad = p.bad || n.members[name] != nil
			n.members[name] = p.value(depth + 1)
		}
	case '"':
		n.text = p.unquote(token)
	default:
		p.bad = p.bad || !p.scalar.MatchString(token)
	}
	return n
}

// unquote is the text of a string, in which no surrogate may be alone.
func (p *reader) unquote(quoted string) string {
	s, opened := strings.CutPrefix(quoted, `"`)
	s, closed := strings.CutSuffix(s, `"`)
	p.bad = p.bad || !opened || !closed
	var units []uint16
	for s != "" && !p.bad {
		r, size := utf8.DecodeRuneInString(s)
		p.bad = r < ' '
		if r == '\\' {
			next := s[1:] + "!!!!!" // which is no escape
			i := strings.IndexByte(`"\/bfnrt`, next[0])
			unit, err := strconv.ParseUint(next[1:5], 16, 16)
			if next[0] == 'u' && err == nil {
				units, s = append(units, uint16(unit)), s[6:]
				continue
			}
			p.bad = i < 0
			r, size = rune("\"\\/\b\f\n\r\t"[max(0, i)]), 2
		}
		units, s = utf16.AppendRune(units, r), s[min(size, len(s)):]
	}
	runes := utf16.Decode(units)
	p.bad = p.bad || !slices.Equal(utf16.Encode(runes), units)
	return string(runes)
}

// theirs is the verdict on a body by the rules of acceptance, in their order.
func theirs(typ callback.Type, scalar *regexp.Regexp, body string) string {
	document := parse(body, scalar)
	if document == nil || document.kind != '{' {
		return "malformed"
	}
	data := document.of("data")
	id, ok := eitherID(data.of("task_id"), data.of("taskId"))
	if !ok {
		return "task_id"
	}
	code, ok := integer(document.of("code"))
	msg, word := document.of("msg"), data.of("callbackType")
	stage := "complete"
	switch {
	case !ok || msg == nil || msg.kind != '"':
		return "schema"
	case code != 200 && (typ != "video" || code != 0):
		stage = "error"
	case typ == "music" && !word.nothing():
		if stage = word.text; word.kind != '"' || len(stage) > 64 || strings.Trim(stage, alphanumeric+"_-") != "" {
			return "schema"
		}
		if !slices.Contains([]string{"text", "first", "complete", "error"}, stage) {
			stage = "other:" + stage
		}
	}
	if (stage == "complete" || stage == "first") && !hasResult(typ, data) {
		return "schema"
	}
	return fmt.Sprintf("accepted %s/%s/%s/%d %q <nil>", typ, id, stage, code, msg.text)
}

func eitherID(places ...*node) (id string, ok bool) {
	for _, place := range places {
		switch {
		case place.nothing():
		case place.kind != '"' || id != "" && id != place.text:
			return "", false
		default:
			id = place.text
		}
	}
	return id, len(id) <= 80 && strings.Trim(id, alphanumeric+"_.*:-") == "" && strings.ContainsAny(id, alphanumeric)
}

// integer is the value of a number as float64 has it, if that is integral and of
// 32 bits.
func integer(n *node) (value int64, ok bool) {
	if n == nil || n.kind != '-' && (n.kind < '0' || n.kind > '9') {
		return 0, false
	}
	exact, _, err := big.ParseFloat(n.text, 10, 4096, big.ToNearestEven)
	if err != nil { // an exponent that no float64 has
		return 0, strings.Contains(strings.ToLower(n.text), "e-")
	}
	nearest, _ := exact.Float64()
	value, accuracy := big.NewFloat(nearest).Int64()
	return value, accuracy == big.Exact && value == int64(int32(value))
}

// hasResult reports whether data has what a success of the type must carry: at least
// one of the URLs that count, and none that is bad.
func hasResult(typ callback.Type, data *node) bool {
	found, fine := false, true
	see := func(counts bool, places ...*node) {
		for _, place := range places {
			if !place.nothing() {
				found, fine = found || counts, fine && place.kind == '"' && plausible(place.text)
			}
		}
	}
	of := func(list *node) map[string]*node {
		if fine = list != nil && list.kind == '[' && len(list.members) <= 64; !fine {
			return nil
		}
		return list.members
	}
	switch typ {
	case "music":
		for _, item := range of(data.of("data")) {
			fine = fine && (item.kind == '{' || item.kind == 'n')
			see(true, item.of("audio_url"))
			see(false, item.of("source_audio_url"), item.of("image_url"), item.of("source_image_url"))
		}
	case "video":
		see(true, data.of("video_url"))
	case "wav":
		see(true, data.of("audioWavUrl"), data.of("audio_wav_url"), data.of("response").of("audioWavUrl"))
	case "cover":
		for _, item := range of(data.of("images")) {
			see(true, item)
		}
	}
	return fine && found
}

// plausible reports whether s is a URL as results have them. What is a URL at all
// is net/url's to say, here as well.
func plausible(s string) bool {
	u, err := url.Parse(s)
	if err != nil || len(s) > 4<<10 || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return false
	}
	port, err := strconv.Atoi(cmp.Or(u.Port(), "443"))
	return err == nil && port > 0 && port < 1<<16 && !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == '\\' })
}

// maker makes bodies.
type maker struct {
	*rand.Rand
	typ callback.Type
}

func (m maker) pick(from ...string) string { return from[m.IntN(len(from))] }

// some picks one of good, or now and then one of odd, or of what may stand anywhere.
func (m maker) some(good []string, odd ...string) string {
	if m.IntN(10) > 0 {
		return m.pick(good...)
	}
	return m.pick(append(odd, "null", `""`, "[]", "{}", "7", "true", `["x"]`, `{"a":{"a":[1,{"code":2}]},"data":"\ud83d\ude00"}`)...)
}

// object is an object of nearly all members, in any order.
func (m maker) object(members ...string) string {
	m.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	members = slices.DeleteFunc(members, func(string) bool { return m.IntN(40) == 0 })
	return "{" + strings.Join(members, ",") + "}"
}

func (m maker) url() string {
	return m.some([]string{`"https://h/a"`, `"HTTP://h:65535?a#b"`, `"https:\/\/\u0068/\u00e9"`, `"https://[::1]/%20"`},
		`"https://h/~4086"`, `"https://h/~4087"`, `"ftp://h/"`, `"https://u@h/"`, `"https://h:0/"`, `"https:///a"`, `"https://h/ "`, `"https://h/\u0085"`, `"//h/"`, `"https://h/%z"`)
}

func (m maker) document() string {
	id := m.some([]string{`"t1"`, `"**a.b:_-"`, `"~80"`}, `"a b"`, `"**"`, `"~81"`, `"a\u0000"`)
	data := []string{`"task_id":` + id, `"x":` + m.some([]string{"1"}), `"callbackType":` + m.some([]string{`"complete"`, `"first"`, `"text"`, `"error"`, `"x-Y_9"`, "null"}, `"a b"`)}
	switch m.IntN(4) {
	case 0:
		data[0] = `"taskId":` + id
	case 1:
		data = append(data, `"taskId":`+m.some([]string{id, `""`, "null", "[]"}, `"T1"`))
	}
	track := func() string {
		return m.some([]string{m.object(`"audio_url":`+m.url(), `"image_url":`+m.some([]string{m.url(), "null"}), `"id":`+m.some([]string{`"x"`}))})
	}
	switch list := m.IntN(3); m.typ {
	case "music":
		data = append(data, `"data":`+m.some([]string{"[" + track() + "]", "[null," + track() + "," + track() + "]", "[" + strings.Repeat(track()+",", 62+list) + "{}]"}))
	case "video":
		data = append(data, `"video_url":`+m.url())
	case "wav":
		data = append(data, `"audioWavUrl":`+m.url(), `"audio_wav_url":`+m.some([]string{m.url(), "null"}), `"response":`+m.object(`"audioWavUrl":`+m.url()))
	case "cover":
		data = append(data, `"images":`+m.some([]string{"[" + m.url() + "]", "[null," + m.url() + "," + m.url() + "]", "[" + strings.Repeat(m.url()+",", 62+list) + `""]`}))
	}
	code := m.some([]string{"200", "200.0", "2e2", "0", "-0.0e9", "500", "20000E-2", "-1", "2147483647", "-2147483648"},
		"200.5", "2147483648", "1e400", "1e-400", "0e99999999999", "-1e-99999999999", "1e+0000000002", "200.00000000000000001", `"200"`, "-2147483648.5", "4.9e-324")
	text := m.object(`"code":`+code, `"msg":`+m.some([]string{`""`, `"\n\u0041音"`}), `"data":`+m.some([]string{m.object(data...)}), `"y":`+m.some([]string{"0"}))
	for _, n := range []int{4086, 4087, 80, 81} {
		text = strings.ReplaceAll(text, fmt.Sprint("~", n), strings.Repeat("a", n))
	}
	var tokens []string
	for token, rest := cut(text); token != ""; token, rest = cut(rest) {
		tokens = append(tokens, token)
	}
	for len(tokens) > 0 && m.IntN(3) == 0 {
		tokens = m.mutate(tokens)
	}
	text = strings.Join(tokens, m.pick("", "", " ", "\r\n", "\t"))
	for m.IntN(6) == 0 {
		text = m.scratch(text)
	}
	return text
}

// mutate changes one token, or copies a few.
func (m maker) mutate(tokens []string) []string {
	i := m.IntN(len(tokens))
	j, token := min(i+1+m.IntN(6), len(tokens)), tokens[i]
	switch m.IntN(8) {
	case 0:
		return slices.Insert(slices.Clone(tokens), i, m.pick("{", "}", "[", "]", ",", ":", `"code"`, `"x":1,`, "1", "null"))
	case 1:
		return slices.Delete(tokens, i, i+1)
	case 2:
		return slices.Insert(slices.Clone(tokens), j, append([]string{","}, tokens[i:j]...)...)
	case 3:
		levels := 58 + m.IntN(9)
		tokens[i] = strings.Repeat("[", levels) + token + strings.Repeat("]", levels)
	case 4:
		tokens[i] = m.pick("-0", "1.5e3", "01", "+1", ".5", "5.", "1e", "NaN", "tru", "{}", "[]", `"data"`, `"task_id"`, `"\ud800"`, `"\udc00\ud800"`, `"\u12"`, `"\x"`, `'x'`)
	case 5:
		tokens[i], tokens[j-1] = tokens[j-1], token
	default:
		if k := 1 + m.IntN(len(token)); token[0] == '"' && !strings.Contains(token, `\`) && k < len(token)-1 && token[k] < utf8.RuneSelf {
			tokens[i] = fmt.Sprintf(`%s\u%04x%s`, token[:k], token[k], token[k+1:]) // the same, spelled otherwise
		}
	}
	return tokens
}

// scratch puts a few bytes in the place of a few.
func (m maker) scratch(text string) string {
	i := []int{0, len(text), m.IntN(len(text) + 1)}[min(2, m.IntN(12))]
	return text[:i] + m.pick("", "\xff", "\xed\xa0\x80", "\ufeff", "\x00", `\`, `"`, "{", "}", ",", ":", "\n", "\v", "\u00a0", `\ud800`, `\ud83d\ude00`, "0", "-", ".", "e", "T", "/", "\x7f", "é") + text[min(len(text), i+m.IntN(3)):]
}
