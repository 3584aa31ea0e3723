package media

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// hostList holds the media hosts that an operator names, in lower case.
type hostList struct {
	exact    map[string]bool
	suffixes []string // with the full stop in front
}

// newHostList reads names and wildcards; of no entries it makes a list that holds
// every host.
func newHostList(entries []string) (hostList, error) {
	l := hostList{exact: make(map[string]bool, len(entries))}
	for _, entry := range entries {
		name, wildcard := strings.CutPrefix(entry, "*.")
		if err := checkHost(name, wildcard); err != nil {
			return hostList{}, fmt.Errorf("host %.100q: %w", entry, err)
		}
		if wildcard {
			l.suffixes = append(l.suffixes, "."+canonicalHost(name))
		} else {
			l.exact[canonicalHost(name)] = true
		}
	}
	return l, nil
}

// checkHost takes a name of letters, digits, full stops and hyphens, or an IP
// address that is not a wildcard's.
func checkHost(name string, wildcard bool) error {
	if _, err := netip.ParseAddr(name); err == nil {
		if wildcard {
			return errors.New("nothing is below an IP address")
		}
		return nil
	}
	plain := strings.TrimSuffix(name, ".")
	switch {
	case plain == "" || strings.HasPrefix(plain, ".") || strings.HasSuffix(plain, ".") || strings.Contains(plain, ".."):
		return errors.New("not a name")
	case strings.ContainsFunc(plain, func(r rune) bool { return r == '=' || !isNameRune(r) }):
		return errors.New("not a name in ASCII, without scheme, port and path; only *. in front stands for more than itself")
	case endsInNumber(plain):
		return errors.New("neither a name nor an IP address")
	}
	return nil
}

// holds reports whether a URL's host is listed. A name beyond ASCII never is, so
// that what a resolver makes of it does not matter.
func (l hostList) holds(host string) bool {
	if len(l.exact) == 0 && len(l.suffixes) == 0 {
		return true
	}
	host = canonicalHost(host)
	if l.exact[host] {
		return true
	}
	for _, suffix := range l.suffixes {
		if len(host) > len(suffix) && strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return false
}

// canonicalHost returns the one spelling that is compared.
func canonicalHost(host string) string {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().String()
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
