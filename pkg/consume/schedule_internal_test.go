package consume

import (
	"testing"
	"time"

	"fanfare/pkg/broker"
)

func TestDeadlyIsWhatRetriesDoNotExplain(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		n    uint64
		age  time.Duration
		want bool
	}{
		"the first delivery":                       {1, 0, false},
		"12 kills, a minute each":                  {13, 12 * time.Minute, true},
		"11 kills, a minute each":                  {12, 11 * time.Minute, false},
		"put off 26 times in half a minute":        {27, 30 * time.Second, false},
		"retries until the end":                    {18, 6 * time.Hour, false},
		"retries until the end, and five restarts": {23, 6 * time.Hour, false},
		"12 kills after two hours of retries":      {21, 2*time.Hour + 12*time.Minute, true},
		"a very old message, killed quickly":       {60, 6 * time.Hour, true},
	} {
		if got := deadly(row.n, row.age, time.Minute); got != row.want {
			t.Errorf("%s: deadly(%d, %s) = %v", name, row.n, row.age, got)
		}
	}
}

func TestSuspectIsWhatCameTwiceMoreThanRetriesExplain(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		n    uint64
		age  time.Duration
		want bool
	}{
		"the first delivery":               {1, time.Hour, false},
		"one kill":                         {2, time.Minute, false},
		"five kills, a minute each":        {6, 5 * time.Minute, false},
		"six kills, a minute each":         {7, 6 * time.Minute, true},
		"put off in half a minute":         {9, 30 * time.Second, false},
		"retries for half an hour":         {6, 30 * time.Minute, false},
		"the same, and one kill":           {7, 31 * time.Minute, false},
		"the same, and two":                {8, 32 * time.Minute, true},
		"delivered again after a long way": {2, time.Hour, false},
	} {
		if got := suspect(row.n, row.age, time.Minute); got != row.want {
			t.Errorf("%s: suspect(%d, %s) = %v", name, row.n, row.age, got)
		}
	}
}

// TestDelaysFollowTheSchedule walks through a message's life and never suspects
// it.
func TestDelaysFollowTheSchedule(t *testing.T) {
	t.Parallel()
	age, n := time.Duration(0), uint64(1)
	for ; age < 6*time.Hour; n++ {
		d := jittered(step(n))
		if low, high := step(n)*4/5, step(n)*6/5; d < low || d > high {
			t.Errorf("delay %d is %s, want %s to %s", n, d, low, high)
		}
		age += d
		if suspect(n+1, age, time.Minute) {
			t.Errorf("delivery %d after %s is suspected", n+1, age)
		}
	}
	if n < 15 || n > 21 {
		t.Errorf("%d deliveries in 6 h", n)
	}
}

func TestRetriesLeaveHalfOfTheWorkersFree(t *testing.T) {
	t.Parallel()
	const workers, retries = 8, 3000
	const took = 15 * time.Second
	c := newCalendar(workers)
	for range 100 {
		c.took(took)
	}
	now := time.Unix(1_000_000, 0)
	busy := make(map[int64]time.Duration)
	latest := time.Duration(0)
	for range retries {
		d := c.book(now, time.Second)
		if d < time.Second || d > time.Second+maxPutOff {
			t.Fatalf("booked for %s from now", d)
		}
		latest = max(latest, d)
		busy[now.Add(d).Unix()]++
	}
	for second, begun := range busy {
		if begun > workers/2 && second < now.Add(maxPutOff).Unix() {
			t.Errorf("%d retries begin in one second", begun)
		}
	}
	if capacity := time.Duration(retries) * took / (workers / 2); latest < min(capacity, maxPutOff)*9/10 {
		t.Errorf("the last retry comes after %s: half of the workers need %s for all", latest, capacity)
	}
	if len(c.booked) > int(maxPutOff.Seconds())+int(took.Seconds())+2 {
		t.Errorf("%d seconds are remembered", len(c.booked))
	}
	if d := c.book(now.Add(3*time.Hour), time.Second); d != time.Second || len(c.booked) > 10 {
		t.Errorf("when all is over: %s, %d seconds are remembered", d, len(c.booked))
	}
}

func TestAFirstFailureIsRememberedUntilTheEnd(t *testing.T) {
	t.Parallel()
	h := newHistory()
	then := time.Unix(1_000_000, 0)
	first := h.failed(1, errInvalid, then)
	if again := h.failed(1, errDeadly, then.Add(time.Hour)); again != first || first != (past{0, errInvalid, then}) {
		t.Errorf("failed as %v, then %v", first, again)
	}
	h.forget(1)
	if got := h.failed(1, errDeadly, then); got != (past{0, errDeadly, then}) {
		t.Errorf("after the end: %v", got)
	}
	for i := range uint64(2 * maxRemembered) {
		h.failed(i, errInvalid, then)
	}
	if len(h.pasts) != maxRemembered {
		t.Errorf("%d are remembered", len(h.pasts))
	}
}

func TestADeliveryThatIsPutOffDoesNotCount(t *testing.T) {
	t.Parallel()
	h := newHistory()
	h.putOff(7)
	h.putOff(7)
	for number, want := range map[uint64]uint64{1: 1, 2: 1, 3: 1, 5: 3} {
		if got := h.number(&broker.Delivery{Sequence: 7, Number: number}); got != want {
			t.Errorf("delivery %d counts as %d, want %d", number, got, want)
		}
	}
	if got := h.number(&broker.Delivery{Sequence: 8, Number: 5}); got != 5 {
		t.Errorf("of a message that was never put off, delivery 5 counts as %d", got)
	}
}
