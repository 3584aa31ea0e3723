package gateway_test

import (
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"fanfare/gateway"
	"fanfare/pkg/natsd/natstest"
)

const (
	oldKey, newKey     = "the old key, of enough bytes", "the new key, of enough bytes"
	oldToken, newToken = "Zm9yIHRoZSBwcm92aWRlcg", "b3IgZm9yIHJvdGF0aW9uLi4"
)

// instant is a time so far from now, in seconds.
func instant(from time.Duration) string { return fmt.Sprint(time.Now().Add(from).Unix()) }

// under is the header of a callback that is signed with a key at a time.
func under(key, timestamp string) func(id string) string {
	return func(id string) string { return signed(timestamp, sign(key, id, timestamp)) }
}

func TestContractOfSignatures(t *testing.T) {
	t.Parallel()
	b := natstest.Broker(t)
	keyed := start(t, b, withKeys(secretFile(t, oldKey), secretFile(t, newKey)))
	open := start(t, b)
	is := func(want int, name string, head func(string) string) row {
		w := probe(want, name, sent{})
		w.head = head
		return w
	}
	now := instant(0)
	wrapped := new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 64), big.NewInt(time.Now().Unix()))
	at := func(want int, name, timestamp string) row { return is(want, name, under(newKey, timestamp)) }
	claimed := func(name string, change func(mac string) string) row { // another signature than the right one
		return is(401, name, func(id string) string { return signed(now, change(sign(newKey, id, now))) })
	}
	and := func(name, header string) row { // a header more
		return is(401, name, func(id string) string { return under(newKey, now)(id) + header })
	}
	without := func(name, header string) row {
		return is(401, name, func(id string) string {
			return strings.Replace(under(newKey, now)(id), header, "X-Other", 1)
		})
	}
	trailed := wire(401, "both in trailers", fmt.Sprintf("%s%s%s\r\n$HEX\r\n$BODY\r\n0\r\nX-Webhook-Timestamp: %s\r\nX-Webhook-Signature: %s\r\n\r\n",
		postWAV, jsonType, chunked, now, sign(newKey, "trailed", now)))
	trailed.id = "trailed"
	withBody := func(w row, body, kept string) row {
		w.body, w.kept, w.stored = body, kept, ""
		return w
	}
	hold(t, keyed, []rule{
		{"401: a required signature is missing, wrong or stale; nothing is stored", []row{
			at(200, "signed", now),
			probe(401, "unsigned", sent{}),
			without("no timestamp", "X-Webhook-Timestamp"),
			without("no signature", "X-Webhook-Signature"),
			is(401, "another key", under("neither of them, of enough bytes", now)),
			is(401, "another task", func(string) string { return under(newKey, now)("t2") }),
			is(401, "another time", func(id string) string { return signed(instant(time.Second), sign(newKey, id, now)) }),
			is(401, "the body signed", func(id string) string {
				return signed(now, sign(newKey, strings.ReplaceAll(ownWAV, ownID, id), now))
			}),
			{sent: sent{name: "unsigned, where no keys are configured", path: "/callbacks/wav", body: ownWAV, want: 200}, at: open, stored: storedWAV},
		}},
		{"all configured keys tried", []row{
			is(200, "the first", under(oldKey, now)),
			is(200, "the second", under(newKey, now)),
			is(401, "both in one", under(oldKey+newKey, now)),
			is(401, "the first with the file's line end", under(oldKey+"\n", now)),
			is(401, "an empty one", under("", now)),
		}},
		{"digits-only timestamp", []row{
			at(200, "digits", now), at(200, "digits after a zero", "0"+now),
			at(401, "empty", ""), at(401, "plus", "+"+now), at(401, "minus", "-"+now), at(401, "a fraction", now+".0"), at(401, "an exponent", now+"e0"),
			at(401, "hexadecimal", "0x5f"), at(401, "an underscore", now[:4]+"_"+now[4:]), at(401, "a space inside", now[:4]+" "+now[4:]),
			at(401, "digits beyond ASCII", "１７６９６７０７６０"), at(401, "a date", time.Now().UTC().Format(time.RFC3339)),
			at(401, "milliseconds", now+"000"),
		}},
		{"within ±--hmac-tolerance without overflow", []row{
			at(200, "a minute old", instant(-time.Minute)), at(200, "300 s ahead", instant(300*time.Second)),
			at(401, "301 s old", instant(-301*time.Second)), at(401, "an hour ahead", instant(time.Hour)),
			at(401, "0", "0"), at(401, "the last of 32 bits", "2147483647"), at(401, "the last of 64 bits", "9223372036854775807"),
			at(401, "one beyond 64 bits", "9223372036854775808"), at(401, "one beyond unsigned 64 bits", "18446744073709551616"),
			at(401, "2^64 and now", wrapped.String()), at(401, "a thousand digits", strings.Repeat("9", 1000)),
		}},
		{"one header each", []row{
			at(200, "one", now),
			is(200, "names in lower case", func(id string) string {
				return strings.ReplaceAll(under(newKey, now)(id), "X-Webhook-", "x-webhook-")
			}),
			and("the timestamp twice", "X-Webhook-Timestamp: "+now+"\r\n"),
			and("a second signature", "X-Webhook-Signature: YWJj\r\n"),
			is(401, "the signature twice", func(id string) string {
				return under(newKey, now)(id) + "X-Webhook-Signature: " + sign(newKey, id, now) + "\r\n"
			}),
			trailed,
			is(401, "two in one header", func(id string) string { return signed(now, sign(newKey, id, now)+","+sign(oldKey, id, now)) }),
		}},
		{"strict base64 of HMAC-SHA256(taskID + \".\" + timestamp, key)", []row{
			at(200, "standard, padded", now),
			claimed("empty", func(string) string { return "" }),
			claimed("no padding", func(mac string) string { return strings.TrimRight(mac, "=") }),
			claimed("padding twice", func(mac string) string { return mac + "=" }),
			claimed("one character less", func(mac string) string { return mac[1:] }),
			claimed("a space inside", func(mac string) string { return mac[:4] + " " + mac[4:] }),
			claimed("of another length", func(string) string { return "YWJj" }),
			claimed("twice as long", func(mac string) string { return base64.StdEncoding.EncodeToString([]byte(mac)) }),
			claimed("hexadecimal", func(mac string) string { return fmt.Sprintf("%x", decoded(t, mac)) }),
			claimed("raw bytes", func(mac string) string { return strings.Map(printable, string(decoded(t, mac))) }),
			claimed("a prefix", func(mac string) string { return "sha256=" + mac }),
			claimed("stray bits at the end", func(mac string) string { return mac[:42] + stray(mac[42]) + "=" }),
			is(401, "in the alphabet of URLs", urlAlphabet(newKey, now)),
		}},
		{"under HMAC a body without a readable task ID cannot be authentic: 400, not stored", []row{
			at(200, "with one", now),
			withBody(at(400, "with one, and invalid", now), told("200", ""), "wav/schema"),
			withBody(at(400, "no task ID", now), `{"code":200,"msg":"","data":{}}`, ""),
			withBody(at(400, "one that is none", now), `{"code":200,"msg":"","data":{"task_id":"a/b"}}`, ""),
			withBody(at(400, "two that differ", now), `{"code":200,"msg":"","data":{"task_id":"`+ownID+`","taskId":"t2"}}`, ""),
			withBody(at(400, "not JSON", now), ownID, ""),
			withBody(at(400, "JSON and more", now), ownWAV+"x", ""),
			withBody(is(401, "with one, wrongly signed and invalid", under("neither of them, of enough bytes", now)), told("200", ""), ""),
		}},
	})
}

