package gateway

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// networks is a list of address ranges.
type networks []netip.Prefix

// parseNetworks parses addresses and CIDRs.
func parseNetworks(flag string, values []string) (networks, error) {
	var parsed networks
	for _, value := range values {
		prefix, err := netip.ParsePrefix(value)
		if err != nil {
			addr, addrErr := netip.ParseAddr(value)
			if addrErr != nil || addr.Zone() != "" {
				return nil, fmt.Errorf("gateway: %s %q is no IP address and no CIDR", flag, value)
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		if prefix.Addr().Is4In6() {
			return nil, fmt.Errorf("gateway: %s %q is IPv4 in IPv6: write it as IPv4", flag, value)
		}
		if prefix != prefix.Masked() {
			return nil, fmt.Errorf("gateway: %s %q has bits beyond its length: did you mean %s?", flag, value, prefix.Masked())
		}
		parsed = append(parsed, prefix)
	}
	return parsed, nil
}

func (n networks) contain(addr netip.Addr) bool {
	return slices.ContainsFunc(n, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// peer returns the address that a request comes from: the connection's, or, as
// far as trusted proxies vouch for it, the right-most one in X-Forwarded-For that
// is no trusted proxy itself.
func peer(r *http.Request, trusted networks) (netip.Addr, bool) {
	connection, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, false
	}
	addr := connection.Addr().Unmap().WithZone("")
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !trusted.contain(addr) {
			return addr, true
		}
		hop = strings.TrimSpace(hop)
		if hop == "" && len(hops) == 1 {
			return addr, true // the proxy speaks for itself
		}
		next, err := netip.ParseAddr(hop)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = next.Unmap().WithZone("")
	}
	return addr, true
}
