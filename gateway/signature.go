package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"fanfare/pkg/callback"
)

// The provider's headers (docs.kie.ai/common-api/webhook-verification).
const (
	headerTimestamp = "X-Webhook-Timestamp" // Unix seconds
	headerSignature = "X-Webhook-Signature" // standard base64 of the HMAC
)

// signature is what the headers of a request claim.
type signature struct {
	timestamp string
	mac       []byte
}

// readSignature reads the claim from the headers: exactly one of each, strict
// base64, and a timestamp of digits no further from now than tolerance.
func readSignature(h http.Header, now time.Time, tolerance time.Duration) (signature, error) {
	timestamps, signatures := h.Values(headerTimestamp), h.Values(headerSignature)
	if len(timestamps) != 1 || len(signatures) != 1 {
		return signature{}, errors.New("want exactly one timestamp and one signature")
	}
	timestamp := timestamps[0]
	if timestamp == "" || strings.Trim(timestamp, "0123456789") != "" {
		return signature{}, errors.New("the timestamp is not made of digits")
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return signature{}, errors.New("the timestamp is out of range")
	}
	// Compared as seconds since the epoch: a difference of times saturates.
	if low, high := now.Add(-tolerance).Unix(), now.Add(tolerance).Unix(); seconds < low || seconds > high {
		return signature{}, errors.New("the timestamp is stale")
	}
	mac, err := base64.StdEncoding.DecodeString(signatures[0])
	if err != nil || len(mac) != sha256.Size || base64.StdEncoding.EncodeToString(mac) != signatures[0] { // the decoder overlooks line breaks
		return signature{}, errors.New("the signature is not the base64 of 32 bytes")
	}
	return signature{timestamp: timestamp, mac: mac}, nil
}

// signs reports whether the signature is that of a task under one of the keys.
// It covers the task ID and the timestamp, and nothing else of the request.
func (s signature) signs(id callback.TaskID, keys [][]byte) bool {
	signed := false
	for _, key := range keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(string(id) + "." + s.timestamp))
		if hmac.Equal(mac.Sum(nil), s.mac) {
			signed = true
		}
	}
	return signed
}