// decoded is the bytes of a signature.
func decoded(t *testing.T, mac string) []byte {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(mac)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// printable makes of a byte one that may stand in a header.
func printable(r rune) rune { return 'a' + r%26 }

// stray is a base64 digit that a lax reader takes for the one before the padding:
// of that digit's six bits, only four belong to the signature.
func stray(digit byte) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	return string(digits[strings.IndexByte(digits, digit)|1])
}

// urlAlphabet signs with the digits that base64 has in URLs, at a time when there
// are any in the signature.
func urlAlphabet(key, now string) func(id string) string {
	return func(id string) string {
		for zeros := ""; ; zeros += "0" {
			if mac := sign(key, id, zeros+now); strings.ContainsAny(mac, "+/") {
				return signed(zeros+now, strings.NewReplacer("+", "-", "/", "_").Replace(mac))
			}
		}
	}
}

func TestContractOfTokens(t *testing.T) {
	t.Parallel()
	b := natstest.Broker(t)
	locked := start(t, b, func(o *gateway.Options) {
		o.URLTokenFiles = []string{secretFile(t, oldToken+"\n"), secretFile(t, newToken)}
	})
	open := start(t, b)
	to := func(want int, path string) row { return probe(want, path, sent{path: path}) }
	at := func(r *rig, w row) row { w.at = r; return w }
	hold(t, locked, []rule{
		{"with URL tokens configured, POST /callbacks/{type}/{token} and only that", []row{
			to(200, "/callbacks/wav/"+oldToken),
			to(200, "/callbacks/wav/"+newToken),
			to(200, "/callbacks/wav/"+newToken+"?token=wrong"),
			to(404, "/callbacks/wav"),
			to(404, "/callbacks/wav/"),
			to(404, "/callbacks/wav?token="+newToken),
			to(404, "/callbacks/wav/"+newToken+"/"),
			to(404, "/callbacks/wav/"+newToken+"/x"),
			to(404, "/callbacks/wav//"+newToken),
			to(404, "/callbacks/lyrics/"+newToken),
			to(404, "/"+newToken),
			at(open, to(200, "/callbacks/wav")),
			at(open, to(404, "/callbacks/wav/"+newToken)),
		}},
		{"wrong token 404", []row{
			to(200, "/callbacks/wav/"+newToken),
			to(404, "/callbacks/wav/"+strings.ToLower(newToken)),
			to(404, "/callbacks/wav/"+newToken[1:]),
			to(404, "/callbacks/wav/"+newToken+"x"),
			to(404, "/callbacks/wav/%62"+newToken[1:]),
			to(404, "/callbacks/wav/"+newToken+"%00"),
			to(404, "/callbacks/wav/"+newToken+";x"),
			to(404, "/callbacks/wav/"+newToken+"%0A"),
			to(404, "/callbacks/wav/"+newToken+oldToken),
		}},
	})
}

