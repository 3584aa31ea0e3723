package callback

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// maxURLBytes bounds a media URL.
const maxURLBytes = 4096

// checkMediaURL is the schema format "media-url". It takes any value, as
// formats do, and speaks only of strings that are not empty.
func checkMediaURL(value any) error {
	s, ok := value.(string)
	if !ok || s == "" {
		return nil
	}
	if len(s) > maxURLBytes {
		return errors.New("longer than 4096 bytes")
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r == '\\' || unicode.IsSpace(r) || unicode.IsControl(r) }) {
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
