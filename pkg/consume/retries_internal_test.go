package consume

import (
	"testing"

	"fanfare/pkg/broker"
)

func waitingRetry(sequence uint64, body int) retry {
	return retry{delivery: &broker.Delivery{Sequence: sequence, Number: 2, Body: make([]byte, body)}, done: func() {}}
}

func TestRetriesTakeHalfOfTheWorkersInTheirOrder(t *testing.T) {
	t.Parallel()
	for workers, want := range map[int]int{1: 1, 2: 1, 3: 1, 8: 4, 256: 128} {
		if got := retryWorkers(workers); got != want {
			t.Errorf("of %d workers %d take retries, want %d", workers, got, want)
		}
	}
	q := &retries{free: 2}
	for i := range uint64(3) {
		q.add(waitingRetry(i, 1))
	}
	for i := range uint64(2) {
		if r, ok := q.begin(); !ok || r.delivery.Sequence != i {
			t.Errorf("%v, %v begins, want %d", r, ok, i)
		}
	}
	if r, ok := q.begin(); ok {
		t.Errorf("%v begins without a worker", r)
	}
	q.end(retry{})
	if r, ok := q.begin(); !ok || r.delivery.Sequence != 2 {
		t.Errorf("%v, %v begins, want 2", r, ok)
	}
	q.end(retry{})
	if r, ok := q.begin(); ok {
		t.Errorf("%v begins out of nothing", r)
	}
}

func TestSuspectsAreHandledOneAtATime(t *testing.T) {
	t.Parallel()
	q := &retries{free: 3}
	for sequence, suspect := range []bool{true, true, false, true} {
		r := waitingRetry(uint64(sequence), 1)
		r.suspect = suspect
		q.add(r)
	}
	begin := func(want int) (r retry) {
		t.Helper()
		r, ok := q.begin()
		if ok != (want >= 0) || ok && r.delivery.Sequence != uint64(want) {
			t.Errorf("%v, %v begins, want %d", r.delivery, ok, want)
		}
		return r
	}
	const nothing = -1
	first, other := begin(0), begin(2)
	begin(nothing)
	q.end(other)
	begin(nothing)
	q.end(first)
	begin(1)
	begin(nothing)
}

func TestWaitingRetriesAreBounded(t *testing.T) {
	t.Parallel()
	for body, want := range map[int]int{0: maxWaiting, 3 << 10: maxWaiting, 1 << 20: maxWaitingBytes >> 20} {
		q := &retries{free: 1}
		added := 0
		for i := range uint64(maxWaiting + 1) {
			if q.add(waitingRetry(i, body)) {
				added++
			}
		}
		if left := q.clear(); added != want || len(left) != want || q.bytes != 0 {
			t.Errorf("of bodies of %d bytes, %d are added and %d left, %d bytes of none; want %d", body, added, len(left), q.bytes, want)
		}
		if !q.add(waitingRetry(1, body)) {
			t.Error("no room after it was cleared")
		}
	}
}
