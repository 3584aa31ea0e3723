package callback_test

import (
	"encoding/json" //nolint:depguard // quotes any text, also what the strict package would refuse
	"strings"
	"testing"

	"fanfare/pkg/callback"
)

// withURL is a success of type video whose URL is any text.
func withURL(tb testing.TB, u string) string {
	tb.Helper()
	quoted, err := json.Marshal(u)
	if err != nil {
		tb.Fatal(err)
	}
	return succeeded(`,"video_url":` + string(quoted))
}

// urlOf is a URL of n bytes.
func urlOf(n int) string {
	const start = "https://h/"
	return start + strings.Repeat("a", n-len(start))
}

func TestMediaURLRules(t *testing.T) {
	t.Parallel()
	const bad = callback.ReasonSchema
	rows := []verdict{
		{"https", "https://example.com/v.mp4", ""},
		{"http", "http://example.com/v.mp4", ""},
		{"scheme in capitals", "HTTPS://example.com/v.mp4", ""},
		{"no path", "https://example.com", ""},
		{"masked, as documented", "https://example.cn/****.mp3", ""},
		{"query and fragment", "https://example.com/v?Signature=a%2Bb&x=%20#t", ""},
		{"escaped space in the path", "https://example.com/a%20b.mp4", ""},
		{"letters beyond ASCII in the path", "https://example.com/é/音.mp4", ""},
		{"host beyond ASCII", "https://bücher.example/v.mp4", ""},
		{"IPv4", "http://192.0.2.1/v.mp4", ""},
		{"IPv6", "http://[2001:db8::1]:8443/v.mp4", ""},
		{"port 1", "http://h:1/v", ""},
		{"port 65535", "http://h:65535/v", ""},
		{"4096 bytes", urlOf(4096), ""},

		{"4097 bytes", urlOf(4097), bad},
		{"4096 characters of two bytes", "https://h/" + strings.Repeat("é", 4086), bad},
		{"relative", "/v.mp4", bad},
		{"no scheme", "example.com/v.mp4", bad},
		{"host without scheme", "//example.com/v.mp4", bad},
		{"ftp", "ftp://example.com/v.mp4", bad},
		{"file", "file:///etc/passwd", bad},
		{"data", "data:video/mp4;base64,AAAA", bad},
		{"javascript", "javascript:alert(1)", bad},
		{"opaque", "https:example.com/v.mp4", bad},
		{"one slash", "https:/example.com/v.mp4", bad},
		{"no host", "https:///v.mp4", bad},
		{"no host but a port", "https://:443/v.mp4", bad},
		{"user", "https://user@example.com/v.mp4", bad},
		{"user and password", "https://user:" + canary + "@example.com/v.mp4", bad},
		{"empty user", "https://@example.com/v.mp4", bad},
		{"port 0", "http://h:0/v", bad},
		{"port 65536", "http://h:65536/v", bad},
		{"port of letters", "http://h:http/v", bad},
		{"negative port", "http://h:-1/v", bad},
		{"space before", " https://example.com/v.mp4", bad},
		{"space after", "https://example.com/v.mp4 ", bad},
		{"space in the path", "https://example.com/" + canary + " v.mp4", bad},
		{"space in the host", "https://exa mple.com/v.mp4", bad},
		{"tab", "https://example.com/\tv.mp4", bad},
		{"line feed", "https://example.com/v\n.mp4", bad},
		{"carriage return after", "https://example.com/v.mp4\r", bad},
		{"non-breaking space", "https://example.com/\u00a0v.mp4", bad},
		{"next line", "https://example.com/\u0085v.mp4", bad},
		{"em space", "https://example.com/\u2003v.mp4", bad},
		{"line separator", "https://example.com/\u2028v.mp4", bad},
		{"ideographic space", "https://example.com/\u3000v.mp4", bad},
		{"backslash in the path", `https://example.com/\v.mp4`, bad},
		{"backslash before the host", `https:\\example.com/v.mp4`, bad},
		{"backslash in the host", `https://example.com\@h/v.mp4`, bad},
		{"NUL", "https://example.com/\x00", bad},
		{"escape character", "https://example.com/\x1b[2J", bad},
		{"DEL", "https://example.com/\x7f", bad},
		{"C1 control", "https://example.com/\u0090", bad},
		{"bad percent escape", "https://example.com/%zz", bad},
		{"bracket left open", "http://[2001:db8::1/v.mp4", bad},
		{"no URL at all", canary, bad},
	}
	for i := range rows {
		rows[i].body = withURL(t, rows[i].body)
	}
	judge(t, "video", rows)
}
