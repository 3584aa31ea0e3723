package media

import (
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// source gives a number of bytes, each after a pause.
type source struct {
	pause time.Duration
	bytes int
}

func (s *source) Read(p []byte) (int, error) {
	if s.bytes == 0 {
		return 0, io.EOF
	}
	time.Sleep(s.pause) //nolint:forbidigo // the pause is what is tested, on a clock that does not wait
	s.bytes--
	p[0] = 0
	return 1, nil
}

func TestPaced(t *testing.T) {
	const window = 10 * time.Second // which asks for 10 bytes
	tests := []struct {
		name   string
		source source
		reader time.Duration // how long the reader takes over each byte
		slow   bool
	}{
		{"fast", source{pause: time.Millisecond, bytes: 100_000}, 0, false},
		{"just fast enough", source{pause: 990 * time.Millisecond, bytes: 1000}, 0, false},
		{"just too slow", source{pause: 1010 * time.Millisecond, bytes: 1000}, 0, true},
		{"one long pause", source{pause: 11 * time.Second, bytes: 1}, 0, true},
		{"slow but soon over", source{pause: 1100 * time.Millisecond, bytes: 9}, 0, false},
		{"slow reader", source{pause: 500 * time.Millisecond, bytes: 100}, time.Hour, false},
		{"slow source and reader", source{pause: 1100 * time.Millisecond, bytes: 100}, time.Hour, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var slow atomic.Bool
				p := newPaced(&test.source, window, 1, func() { slow.Store(true) })
				for buffer := make([]byte, 1); ; {
					if _, err := p.Read(buffer); err != nil {
						break
					}
					time.Sleep(test.reader) //nolint:forbidigo // as above
				}
				synctest.Wait()
				if slow.Load() != test.slow {
					t.Errorf("too slow: %t", slow.Load())
				}
			})
		})
	}
}
