package gateway

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"testing"
	"time"
)

// TestSignaturesAreTakenToTheSecond holds a time that stands still against both ends of the tolerance.
func TestSignaturesAreTakenToTheSecond(t *testing.T) {
	t.Parallel()
	now := time.Unix(1769670760, 0)
	mac := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for from, taken := range map[int64]bool{-301: false, -300: true, 0: true, 300: true, 301: false} {
		h := http.Header{headerTimestamp: {strconv.FormatInt(now.Unix()+from, 10)}, headerSignature: {mac}}
		if _, err := readSignature(h, now, 5*time.Minute); err == nil != taken {
			t.Errorf("%d s from now: %v", from, err)
		}
	}
}
