package simulate

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"time"
)

// generator draws what a plan leaves to chance.
type generator struct{ *rand.Rand }

// newGenerator returns the generator for one purpose, such as "bodies/17". What
// it draws depends on the seed and the purpose only, never on what other
// generators drew before.
func newGenerator(seed uint64, purpose string) generator {
	key := sha256.Sum256(fmt.Appendf(nil, "%d/%s", seed, purpose))
	return generator{rand.New(rand.NewChaCha8(key))} //nolint:gosec // a plan must be reproducible
}

// chance is true in percent of 100 draws.
func (g generator) chance(percent int) bool { return g.IntN(100) < percent }

// between draws a duration of at least low and less than high.
func (g generator) between(low, high time.Duration) time.Duration {
	return low + time.Duration(g.Int64N(int64(high-low)))
}

func (g generator) bytes(n int) []byte {
	drawn := make([]byte, 0, n+8)
	for len(drawn) < n {
		drawn = binary.LittleEndian.AppendUint64(drawn, g.Uint64())
	}
	return drawn[:n]
}

// hex draws lower-case hexadecimal digits; their number must be even.
func (g generator) hex(digits int) string {
	return hex.EncodeToString(g.bytes(digits / 2))
}

func (g generator) uuid() string {
	h := g.hex(32)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// pick draws one of the choices, each as likely as the others.
func pick[T any](g generator, choices ...T) T {
	return choices[g.IntN(len(choices))]
}
