package simulate

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// rawTimeout bounds how long a client may take to read what is written past
// net/http.
const rawTimeout = 10 * time.Second

// exchange is one request for a file, to be answered badly.
type exchange struct {
	w       http.ResponseWriter
	server  *mediaServer
	request *http.Request
	asset   asset
	content []byte
	hop     int       // how many redirects have led here
	draws   generator // the same for the same request of the same run
}

// fail answers with a status and a page, as hosts do.
func (x *exchange) fail(status int) {
	x.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	x.w.WriteHeader(status)
	x.write(page(http.StatusText(status)))
}

func page(title string) []byte {
	return fmt.Appendf(nil, "<!DOCTYPE html>\n<html><head><title>%[1]s</title></head><body><h1>%[1]s</h1></body></html>\n", title)
}

// ok begins an answer 200 of the file's own type.
func (x *exchange) ok() {
	x.w.Header().Set("Content-Type", x.asset.kind.contentType())
}

// length announces so many bytes.
func (x *exchange) length(n int64) {
	x.w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
}

// write writes; that a client has gone is its own affair.
func (x *exchange) write(content []byte) {
	_, _ = x.w.Write(content)
}

// flush sends what was written so far.
func (x *exchange) flush() {
	_ = http.NewResponseController(x.w).Flush()
}

// raw answers past net/http, which does not let a server break its word. With
// reset the connection is not closed in peace.
func (x *exchange) raw(reset bool, parts ...[]byte) {
	conn, _, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		x.server.logger.Error("media connection not taken over", "error", err)
		return
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(rawTimeout))
	_, _ = conn.Write(slices.Concat(parts...))
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
}

// head is the head of an answer 200 that ends with its connection; more holds
// further header lines.
func (x *exchange) head(more string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nConnection: close\r\n%s\r\n", x.asset.kind.contentType(), more)
}

// part draws a beginning of the file that is neither empty nor all of it.
func (x *exchange) part() []byte {
	return x.content[:1+x.draws.IntN(len(x.content)-1)]
}

// leadTo redirects, in one of the ways there are.
func (x *exchange) leadTo(location string) {
	status := pick(x.draws, http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect)
	x.w.Header().Set("Location", location)
	x.w.WriteHeader(status)
}

// link is how the receiver reaches one of the server's paths: as an absolute
// URL or as one that is relative to the host.
func (x *exchange) link(path string) string {
	if x.draws.chance(50) {
		return x.server.base + path
	}
	return x.server.prefix + path
}
