package media

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// parseSource reads a URL to download from. Its errors hold nothing of the URL.
func parseSource(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("not a URL")
	}
	return u, checkSource(u)
}

func checkSource(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("neither http nor https")
	case u.User != nil:
		return errors.New("user information in the URL")
	case u.Opaque != "" || u.Hostname() == "":
		return errors.New("no host")
	case !validPort(u.Port()):
		return errors.New("no such port")
	case endsInNumber(u.Hostname()):
		return errors.New("an unusual spelling of an IPv4 address")
	}
	return nil
}

func validPort(port string) bool {
	if port == "" {
		return true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// endsInNumber reports hosts that no top-level domain can end in and that some
// programs read as IPv4 (127.1, 0x7f000001, 0177.0.0.1): they are refused
// before any resolver has a say.
func endsInNumber(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	last := strings.ToLower(labels[len(labels)-1])
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}

// maxShown bounds what an error says of something that a stranger wrote.
const maxShown = 200

// redact returns scheme, host and path of a URL: what a log may hold.
func redact(u *url.URL) string {
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return clip(shown.String())
}

// redactRaw does so for a URL that cannot be read, by saying nothing of it.
func redactRaw(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(unreadable URL)"
	}
	return redact(u)
}

func clip(text string) string {
	if len(text) <= maxShown {
		return text
	}
	return strings.ToValidUTF8(text[:maxShown], "") + "…"
}
