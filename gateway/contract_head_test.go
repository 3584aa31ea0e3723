package gateway_test

import (
	"strings"
	"testing"

	"fanfare/pkg/natsd/natstest"
)

const (
	jsonType = "Content-Type: application/json\r\n"
	postWAV  = "POST /callbacks/wav HTTP/1.1\r\nHost: fanfare\r\nConnection: close\r\n" // the head of a raw request, as far as it is always the same
	length   = "Content-Length: $LENGTH\r\n"
	chunked  = "Transfer-Encoding: chunked\r\n"
)

// full is a request to a path, or to whatever a request line may name.
func full(line string) string {
	return line + "\r\nHost: fanfare\r\nConnection: close\r\n" + jsonType + length + "\r\n$BODY"
}

func TestContractOfPathsAndMethods(t *testing.T) {
	t.Parallel()
	hold(t, start(t, natstest.Broker(t)), []rule{
		{"POST /callbacks/{type}, type ∈ the schemas' names; anything else is 404", []row{
			probe(200, "wav", sent{}),
			accepted("music", "music/"+ownID+"/text/200", `{"code":200,"msg":"","data":{"task_id":"`+ownID+`","callbackType":"text"}}`),
			accepted("video", "video/"+ownID+"/error/500", `{"code":500,"msg":"","data":{"task_id":"`+ownID+`"}}`),
			accepted("cover", "cover/"+ownID+"/error/500", `{"code":500,"msg":"","data":{"taskId":"`+ownID+`"}}`),
			probe(404, "a type without a schema", sent{path: "/callbacks/lyrics"}),
			probe(404, "the schema of results", sent{path: "/callbacks/result"}),
			probe(404, "the schema of envelopes", sent{path: "/callbacks/callback"}),
			probe(404, "a file of the schemas", sent{path: "/callbacks/wav.json"}),
			probe(404, "upper case", sent{path: "/callbacks/WAV"}),
			probe(404, "the route's own words", sent{path: "/callbacks/{type}"}),
			probe(404, "no type", sent{path: "/callbacks"}),
			probe(404, "an empty type", sent{path: "/callbacks/"}),
			probe(404, "the root", sent{path: "/"}),
			probe(404, "another root", sent{path: "/callback/wav"}),
			probe(404, "a token, and none is configured", sent{path: "/callbacks/wav/Zm9yIHRoZSBwcm92aWRlcg"}),
		}},
		{"the path is never cleaned, decoded or redirected", []row{
			probe(200, "a query is no part of the path", sent{path: "/callbacks/wav?a=b&c=/../d"}),
			probe(200, "an empty query", sent{path: "/callbacks/wav?"}),
			probe(404, "a slash at the end", sent{path: "/callbacks/wav/"}),
			probe(404, "two slashes before", sent{path: "//callbacks/wav"}),
			probe(404, "two slashes inside", sent{path: "/callbacks//wav"}),
			probe(404, "a dot", sent{path: "/callbacks/./wav"}),
			probe(404, "two dots", sent{path: "/callbacks/music/../wav"}),
			probe(404, "two dots before the root", sent{path: "/../callbacks/wav"}),
			probe(404, "encoded dots", sent{path: "/callbacks/music/%2e%2e/wav"}),
			probe(404, "an encoded letter", sent{path: "/callbacks/w%61v"}),
			probe(404, "an encoded slash", sent{path: "/callbacks%2Fwav"}),
			probe(404, "an encoded slash at the end", sent{path: "/callbacks/wav%2F"}),
			probe(404, "an encoded NUL", sent{path: "/callbacks/wav%00"}),
			probe(404, "an encoded question mark", sent{path: "/callbacks/wav%3Fa=b"}),
			probe(404, "a parameter", sent{path: "/callbacks/wav;a=b"}),
			probe(404, "a fragment", sent{path: "/callbacks/wav#a"}),
			probe(404, "a backslash", sent{path: `/callbacks\wav`}),
		}},
		{"a request target in absolute form names the same path", []row{
			wire(200, "the same host", full("POST http://fanfare/callbacks/wav HTTP/1.1")),
			wire(200, "another host", full("POST https://elsewhere.example:8443/callbacks/wav HTTP/1.1")),
			wire(404, "another path", full("POST http://fanfare/callbacks/wav/ HTTP/1.1")),
			wire(404, "no path", full("POST http://fanfare HTTP/1.1")),
			wire(404, "a path after two slashes", full("POST //fanfare/callbacks/wav HTTP/1.1")),
			wire(404, "an authority alone", full("CONNECT fanfare:80 HTTP/1.1")),
			netHTTP(400, "no slash", full("POST callbacks/wav HTTP/1.1")),
			netHTTP(400, "a bad percent sign", full("POST /callbacks/wav%zz HTTP/1.1")),
			netHTTP(400, "a space in the path", full("POST /callbacks/wav x HTTP/1.1")),
		}},
		{"405 + Allow: not POST, and no general OPTIONS handler", []row{
			probe(200, "POST", sent{method: "POST"}),
			probe(405, "GET", sent{method: "GET"}),
			probe(405, "HEAD", sent{method: "HEAD"}),
			probe(405, "PUT", sent{method: "PUT"}),
			probe(405, "PATCH", sent{method: "PATCH"}),
			probe(405, "DELETE", sent{method: "DELETE"}),
			probe(405, "OPTIONS", sent{method: "OPTIONS"}),
			probe(405, "TRACE", sent{method: "TRACE"}),
			probe(405, "CONNECT", sent{method: "CONNECT"}),
			probe(405, "lower case", sent{method: "post"}),
			probe(405, "a method of their own", sent{method: "CALLBACK"}),
			probe(405, "an override", sent{method: "GET", header: jsonType + "X-HTTP-Method-Override: POST\r\n"}),
			probe(404, "OPTIONS *", sent{method: "OPTIONS", path: "*"}),
			probe(404, "POST *", sent{method: "POST", path: "*"}),
			netHTTP(400, "no method", full(" /callbacks/wav HTTP/1.1")),
		}},
		{"HTTP/1.1 only", []row{
			wire(200, "HTTP/1.1", full("POST /callbacks/wav HTTP/1.1")),
			wire(200, "an upgrade that is offered is not taken", postWAV+jsonType+length+"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n$BODY"),
			wire(505, "HTTP/1.0", full("POST /callbacks/wav HTTP/1.0")),
			wire(505, "HTTP/1.2", full("POST /callbacks/wav HTTP/1.2")),
			wire(505, "HTTP/1.9", full("POST /callbacks/wav HTTP/1.9")),
			wire(404, "the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
			netHTTP(505, "HTTP/2.0 by name", full("POST /callbacks/wav HTTP/2.0")),
			netHTTP(400, "HTTP/0.9", "POST /callbacks/wav\r\n\r\n"),
			netHTTP(400, "another protocol", full("POST /callbacks/wav ICY/1.1")),
		}},
	})
}

func TestContractOfMediaTypes(t *testing.T) {
	t.Parallel()
	media := func(want int, name, header string) row { return probe(want, name, sent{header: header}) }
	typed := func(want int, value string) row { return media(want, value, "Content-Type: "+value+"\r\n") }
	hold(t, start(t, natstest.Broker(t)), []rule{
		{"415: not exactly one Content-Type: application/json", []row{
			typed(200, "application/json"),
			typed(200, "Application/JSON"),
			media(200, "the header's name in lower case", "content-type: application/json\r\n"),
			media(415, "none", "X-A: b\r\n"),
			media(415, "an empty one", "Content-Type: \r\n"),
			media(415, "the same twice", jsonType+jsonType),
			media(415, "two", jsonType+"Content-Type: text/plain\r\n"),
			typed(415, "application/json, application/json"),
			typed(415, "application/json+x"),
			typed(415, "application/problem+json"),
			typed(415, "application/jsonp"),
			typed(415, "application/x-json"),
			typed(415, "application/*"),
			typed(415, "text/json"),
			typed(415, "text/plain"),
			typed(415, "application/x-www-form-urlencoded"),
			typed(415, "json"),
		}},
		{"415: a charset, which may be absent, other than utf-8", []row{
			typed(200, "application/json; charset=utf-8"),
			typed(200, "application/json;charset=UTF-8"),
			typed(200, `application/json ; charset="UTF-8"`),
			typed(200, `application/json; CharSet=Utf-8`),
			typed(415, "application/json; charset=latin1"),
			typed(415, "application/json; charset=iso-8859-1"),
			typed(415, "application/json; charset=utf-16"),
			typed(415, "application/json; charset=utf8"),
			typed(415, "application/json; charset="),
			typed(415, `application/json; charset=""`),
			typed(415, "application/json; charset"),
			typed(415, "application/json; charset=utf-8; charset=utf-8"),
			typed(415, "application/json; charset=utf-8; charset=latin1"),
			typed(415, "application/json; charset*=utf-8''utf-8"),
			typed(415, "application/json; charset*0=utf-8"),
		}},
		{"415: any Content-Encoding other than identity", []row{
			media(200, "identity", jsonType+"Content-Encoding: identity\r\n"),
			media(200, "Identity", jsonType+"Content-Encoding: Identity\r\n"),
			media(415, "gzip", jsonType+"Content-Encoding: gzip\r\n"),
			media(415, "deflate", jsonType+"Content-Encoding: deflate\r\n"),
			media(415, "br", jsonType+"Content-Encoding: br\r\n"),
			media(415, "identity and gzip", jsonType+"Content-Encoding: identity, gzip\r\n"),
			media(415, "identity, then gzip", jsonType+"Content-Encoding: identity\r\nContent-Encoding: gzip\r\n"),
		}},
	})
}

func TestContractOfSizesAndFraming(t *testing.T) {
	t.Parallel()
	sized := func(n int) string { return ownWAV + strings.Repeat(" ", n-len(ownWAV)) }
	spoken := func(n int) string { // a message for people, long enough to make up n bytes
		return strings.Replace(ownWAV, `"msg":""`, `"msg":"`+strings.Repeat("x", n-len(ownWAV))+`"`, 1)
	}
	inChunks := func(w row, body string) row { w.body = body; return w }
	padded := func(kib int) sent {
		return sent{header: jsonType + "X-Padding: " + strings.Repeat("x", kib<<10) + "\r\n"}
	}
	const mib = 1 << 20
	hold(t, start(t, natstest.Broker(t)), []rule{
		{"413: body over 1 MiB (up to 256 KiB must work)", []row{
			probe(200, "256 KiB", sent{body: spoken(256 << 10)}),
			probe(200, "1 MiB", sent{body: spoken(mib)}),
			probe(200, "1 MiB, most of it white space", sent{body: sized(mib)}),
			inChunks(wire(200, "1 MiB in a chunk", postWAV+jsonType+chunked+"\r\n$HEX\r\n$BODY\r\n0\r\n\r\n"), spoken(mib)),
			refused("1 MiB that is no JSON is quarantined whole", "wav/malformed", strings.Repeat("x", mib)),
			probe(413, "1 MiB and a byte", sent{body: sized(mib + 1)}),
			inChunks(wire(413, "1 MiB and a byte in a chunk", postWAV+jsonType+chunked+"\r\n$HEX\r\n$BODY\r\n0\r\n\r\n"), sized(mib+1)),
			wire(413, "declared and never sent", postWAV+jsonType+"Content-Length: 1048577\r\n\r\n"),
			wire(413, "the longest that can be declared", postWAV+jsonType+"Content-Length: 9223372036854775807\r\n\r\n{"),
		}},
		{"431: headers over 32 KiB", []row{
			probe(200, "31 KiB", padded(31)),
			probe(431, "33 KiB", padded(33)),
			probe(431, "33 KiB in many headers", sent{header: jsonType + strings.Repeat("X-A: "+strings.Repeat("x", 1016)+"\r\n", 33)}),
			netHTTP(431, "64 KiB", postWAV+padded(64).header+length+"\r\n$BODY"),
			netHTTP(431, "a path of 64 KiB", full("POST /callbacks/"+strings.Repeat("x", 64<<10)+" HTTP/1.1")),
		}},
		{"an incomplete body is never stored", []row{
			wire(200, "complete", postWAV+jsonType+length+"\r\n$BODY"),
			wire(200, "complete in chunks", postWAV+jsonType+chunked+"\r\n$HEX\r\n$BODY\r\n0\r\n\r\n"),
			wire(200, "extensions and a trailer", postWAV+jsonType+chunked+"\r\n$HEX;a=b\r\n$BODY\r\n0;c=\"d\"\r\nX-Trailer: e\r\n\r\n"),
			wire(400, "nothing of it", postWAV+jsonType+length+"\r\n"),
			wire(400, "a byte less than declared", postWAV+jsonType+"Content-Length: 200\r\n\r\n$BODY"),
			wire(400, "no last chunk", postWAV+jsonType+chunked+"\r\n$HEX\r\n$BODY\r\n"),
			wire(400, "no end of the last chunk", postWAV+jsonType+chunked+"\r\n$HEX\r\n$BODY\r\n0\r\n"),
			wire(400, "a chunk cut short", postWAV+jsonType+chunked+"\r\nfff\r\n$BODY"),
			wire(400, "a chunk longer than it says", postWAV+jsonType+chunked+"\r\n5\r\n$BODY\r\n0\r\n\r\n"),
			wire(400, "a chunk of no size", postWAV+jsonType+chunked+"\r\n\r\n$BODY\r\n0\r\n\r\n"),
			wire(400, "a chunk of a size that is no number", postWAV+jsonType+chunked+"\r\n0x$HEX\r\n$BODY\r\n0\r\n\r\n"),
			wire(400, "a chunk of a negative size", postWAV+jsonType+chunked+"\r\n-$HEX\r\n$BODY\r\n0\r\n\r\n"),
			wire(400, "a chunk of an overflowing size", postWAV+jsonType+chunked+"\r\nfffffffffffffffff\r\n$BODY\r\n0\r\n\r\n"),
			{sent: sent{name: "no length at all is an empty body", path: "/callbacks/wav", want: 400}, raw: postWAV + jsonType + "\r\n$BODY", kept: "wav/malformed"},
		}},
		{"Expect: 100-continue is kept, and no other expectation", []row{
			wire(200, "100-continue", postWAV+jsonType+length+"Expect: 100-continue\r\n\r\n$BODY"),
			wire(415, "100-continue before what is refused", postWAV+length+"Expect: 100-continue\r\n\r\n"),
			netHTTP(417, "another", postWAV+jsonType+length+"Expect: 200-ok\r\n\r\n$BODY"),
		}},
		{"the length of a body is said once", []row{
			wire(200, "once", postWAV+jsonType+length+"\r\n$BODY"),
			wire(400, "twice the same", postWAV+jsonType+length+length+"\r\n$BODY"),
			netHTTP(400, "twice in one header", postWAV+jsonType+"Content-Length: $LENGTH, $LENGTH\r\n\r\n$BODY"),
			wire(400, "length and chunks", postWAV+jsonType+length+chunked+"\r\n$HEX\r\n$BODY\r\n0\r\n\r\n"),
			wire(400, "chunks and length", postWAV+jsonType+chunked+length+"\r\n$HEX\r\n$BODY\r\n0\r\n\r\n"),
			netHTTP(400, "two lengths", postWAV+jsonType+length+"Content-Length: 3\r\n\r\n$BODY"),
			netHTTP(400, "signed", postWAV+jsonType+"Content-Length: +$LENGTH\r\n\r\n$BODY"),
			netHTTP(400, "negative", postWAV+jsonType+"Content-Length: -$LENGTH\r\n\r\n$BODY"),
			netHTTP(400, "hexadecimal", postWAV+jsonType+"Content-Length: 0x$HEX\r\n\r\n$BODY"),
			netHTTP(501, "another coding", postWAV+jsonType+"Transfer-Encoding: gzip, chunked\r\n\r\n$HEX\r\n$BODY\r\n0\r\n\r\n"),
			netHTTP(400, "a space before the colon", postWAV+jsonType+"Content-Length : $LENGTH\r\n\r\n$BODY"),
			netHTTP(400, "no host", strings.Replace(postWAV, "Host: fanfare\r\n", "", 1)+jsonType+length+"\r\n$BODY"),
			netHTTP(400, "two hosts", postWAV+"Host: elsewhere\r\n"+jsonType+length+"\r\n$BODY"),
		}},
	})
}
