package consume

import (
	"math/rand/v2"
	"time"
)

// step is how long to wait before delivery n+1, give or take a fifth: 1 s, 5 s,
// 30 s, 2 min, 10 min, then 30 min each.
func step(n uint64) time.Duration {
	steps := [...]time.Duration{time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute}
	if n >= 1 && n <= uint64(len(steps)) {
		return steps[n-1]
	}
	return 30 * time.Minute
}

func jittered(d time.Duration) time.Duration {
	return d + rand.N(2*d/5) - d/5 //nolint:gosec // jitter needs no secrecy
}

// scheduled is how many retries the schedule can bring within age.
func scheduled(age time.Duration) (n uint64) {
	for at := time.Duration(0); ; n++ {
		if at += step(n+1) * 4 / 5; at > age { // the least that jitter leaves
			return n
		}
	}
}
