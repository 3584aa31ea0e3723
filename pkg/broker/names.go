package broker

import (
	"time"

	"fanfare/pkg/callback"
)

// The streams and the buckets. A durable is named after its type.
const (
	StreamCallbacks   = "CALLBACKS"
	StreamQuarantine  = "QUARANTINE"
	StreamDeadLetters = "DEAD_LETTERS"
	StreamTasks       = "TASKS"
	BucketResults     = "RESULTS"
	BucketTasksState  = "TASKS_STATE"

	// JetStream's names of the streams behind the buckets.
	streamResults    = "KV_" + BucketResults
	streamTasksState = "KV_" + BucketTasksState
)

// The subjects' first tokens.
const (
	tokenCallbacks   = "callbacks"
	tokenRedeliver   = "redeliver"
	tokenQuarantine  = "quarantine"
	tokenDeadLetters = "dead-letters"
	tokenTasks       = "tasks"
)

// AllCallbacks is the subject filter for callbacks of every type and stage.
const AllCallbacks = tokenCallbacks + ".>"

// MaxPayload is the largest message in bytes that the server must take: a body
// of 1 MiB and 128 KiB of headers.
const MaxPayload = 1<<20 + 128<<10

// Subject returns the subject of callbacks of one type and stage.
func Subject(t callback.Type, s callback.Stage) string {
	return tokenCallbacks + "." + string(t) + "." + string(s)
}

func callbacksOf(t callback.Type) string  { return tokenCallbacks + "." + string(t) + ".>" }
func redeliverOf(t callback.Type) string  { return tokenRedeliver + "." + string(t) + ".>" }
func quarantineOf(t callback.Type) string { return tokenQuarantine + "." + string(t) }
func deadLetterOf(t callback.Type) string { return tokenDeadLetters + "." + string(t) }
func tasksOf(t callback.Type) string      { return tokenTasks + "." + string(t) }

// Header names: CloudEvents 1.0 in binary mode, and what a dead letter says of
// its death.
const (
	headerSpecVersion = "ce-specversion"
	headerID          = "ce-id"
	headerType        = "ce-type"
	headerSource      = "ce-source"
	headerSubject     = "ce-subject"
	headerTime        = "ce-time"
	headerContentType = "ce-datacontenttype"
	headerStage       = "ce-stage"
	headerCode        = "ce-code"

	headerVersion      = "Fanfare-Version"
	headerReason       = "Fanfare-Reason"
	headerReceived     = "Fanfare-Received"
	headerDeliveries   = "Fanfare-Deliveries"
	headerFirstError   = "Fanfare-First-Error"
	headerLastError    = "Fanfare-Last-Error"
	headerFirstFailed  = "Fanfare-First-Failed"
	headerDied         = "Fanfare-Died"
	headerOrigin       = "Fanfare-Subject"
	headerRedeliveryOf = "Fanfare-Redelivery-Of"
)

// keptVersion is that of the format of dead letters' and quarantined requests'
// headers, as they state it. One that means something else, or whose lack does,
// makes another.
const keptVersion = 1

// Bounds that the provisioned objects have.
const (
	callbacksMaxAge   = 7 * 24 * time.Hour
	keptMaxAge        = 30 * 24 * time.Hour // QUARANTINE, DEAD_LETTERS, TASKS and TASKS_STATE
	resultsMaxAge     = 90 * 24 * time.Hour
	resultsHistory    = 8
	duplicateWindow   = 24 * time.Hour // the provider's last retry comes after about 22 minutes
	ackWait           = 60 * time.Second
	maxAckPending     = 20_000
	unlimitedDelivery = -1 // the runner counts deliveries itself
)
