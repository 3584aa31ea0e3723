package consume

import (
	"slices"
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
	q.end()
	if r, ok := q.begin(); !ok || r.delivery.Sequence != 2 {
		t.Errorf("%v, %v begins, want 2", r, ok)
	}
	q.end()
	if r, ok := q.begin(); ok {
		t.Errorf("%v begins out of nothing", r)
	}
}

func TestAnySuspectMayBeNext(t *testing.T) {
	t.Parallel()
	first := make(map[uint64]bool)
	for range 1000 {
		q := newSuspects()
		for i := range uint64(3) {
			q.add(waitingRetry(i, 1))
		}
		<-q.came
		var order []uint64
		for r, ok := q.one(); ok; r, ok = q.one() {
			order = append(order, r.delivery.Sequence)
		}
		first[order[0]] = true
		if slices.Sort(order); !slices.Equal(order, []uint64{0, 1, 2}) || q.bytes != 0 {
			t.Fatalf("%v are taken, %d bytes of none are left", order, q.bytes)
		}
	}
	if len(first) != 3 {
		t.Errorf("in 1000 times only %v came first", first)
	}
}

func TestWaitingRetriesAreBounded(t *testing.T) {
	t.Parallel()
	for body, want := range map[int]int{0: maxWaiting, 3 << 10: maxWaiting, 1 << 20: maxWaitingBytes >> 20} {
		q := &queue{}
		added := 0
		for i := range uint64(maxWaiting + 1) {
			if q.add(waitingRetry(i, body)) {
				added++
			}
		}
		if left := q.close(); added != want || len(left) != want || q.bytes != 0 {
			t.Errorf("of bodies of %d bytes, %d are added and %d left, %d bytes of none; want %d", body, added, len(left), q.bytes, want)
		}
		if q.add(waitingRetry(1, body)) {
			t.Error("it takes one after it was closed")
		}
	}
}
