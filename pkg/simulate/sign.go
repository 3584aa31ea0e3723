package simulate

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"time"

	"fanfare/pkg/callback"
)

// sign adds the provider's signature (docs.kie.ai/common-api, the
// guide to signatures): HMAC-SHA256 over task ID, a dot and the time of sending.
func sign(h http.Header, key []byte, id callback.TaskID, at time.Time) {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(string(id) + "." + timestamp))
	h.Set("X-Webhook-Timestamp", timestamp)
	h.Set("X-Webhook-Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}
