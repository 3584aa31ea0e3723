package media

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
)

// digest gathers what a File says of the bytes written to it.
type digest struct {
	sum   hash.Hash
	head  []byte // as much as tells the content type
	bytes int64
}

func newDigest() *digest { return &digest{sum: sha256.New()} }

func (d *digest) Write(p []byte) (int, error) {
	if missing := sniffBytes - len(d.head); missing > 0 {
		d.head = append(d.head, p[:min(missing, len(p))]...)
	}
	d.bytes += int64(len(p))
	return d.sum.Write(p)
}

func (d *digest) file(key string) File {
	return File{
		Key: key, Bytes: d.bytes, SHA256: hex.EncodeToString(d.sum.Sum(nil)), ContentType: contentType(d.head),
	}
}
