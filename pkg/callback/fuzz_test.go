package callback_test

import (
	"bytes"
	"encoding/json" //nolint:depguard // another judge of what JSON is
	"errors"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"fanfare/pkg/callback"
)

// FuzzDecode holds every verdict on a body against what a verdict promises.
func FuzzDecode(f *testing.F) {
	all := contracts(f)
	types := all.Types()
	for _, name := range examples(f) {
		f.Add(uint8(slices.Index(types, callback.Type(path.Base(path.Dir(name))))), example(f, name))
	}
	f.Add(uint8(0), []byte(failed(`,"x":[1e400,"\ud83d\ude00",{"a":{"a":null}}],"\u0061":false`)))
	f.Add(uint8(1), []byte(failed(`,"a":1,"\u0061":2`)))
	f.Add(uint8(2), []byte(`{"code":-0.0e1,"msg":"","data":{"task_id":[],"taskId":"a*","video_url":"HTTPS://h"}}`))
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		c := all[types[int(which)%len(types)]]
		cb, err := c.Decode(body)
		if err != nil {
			checkVerdict(t, err)
			return
		}
		if !json.Valid(body) {
			t.Fatal("accepted what is no JSON")
		}
		if !bytes.Equal(cb.Body, body) {
			t.Error("the body was changed")
		}
		checkSpelledAnew(t, c, cb)
	})
}

// checkVerdict checks that err is a refusal of a closed set that a sender may see.
func checkVerdict(t *testing.T, err error) {
	t.Helper()
	var invalid *callback.Invalid
	if !errors.As(err, &invalid) {
		t.Fatalf("err = %v, want an *Invalid", err)
	}
	if !slices.Contains([]callback.Reason{callback.ReasonMalformed, callback.ReasonTaskID, callback.ReasonSchema}, invalid.Reason) {
		t.Errorf("reason = %q, which is none of the closed set", invalid.Reason)
	}
	checkTellable(t, invalid)
}

// checkSpelledAnew checks that the same value written otherwise is the same callback.
func checkSpelledAnew(t *testing.T, c *callback.Contract, cb callback.Callback) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(cb.Body))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		t.Fatal(err)
	}
	var anew strings.Builder
	respell(t, &anew, value)
	again, err := c.Decode([]byte(anew.String()))
	if err != nil {
		t.Fatalf("refused when spelled anew: %v\n%s", err, anew.String())
	}
	if again.MessageID() != cb.MessageID() || again.Message != cb.Message {
		t.Errorf("%s spelled anew is %s", cb.MessageID(), again.MessageID())
	}
}

// respell writes value with other white space, and names in falling order.
func respell(t *testing.T, b *strings.Builder, value any) {
	t.Helper()
	switch v := value.(type) {
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		slices.Reverse(names)
		b.WriteString("\n{")
		for i, name := range names {
			if i > 0 {
				b.WriteString(" ,\t")
			}
			respell(t, b, name)
			b.WriteString("\r\n: ")
			respell(t, b, v[name])
		}
		b.WriteString("} ")
	case []any:
		b.WriteString(" [ ")
		for i, item := range v {
			if i > 0 {
				b.WriteString("\n,")
			}
			respell(t, b, item)
		}
		b.WriteString("]\t")
	default:
		literal, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(literal)
	}
}

// FuzzIdentity checks the alphabet of task IDs, and that no two texts are one once
// they are escaped.
func FuzzIdentity(f *testing.F) {
	f.Add("65e563474bd7b6485dfb229eb92324a8", "2fac****9f72")
	f.Add("a.b", "a=2Eb")
	f.Add("=", "=3D")
	f.Add("****", "..")
	f.Add(strings.Repeat("a", 80), strings.Repeat("a", 81))
	f.Add("a\n", "\xff")
	alphabet := regexp.MustCompile(`\A[A-Za-z0-9_.*:-]{1,80}\z`)
	named := regexp.MustCompile(`[A-Za-z0-9]`)
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, s := range []string{a, b} {
			id, err := callback.ParseTaskID(s)
			if want := alphabet.MatchString(s) && named.MatchString(s); want != (err == nil) || want && string(id) != s {
				t.Errorf("ParseTaskID(%q) = %q, %v; want it accepted: %t", s, id, err, want)
			}
			if err != nil {
				checkVerdict(t, err)
			}
			checkEscape(t, s)
		}
		if (callback.Escape(a) == callback.Escape(b)) != (a == b) {
			t.Errorf("%q and %q are both %q once escaped", a, b, callback.Escape(a))
		}
	})
}

// FuzzMediaURL checks that an accepted URL is one that a client can ask.
func FuzzMediaURL(f *testing.F) {
	for _, u := range []string{
		"https://example.cn/****.mp3", "HTTP://h:65535/?a=b#c", "http://[2001:db8::1%25eth0]/", "https://user@h/",
		`http://h\@x/`, "http:///x", "http://h:0/", "//h/x", "http://%41/", "http://h/\u00a0", urlOf(4097),
	} {
		f.Add(u)
	}
	video := contract(f, "video")
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ToValidUTF8(s, "") != s {
			t.Skip("no body holds it")
		}
		if _, err := video.Decode([]byte(withURL(t, s))); err != nil {
			checkVerdict(t, err)
			return
		}
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Opaque != "" {
			t.Errorf("accepted %q, which is %+v", s, u)
		}
		if len(s) > 4096 || strings.ContainsFunc(s, func(r rune) bool { return r == '\\' || unicode.IsSpace(r) || unicode.IsControl(r) }) {
			t.Errorf("accepted %q", s)
		}
	})
}
