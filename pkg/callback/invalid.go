package callback

// Reason says in one word why a body is no valid callback. The set is closed:
// it becomes part of subjects' message IDs and of metric labels.
type Reason string

// The reasons.
const (
	ReasonMalformed Reason = "malformed" // not one strict JSON object of bounded depth
	ReasonTaskID    Reason = "task_id"   // no usable task ID
	ReasonSchema    Reason = "schema"    // not what the type's schema asks for
)

// Invalid reports that a body is no valid callback. Message is a sentence for
// the sender: it says what is wrong and never repeats what was sent.
type Invalid struct {
	Reason  Reason
	Message string
}

// Error returns the reason and the sentence.
func (e *Invalid) Error() string {
	return "callback: " + string(e.Reason) + ": " + e.Message
}
