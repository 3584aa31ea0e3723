package media

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"

	"code.dny.dev/ssrf"
)

// egress decides which addresses may be dialled: public ones, and those that an
// operator opened. It sees an address after every redirect and name lookup, so
// that no spelling and no change of a name's answer gets around it.
type egress struct {
	public *ssrf.Guardian
	open   []opening
}

// opening is one entry of the operator's list; port 0 stands for any port.
type opening struct {
	prefix netip.Prefix
	port   uint16
}

// refusedError reports an address that may not be dialled.
type refusedError struct{ address string }

func (e *refusedError) Error() string { return "special-purpose address " + e.address }

func newEgress(allow []string) (*egress, error) {
	e := &egress{public: ssrf.New(
		ssrf.WithAnyPort(),
		// Azure's metadata and host agent, although the range is public.
		ssrf.WithDeniedV4Prefixes(netip.PrefixFrom(netip.AddrFrom4([4]byte{168, 63, 129, 16}), 32)),
	)}
	for _, entry := range allow {
		o, err := parseOpening(entry)
		if err != nil {
			return nil, fmt.Errorf("egress allow %q: %w", entry, err)
		}
		e.open = append(e.open, o)
	}
	return e, nil
}

// parseOpening reads an IP, an IP with a port, or a CIDR.
func parseOpening(entry string) (opening, error) {
	if strings.Contains(entry, "%") {
		return opening{}, errors.New("zones are not supported")
	}
	if strings.Contains(entry, "/") {
		prefix, err := netip.ParsePrefix(entry)
		switch {
		case err != nil:
			return opening{}, errors.New("not a CIDR")
		case prefix.Addr().Is4In6():
			return opening{}, errors.New("an IPv4 range must be written as IPv4")
		case prefix != prefix.Masked():
			return opening{}, fmt.Errorf("bits beyond the mask are set: write %s or a single address", prefix.Masked())
		}
		return opening{prefix: prefix}, nil
	}
	if addr, err := netip.ParseAddr(entry); err == nil {
		addr = addr.Unmap()
		return opening{prefix: netip.PrefixFrom(addr, addr.BitLen())}, nil
	}
	ap, err := netip.ParseAddrPort(entry)
	if err != nil || ap.Port() == 0 {
		return opening{}, errors.New("not an IP, IP:port or CIDR; an IPv6 address with a port needs brackets")
	}
	addr := ap.Addr().Unmap()
	return opening{prefix: netip.PrefixFrom(addr, addr.BitLen()), port: ap.Port()}, nil
}

// control is a [net.Dialer]'s Control: it runs before each connect.
func (e *egress) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return &refusedError{address: address}
	}
	return e.check(ap)
}

func (e *egress) check(ap netip.AddrPort) error {
	addr := ap.Addr().Unmap().WithZone("")
	for _, o := range e.open {
		if o.prefix.Contains(addr) && (o.port == 0 || o.port == ap.Port()) {
			return nil
		}
	}
	if err := e.public.SafeAddr(fromNAT64(addr)); err != nil {
		return &refusedError{address: ap.String()}
	}
	return nil
}

// fromNAT64 returns the IPv4 address within 64:ff9b::/96, which is how a host
// without IPv4 reaches the public IPv4 world. The other ranges that embed IPv4
// (64:ff9b:1::/48, 6to4, Teredo) are refused as they stand: no media host is
// there, and what they embed may be anything.
func fromNAT64(addr netip.Addr) netip.Addr {
	if !ssrf.IPv6NAT64Prefix.Contains(addr) {
		return addr
	}
	b := addr.As16()
	return netip.AddrFrom4([4]byte(b[12:]))
}
