package simulate

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

func (x *exchange) outage() {
	if x.draws.chance(30) {
		x.w.Header().Set("Retry-After", "1")
	}
	x.fail(pick(x.draws, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout))
}

// throttle asks to wait for a second or two, in one of the two spellings.
func (x *exchange) throttle() {
	wait := 1 + x.draws.IntN(2)
	after := strconv.Itoa(wait)
	if x.draws.chance(30) {
		after = time.Now().Add(time.Duration(wait) * time.Second).UTC().Format(http.TimeFormat)
	}
	x.w.Header().Set("Retry-After", after)
	x.fail(http.StatusTooManyRequests)
}

func (x *exchange) refuse() {
	x.fail(pick(x.draws, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound))
}

func (x *exchange) resetBefore() { x.raw(true) }

func (x *exchange) resetWithin() {
	x.raw(true, x.head(fmt.Sprintf("Content-Length: %d\r\n", len(x.content))), x.part())
}

func (x *exchange) babble() {
	x.raw(false, []byte("SSH-2.0-OpenSSH_9.9\r\n"), x.draws.bytes(64))
}

func (x *exchange) truncate() {
	x.raw(false, x.head(fmt.Sprintf("Content-Length: %d\r\n", len(x.content))), x.part())
}

// truncateChunks leaves out the chunk that says that there are no more.
func (x *exchange) truncateChunks() {
	part := x.part()
	x.raw(false, x.head("Transfer-Encoding: chunked\r\n"), fmt.Appendf(nil, "%x\r\n", len(part)), part, []byte("\r\n"))
}

func (x *exchange) empty() {
	x.ok()
	x.length(0)
	x.w.WriteHeader(http.StatusOK)
}

func (x *exchange) emptyChunks() {
	x.raw(false, x.head("Transfer-Encoding: chunked\r\n"), []byte("0\r\n\r\n"))
}

// hang waits until the client gives up, or for as long as the server is ready to.
func (x *exchange) hang() {
	if pause(x.request.Context(), x.server.hang) {
		x.raw(false)
	}
}

// loop redirects to where the request has gone.
func (x *exchange) loop() {
	location := x.request.URL.RequestURI()
	if x.draws.chance(50) {
		location = "?" + x.request.URL.RawQuery
	}
	x.leadTo(location)
}

// redirect leads one step nearer to the file.
func (x *exchange) redirect() {
	if x.hop < len(x.asset.trouble.hops) {
		x.leadTo(x.link(x.asset.trouble.hops[x.hop]))
		return
	}
	x.server.serveContent(x.w, x.request, x.asset, x.content)
}

// drip sends the file in a few pieces.
func (x *exchange) drip() {
	const pieces = 8
	ctx := x.request.Context()
	if !pause(ctx, x.server.slow) {
		return
	}
	x.ok()
	x.length(int64(len(x.content)))
	for i := range pieces {
		from, to := len(x.content)*i/pieces, len(x.content)*(i+1)/pieces
		x.write(x.content[from:to])
		x.flush()
		if !pause(ctx, x.server.slow/pieces) {
			return
		}
	}
}

func (x *exchange) chunks() {
	x.ok()
	part := x.part()
	x.write(part)
	x.flush()
	x.write(x.content[len(part):])
}

// untilClose serves as hosts before HTTP/1.1 did.
func (x *exchange) untilClose() {
	x.raw(false, x.head(""), x.content)
}

func (x *exchange) mislabel() {
	label := pick(x.draws, "", "text/plain; charset=utf-8", "application/octet-stream", "binary/octet-stream", "text/html", "nonsense")
	x.w.Header()["Content-Type"] = nil // lest net/http find out the right one
	if label != "" {
		x.w.Header().Set("Content-Type", label)
	}
	x.length(int64(len(x.content)))
	x.write(x.content)
}
