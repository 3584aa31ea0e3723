package cli

import "testing"

func TestListenerIsAskedOnThisMachine(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]string{
		"127.0.0.1:8081": "127.0.0.1:8081",
		"0.0.0.0:8081":   "127.0.0.1:8081",
		":8081":          "127.0.0.1:8081",
		"[::]:8081":      "[::1]:8081",
		"[::1]:8081":     "[::1]:8081",
		"10.1.2.3:8081":  "10.1.2.3:8081",
		"gateway:8081":   "gateway:8081",
		"8081":           "8081", // which asking it then explains
	} {
		if is := nearby(listen); is != want {
			t.Errorf("%s: %s, want %s", listen, is, want)
		}
	}
}
