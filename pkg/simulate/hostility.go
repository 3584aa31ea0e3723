package simulate

// Hostility says what the simulated provider spares its receiver. The zero
// value spares nothing: every hostility is something that the real provider
// does, documents, or may do because nothing forbids it.
type Hostility struct {
	NoDuplicates bool // the same callback again: later or at the same instant, byte for byte or written differently
	NoReordering bool // a final stage before the stages that lead to it
	NoLate       bool // a stage long after the task's last one
	NoFailures   bool // failed tasks, of every documented code and of others
	NoRecoveries bool // failed tasks that succeed after all
	NoSpellings  bool // the task ID under the other name, or under both
	NoExtras     bool // members that no page lists, at any level and of any type

	NoMediaFaults []string // what the media host does wrong: names of [MediaFaults]
}
