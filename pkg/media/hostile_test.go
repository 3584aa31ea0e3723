package media

import (
	"net/http"
	"strings"
	"time"
)

// raw answers with bytes as they are and hangs up.
func raw(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = conn.Write([]byte(answer))
		_ = conn.Close()
	}
}

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

func body(content []byte, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		status(http.StatusOK, header...)(w, r)
		_, _ = w.Write(content)
	}
}

// drip sends content, then a byte now and then until the client has gone.
func drip(content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(content)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for r.Context().Err() == nil {
			if _, err := w.Write([]byte{0x80}); err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
			<-tick.C
		}
	}
}

// endless sends content again and again until the client has gone.
func endless(content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(content); err != nil {
				return
			}
		}
	}
}

type hostileCase struct {
	name       string
	handler    http.HandlerFunc
	options    FetcherOptions
	kind       Kind // Audio unless set
	reason     Reason
	status     int
	retryAfter time.Duration
}

func hostileStatuses() []hostileCase {
	return []hostileCase{
		{name: "404", handler: status(404), reason: ReasonNotFound, status: 404},
		{name: "410", handler: status(410), reason: ReasonGone, status: 410},
		{name: "441", handler: status(441), reason: ReasonExpired, status: 441},
		{name: "401", handler: status(401), reason: ReasonHTTPStatus, status: 401},
		{name: "403", handler: status(403), reason: ReasonHTTPStatus, status: 403},
		{name: "408", handler: status(408), reason: ReasonHTTPStatus, status: 408},
		{name: "500", handler: status(500), reason: ReasonHTTPStatus, status: 500},
		{name: "502", handler: status(502), reason: ReasonHTTPStatus, status: 502},
		{name: "503", handler: status(503), reason: ReasonHTTPStatus, status: 503},
		{name: "101 unasked", handler: raw("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"), reason: ReasonHTTPStatus, status: 101},
		{name: "305 to a proxy", handler: status(305, "Location", "http://127.0.0.2/"), reason: ReasonHTTPStatus, status: 305},
		{name: "204", handler: status(204), reason: ReasonHTTPStatus, status: 204},
		{name: "304", handler: status(304), reason: ReasonHTTPStatus, status: 304},
		{name: "206 unasked", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(wav(8000))
		}, reason: ReasonHTTPStatus, status: 206},
		{name: "429", handler: status(429), reason: ReasonHTTPStatus, status: 429},
		{
			name: "429, seconds", handler: status(429, "Retry-After", "7"),
			reason: ReasonHTTPStatus, status: 429, retryAfter: 7 * time.Second,
		},
		{
			name: "429, a date, bounded", handler: status(429, "Retry-After", time.Now().AddDate(1, 0, 0).UTC().Format(http.TimeFormat)),
			reason: ReasonHTTPStatus, status: 429, retryAfter: time.Hour,
		},
		{
			name: "503, bounded", handler: status(503, "Retry-After", "999999"),
			reason: ReasonHTTPStatus, status: 503, retryAfter: time.Hour,
		},
		{
			name: "error with media", handler: func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusInternalServerError)
				_, _ = w.Write(wav(8000))
			}, reason: ReasonHTTPStatus, status: 500,
		},
	}
}

