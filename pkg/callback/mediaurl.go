package callback

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxURLBytes bounds a media URL.
const maxURLBytes = 4096

// checkMediaURL is the schema format "media-url": an absolute http or https URL
// with a host, without user info, white space, backslash and control characters,
// or one of the provider's ways to say that there is none.
func checkMediaURL(value any) error {
	if nothing(value) {
		return nil
	}
	s, ok := value.(string)
	if !ok {
		return errors.New("not a string")
	}
	if len(s) > maxURLBytes {
		return errors.New("longer than 4096 bytes")
	}
	if strings.ContainsFunc(s, forbidden) {
		return errors.New("has white space, a backslash or a control character")
	}
	u, err := url.Parse(s)
	if err != nil {
		return errors.New("not a URL")
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("not an absolute http or https URL")
	}
	if u.Hostname() == "" || u.User != nil {
		return errors.New("has no host, or has user info")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return errors.New("has no usable port")
		}
	}
	return nil
}

// forbidden reports white space, a backslash and control characters.
func forbidden(r rune) bool {
	if r < utf8.RuneSelf {
		return r <= ' ' || r == '\\' || r == '\x7f'
	}
	return unicode.IsSpace(r) || unicode.IsControl(r)
}
