package simulate

import (
	"bytes"
	"compress/gzip"
	"net/http"
)

// statusExpired is not a registered status: one of the provider's media hosts
// answers it once a link has expired.
const statusExpired = 441

// What a bomb decodes to, and what a giant says that it is.
const (
	bombBytes  = 16 << 20
	giantBytes = 1 << 40
)

func (x *exchange) gone() { x.fail(http.StatusGone) }

func (x *exchange) expired() { x.fail(statusExpired) }

// page serves what a host says to people, with a status that says that all is
// well.
func (x *exchange) page() {
	x.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	x.write(page("The file is not available"))
}

// problem serves what a host says to programs.
func (x *exchange) problem() {
	x.w.Header().Set("Content-Type", "application/json")
	x.write([]byte(`{"code":404,"msg":"file not found","data":null}` + "\n"))
}

// otherKind serves a picture for sound and movies, and sound for pictures.
func (x *exchange) otherKind() {
	other := asset{seed: x.asset.seed, name: x.asset.name + "/other", kind: png}
	if x.asset.kind == jpg || x.asset.kind == png {
		other.kind = riff
	}
	if content, made := x.server.make(other); made {
		x.serve(content)
	}
}

func (x *exchange) zipped() {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, _ = w.Write(x.content) // a buffer takes everything
	_ = w.Close()
	x.serve(zipped.Bytes())
}

// serve serves content that is not the file as if it were.
func (x *exchange) serve(content []byte) {
	x.ok()
	x.length(int64(len(content)))
	x.write(content)
}

// bomb serves the file's beginning and zeros, encoded although nobody asked for
// it, and stops when nobody listens.
func (x *exchange) bomb() {
	x.ok()
	x.w.Header().Set("Content-Encoding", "gzip")
	w, err := gzip.NewWriterLevel(x.w, gzip.BestSpeed)
	if err != nil {
		x.server.logger.Error("media not made", "name", x.asset.name, "error", err)
		return
	}
	zeros := make([]byte, 1<<20)
	_, err = w.Write(x.content)
	for n := len(x.content); n < bombBytes && err == nil; n += len(zeros) {
		_, err = w.Write(zeros)
	}
	_ = w.Close()
}

// giant announces far more than it has.
func (x *exchange) giant() {
	x.ok()
	x.length(giantBytes)
	x.write(x.content)
}

// trap redirects to the canary by one of the names of the host that it is on.
func (x *exchange) trap() {
	x.leadTo("http://" + pick(x.draws, x.server.canary.names()...) + "/latest/" + x.draws.hex(16))
}