func hostileContents() []hostileCase {
	bomb := gzipBomb()
	page := []byte("<!DOCTYPE html><html><body>try later</body></html>")
	return []hostileCase{
		{name: "empty", handler: body(nil), reason: ReasonEmpty},
		{name: "empty, chunked", handler: raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), reason: ReasonEmpty},
		{name: "HTML", handler: body(page), reason: ReasonWrongType},
		{name: "HTML that claims audio", handler: body(page, "Content-Type", "audio/mpeg"), reason: ReasonWrongType},
		{name: "JSON", handler: body([]byte(`{"code":404}`)), reason: ReasonWrongType},
		{name: "text", handler: body([]byte("expired")), reason: ReasonWrongType},
		{name: "image for audio", handler: body(pngImage()), reason: ReasonWrongType},
		{name: "audio for image", handler: body(wav(8000)), kind: Image, reason: ReasonWrongType},
		{name: "audio for video", handler: body(mp3()), kind: Video, reason: ReasonWrongType},
		{name: "gzip encoding", handler: body(wav(8000), "Content-Encoding", "gzip"), reason: ReasonWrongType},
		{name: "gzip bomb, encoded", handler: body(bomb, "Content-Encoding", "gzip", "Content-Type", "audio/wav"), reason: ReasonWrongType},
		{name: "gzip bomb, as it is", handler: body(bomb, "Content-Type", "audio/wav"), reason: ReasonWrongType},
		{name: "br encoding", handler: body(wav(8000), "Content-Encoding", "br"), reason: ReasonWrongType},
		{
			name: "too large, announced", handler: body(wav(8000), "Content-Length", "8044"),
			options: FetcherOptions{MaxBytes: 8043}, reason: ReasonTooLarge,
		},
		{name: "endless", handler: endless(wav(8000)), options: FetcherOptions{MaxBytes: 1 << 20}, reason: ReasonTooLarge},
		{
			name: "truncated", handler: raw("HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + string(wav(8000))),
			reason: ReasonTruncated,
		},
		{
			name: "truncated at once", handler: raw("HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n"),
			reason: ReasonTruncated,
		},
		{
			name:    "truncated, chunked",
			handler: raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1f6c\r\n" + string(wav(8000))[:8044] + "\r\n"),
			reason:  ReasonTruncated,
		},
	}
}

func hostileConnections() []hostileCase {
	short := 100 * time.Millisecond
	return []hostileCase{
		{
			name: "hangs", handler: func(_ http.ResponseWriter, r *http.Request) { hold(r) },
			options: FetcherOptions{HeaderTimeout: short}, reason: ReasonTimeout,
		},
		{
			name: "hangs after the header", handler: func(w http.ResponseWriter, r *http.Request) {
				_ = http.NewResponseController(w).Flush()
				hold(r)
			}, options: FetcherOptions{SlowWindow: short}, reason: ReasonTooSlow,
		},
		{
			name: "hangs in the content", handler: func(w http.ResponseWriter, r *http.Request) {
				_, _ = w.Write(wav(8000))
				_ = http.NewResponseController(w).Flush()
				hold(r)
			}, options: FetcherOptions{SlowWindow: short}, reason: ReasonTooSlow,
		},
		{
			name: "too slow", handler: drip(wav(8000)),
			options: FetcherOptions{SlowWindow: short, MinBytesPerSecond: 1 << 20}, reason: ReasonTooSlow,
		},
		{
			name: "takes for ever", handler: drip(wav(8000)),
			options: FetcherOptions{TotalTimeout: 300 * time.Millisecond}, reason: ReasonTimeout,
		},
		{name: "hangs up", handler: raw(""), reason: ReasonReset},
		{name: "HTTP/0.9", handler: raw("<html>" + secret + "</html>\r\n"), reason: ReasonReset},
		{name: "no HTTP", handler: raw("SSH-2.0-" + secret + "\r\n"), reason: ReasonReset},
		{name: "status tells the secret", handler: raw("HTTP/1.1 " + secret + "\r\n\r\n"), reason: ReasonReset},
		{name: "header tells the secret", handler: raw("HTTP/1.1 200 OK\r\n" + secret + "\r\n\r\n"), reason: ReasonReset},
		{name: "chunk tells the secret", handler: raw(
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + secret + "\r\n"), reason: ReasonReset},
		{name: "huge header", handler: raw("HTTP/1.1 200 OK\r\nX-Fill: " + strings.Repeat("x", 64<<10) + "\r\n\r\n"), reason: ReasonReset},
		{name: "endless headers", handler: raw("HTTP/1.1 200 OK\r\n" + strings.Repeat("X-Fill: x\r\n", 10_000)), reason: ReasonReset},
		{name: "endless early hints", handler: raw(strings.Repeat(
			"HTTP/1.1 103 Early Hints\r\nLink: "+strings.Repeat("x", 1000)+"\r\n\r\n", 100)), reason: ReasonReset},
	}
}
