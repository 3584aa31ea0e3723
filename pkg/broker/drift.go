package broker

import (
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Drift is one setting in which an object on the server differs from what
// fanfare would have created.
type Drift struct {
	Object  string // for instance "stream CALLBACKS"
	Setting string // as JetStream spells it
	Is      string
	Want    string
}

// String returns the drift as a sentence.
func (d Drift) String() string {
	return fmt.Sprintf("%s: %s is %s, fanfare would set %s", d.Object, d.Setting, d.Is, d.Want)
}

// comparison collects the settings of one object that differ.
type comparison struct {
	object string
	drifts []Drift
}

func (c *comparison) setting(name string, is, want any) {
	if a, b := fmt.Sprint(is), fmt.Sprint(want); a != b {
		c.drifts = append(c.drifts, Drift{Object: c.object, Setting: name, Is: a, Want: b})
	}
}

func driftOfStream(is, want jetstream.StreamConfig) []Drift {
	c := comparison{object: "stream " + want.Name}
	c.setting("subjects", is.Subjects, want.Subjects)
	c.setting("storage", is.Storage, want.Storage)
	c.setting("retention", is.Retention, want.Retention)
	c.setting("discard", is.Discard, want.Discard)
	c.setting("max_age", is.MaxAge, want.MaxAge)
	c.setting("max_bytes", is.MaxBytes, want.MaxBytes)
	c.setting("max_msgs", is.MaxMsgs, -1)
	c.setting("max_msgs_per_subject", is.MaxMsgsPerSubject, want.MaxMsgsPerSubject)
	c.setting("max_msg_size", is.MaxMsgSize, -1)
	c.setting("duplicate_window", is.Duplicates, want.Duplicates)
	c.setting("num_replicas", is.Replicas, want.Replicas)
	c.setting("allow_direct", is.AllowDirect, want.AllowDirect)
	c.setting("allow_rollup_hdrs", is.AllowRollup, want.AllowRollup)
	c.setting("deny_delete", is.DenyDelete, want.DenyDelete)
	c.setting("deny_purge", is.DenyPurge, want.DenyPurge)
	return c.drifts
}

func driftOfDurable(is, want jetstream.ConsumerConfig) []Drift {
	c := comparison{object: "durable " + want.Durable}
	c.setting("filter_subjects", is.FilterSubjects, want.FilterSubjects)
	c.setting("ack_policy", is.AckPolicy, want.AckPolicy)
	c.setting("ack_wait", is.AckWait, want.AckWait)
	c.setting("max_deliver", is.MaxDeliver, want.MaxDeliver)
	c.setting("max_ack_pending", is.MaxAckPending, want.MaxAckPending)
	c.setting("backoff", is.BackOff, want.BackOff)
	c.setting("deliver_policy", is.DeliverPolicy, want.DeliverPolicy)
	c.setting("headers_only", is.HeadersOnly, want.HeadersOnly)
	c.setting("inactive_threshold", is.InactiveThreshold, want.InactiveThreshold)
	c.setting("pause_until", is.PauseUntil, want.PauseUntil)
	return c.drifts
}
