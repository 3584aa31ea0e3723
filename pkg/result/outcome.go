package result

import "fanfare/pkg/callback"

// Outcome is what became of the provider's task.
type Outcome string

// The outcomes.
const (
	Progress  Outcome = "progress"
	Succeeded Outcome = "succeeded"
	Failed    Outcome = "failed"
)

func outcome(stage callback.Stage) Outcome {
	switch stage {
	case callback.Complete:
		return Succeeded
	case callback.Error:
		return Failed
	default:
		return Progress
	}
}

// Archive is how far the task's media are safe.
type Archive string

// The archive states, in the order in which a document may move through them.
const (
	None      Archive = "none"     // there are no media
	Pending   Archive = "pending"  // media are still to be had
	AllFailed Archive = "failed"   // every file was given up
	Partial   Archive = "partial"  // some files are safe, the others given up
	Archived  Archive = "complete" // every file is safe
)

func (a Archive) rank() int {
	switch a {
	case Pending:
		return 1
	case AllFailed:
		return 2
	case Partial:
		return 3
	case Archived:
		return 4
	default:
		return 0
	}
}

// Failure says why the provider's task failed, and what can be done.
type Failure struct {
	Reason          Reason `json:"reason"`
	Retryable       bool   `json:"retryable"`        // submitting the same task again may succeed
	CreditsRefunded bool   `json:"credits_refunded"` // the provider says that it gave the credits back
}

// Reason classifies a failure; the set is closed.
type Reason string

// The reasons, by the provider's status codes (docs.kie.ai/suno-api and
// docs.sunoapi.org, callback pages).
const (
	InvalidRequest     Reason = "invalid_request"
	Timeout            Reason = "timeout"
	ContentRejected    Reason = "content_rejected"
	SourceUnavailable  Reason = "source_unavailable"
	ProviderError      Reason = "provider_error"
	GenerationFailed   Reason = "generation_failed"
	GenerationRefunded Reason = "generation_failed_refunded"
	Unknown            Reason = "unknown"

	// NeverReported is ours: neither a callback nor a poll said what became of it.
	NeverReported Reason = "never_reported"
)

// Reasons returns every reason.
func Reasons() []Reason {
	return []Reason{
		InvalidRequest, Timeout, ContentRejected, SourceUnavailable,
		ProviderError, GenerationFailed, GenerationRefunded, Unknown, NeverReported,
	}
}

// FailureOf classifies the status code of a failed task. A code that is not in
// the provider's tables is Unknown and not retryable.
func FailureOf(code int32) Failure {
	switch code {
	case 400:
		return Failure{Reason: InvalidRequest}
	case 408:
		return Failure{Reason: Timeout, Retryable: true}
	case 413:
		return Failure{Reason: ContentRejected}
	case 451:
		return Failure{Reason: SourceUnavailable}
	case 500:
		return Failure{Reason: ProviderError, Retryable: true}
	case 501:
		return Failure{Reason: GenerationFailed, Retryable: true}
	case 531:
		return Failure{Reason: GenerationRefunded, Retryable: true, CreditsRefunded: true}
	default:
		return Failure{Reason: Unknown}
	}
}
