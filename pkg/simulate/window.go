package simulate

import "time"

// window counts what happens within a time that slides.
type window struct {
	length time.Duration
	most   int // that may happen in it

	times []time.Time // oldest first
	peak  int         // the most that has happened in it
}

// add counts what happens now, and reports whether it is one too many.
func (w *window) add(now time.Time) (over bool) {
	gone := 0
	for gone < len(w.times) && now.Sub(w.times[gone]) >= w.length {
		gone++
	}
	w.times = append(w.times[gone:], now)
	w.peak = max(w.peak, len(w.times))
	return len(w.times) > w.most
}
