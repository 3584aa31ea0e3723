package callback_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"fanfare/pkg/callback"
)

func TestEscapeByExample(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                 "",
		"65e563474bd7b6485dfb229eb92324a8": "65e563474bd7b6485dfb229eb92324a8",
		"taskId_774b-AZ09":                 "taskId_774b-AZ09",
		"2fac****9f72":                     "2fac=2A=2A=2A=2A9f72",
		"a.b:c":                            "a=2Eb=3Ac",
		"=2E":                              "=3D2E",
		"..":                               "=2E=2E",
		"a/b\\c":                           "a=2Fb=5Cc",
		"a \n\x00":                         "a=20=0A=00",
		"é":                                "=C3=A9",
		"\xff":                             "=FF",
	} {
		if got := callback.Escape(in); got != want {
			t.Errorf("Escape(%q) = %s, want %s", in, got, want)
		}
	}
}

// Whatever can be undone is one-to-one.
func TestEscapeCanBeUndone(t *testing.T) {
	t.Parallel()
	for a := range 256 {
		checkEscape(t, string([]byte{byte(a)}))
		for b := range 256 {
			checkEscape(t, string([]byte{byte(a), byte(b)}))
		}
	}
}

// checkEscape checks that the escaped form of s is safe, and that s can be had
// back from it.
func checkEscape(tb testing.TB, s string) {
	tb.Helper()
	escaped := callback.Escape(s)
	if strings.ContainsFunc(escaped, func(r rune) bool { return !strings.ContainsRune(safe, r) }) {
		tb.Errorf("Escape(%q) = %q has other characters than %s", s, escaped, safe)
	}
	if back, err := unescape(escaped); err != nil || back != s {
		tb.Errorf("Escape(%q) = %q, which is %q, %v again", s, escaped, back, err)
	}
}

// safe holds all characters of an escaped text.
const safe = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_=-"

func unescape(s string) (string, error) {
	plain, rest, found := strings.Cut(s, "=")
	for found {
		if len(rest) < 2 {
			return "", hex.ErrLength
		}
		b, err := hex.DecodeString(rest[:2])
		if err != nil {
			return "", err
		}
		var next string
		next, rest, found = strings.Cut(rest[2:], "=")
		plain += string(b) + next
	}
	return plain, nil
}