func TestContractOfAddresses(t *testing.T) {
	t.Parallel()
	b := natstest.Broker(t)
	allow := func(from string, proxies ...string) *rig {
		return start(t, b, func(o *gateway.Options) { o.AllowFrom, o.TrustedProxies = []string{from}, proxies })
	}
	self := allow("127.0.0.0/8")
	other := allow("192.0.2.0/24")
	proxied := allow("192.0.2.0/24", "127.0.0.1", "198.51.100.0/24")
	local := allow("127.0.0.1", "127.0.0.1")
	from := func(want int, r *rig, name string, forwarded ...string) row {
		header := jsonType
		for _, hops := range forwarded {
			header += "X-Forwarded-For: " + hops + "\r\n"
		}
		w := probe(want, name, sent{header: header})
		w.at = r
		return w
	}
	hold(t, self, []rule{
		{"403: the peer's address, the connection's, is not allowed", []row{
			from(200, self, "allowed"),
			from(403, other, "not allowed"),
		}},
		{"X-Forwarded-For counts only from --trusted-proxy networks", []row{
			from(200, self, "forged, and the connection's is allowed", "203.0.113.1"),
			from(403, other, "forged, and the connection's is not", "192.0.2.1"),
			from(200, proxied, "from a proxy", "192.0.2.1"),
			from(200, proxied, "from a proxy, IPv4 in IPv6", "::ffff:192.0.2.1"),
			from(200, local, "a proxy for itself"),
			from(403, proxied, "a proxy for itself, which is not allowed"),
			from(403, proxied, "a proxy that names another", "203.0.113.1"),
			from(403, local, "a proxy that is allowed, for another", "203.0.113.1"),
			from(403, proxied, "a name from a proxy", "unknown"),
			from(403, proxied, "an address and a port from a proxy", "192.0.2.1:443"),
			from(403, proxied, "an address in brackets from a proxy", "[::ffff:192.0.2.1]"),
		}},
		{"right-most untrusted hop", []row{
			from(200, proxied, "forged left of it", "203.0.113.1, 192.0.2.1"),
			from(200, proxied, "nonsense left of it", "<script>, 192.0.2.1"),
			from(200, proxied, "before another proxy", "203.0.113.1, 192.0.2.1, 198.51.100.7"),
			from(200, proxied, "in the last of several headers", "203.0.113.1", "192.0.2.1"),
			from(403, proxied, "the allowed one forged left-most", "192.0.2.1, 203.0.113.1"),
			from(403, proxied, "the allowed one forged before another proxy", "192.0.2.1, 203.0.113.1, 198.51.100.7"),
			from(403, proxied, "the allowed one in the first of several headers", "192.0.2.1", "203.0.113.1"),
			from(403, proxied, "nonsense right-most", "192.0.2.1, unknown"),
			from(403, proxied, "nothing right-most", "192.0.2.1,"),
		}},
	})
}
