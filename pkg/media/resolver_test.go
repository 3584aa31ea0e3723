package media

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// zone returns the addresses of a name that is queried, and whether it exists. Of
// an alias it also returns the name that it stands for.
type zone func(name string, kind dnsmessage.Type) (addresses []string, alias string, known bool)

// resolver returns a resolver whose one name server knows the given names, and
// answers NXDOMAIN for every other.
func resolver(t *testing.T, names map[string][]string) *net.Resolver {
	t.Helper()
	return resolverOf(t, func(name string, _ dnsmessage.Type) ([]string, string, bool) {
		addresses, known := names[name]
		return addresses, "", known
	})
}

// resolverOf returns a resolver whose one name server knows a zone.
func resolverOf(t *testing.T, zone zone) *net.Resolver {
	t.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		query := make([]byte, 4096)
		for {
			n, peer, err := conn.ReadFrom(query)
			if err != nil {
				return
			}
			if reply := answer(query[:n], zone); reply != nil {
				_, _ = conn.WriteTo(reply, peer)
			}
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return resolverAt(conn.LocalAddr().String())
}

// resolverAt returns a resolver that asks one name server.
func resolverAt(address string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", address)
	}}
}

func answer(query []byte, zone zone) []byte {
	var message dnsmessage.Message
	if err := message.Unpack(query); err != nil || len(message.Questions) != 1 {
		return nil
	}
	message.Response, message.Additionals = true, nil
	question := message.Questions[0]
	addresses, alias, known := zone(strings.ToLower(question.Name.String()), question.Type)
	if !known {
		message.RCode = dnsmessage.RCodeNameError
	}
	owner := question.Name
	if target, err := dnsmessage.NewName(alias); err == nil && alias != "" {
		header := dnsmessage.ResourceHeader{Name: owner, Type: dnsmessage.TypeCNAME, Class: question.Class}
		message.Answers = append(message.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.CNAMEResource{CNAME: target}})
		owner = target
	}
	for _, text := range addresses {
		var body dnsmessage.ResourceBody
		switch addr := netip.MustParseAddr(text); {
		case addr.Is4() && question.Type == dnsmessage.TypeA:
			body = &dnsmessage.AResource{A: addr.As4()}
		case addr.Is6() && question.Type == dnsmessage.TypeAAAA:
			body = &dnsmessage.AAAAResource{AAAA: addr.As16()}
		default:
			continue
		}
		header := dnsmessage.ResourceHeader{Name: owner, Type: question.Type, Class: question.Class}
		message.Answers = append(message.Answers, dnsmessage.Resource{Header: header, Body: body})
	}
	reply, err := message.Pack()
	if err != nil {
		return nil
	}
	return reply
}
