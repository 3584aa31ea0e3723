package simulate

import (
	"log/slog"
	"testing"

	"go.uber.org/goleak"

	"fanfare/pkg/callback"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// testPlan returns a plan that names its media as a default run does.
func testPlan(seed uint64, tasks int, hostility Hostility) *plan {
	return newPlan(seed, tasks, "http://127.0.0.1:8089", hostility)
}

// writeTask writes a task out.
func writeTask(t *testing.T, p *plan, index int) task {
	t.Helper()
	written, err := p.task(index)
	if err != nil {
		t.Fatal(err)
	}
	return written
}

func loadContracts(t *testing.T) callback.Contracts {
	t.Helper()
	contracts, err := callback.LoadContracts()
	if err != nil {
		t.Fatal(err)
	}
	return contracts
}

// faultNames names every fault of the media host.
func faultNames() []string {
	var names []string
	for _, f := range MediaFaults() {
		names = append(names, f.Name)
	}
	return names
}
