package nats_test

import (
	"fmt"
	"testing"
)

// Who may read what is the same for everybody who reads it by its number: the server's
// rules do not tell the messages of a stream apart.
const (
	consumers  = "consumer-music consumer-video consumer-wav consumer-cover"
	publishers = "gateway reconciler operator"
	lookers    = "gateway reconciler operator provisioner backup " + consumers
)

// actions are all that is tried, in that order.
func actions(tb testing.TB, s *secured) []action {
	tb.Helper()
	all := messages()
	for _, t := range types(tb) {
		all = append(all, ofType(string(t), s.config(tb, "$JS.API.CONSUMER.INFO.CALLBACKS."+string(t)))...)
	}
	all = append(all, ofReconciler()...)
	all = append(all, ofServices()...)
	all = append(all, ofStreams(s.config(tb, "$JS.API.STREAM.INFO.CALLBACKS"))...)
	return append(all, subscriptions()...)
}

// messages are publishing messages, and reading them by their number.
func messages() []action {
	all := []action{
		{"publish a callback", store, "callbacks.wav.complete", "{}", publishers},
		{"publish a redelivery", store, "redeliver.wav.complete", "{}", "operator"},
		{"publish a request for quarantine", store, "quarantine.wav", "{}", "gateway"},
		{"announce a task", store, "tasks.wav", "{}", "reconciler subscriber operator"},
		{"note a duplicate", store, "$KV.TASKS_STATE._again.wav.a.complete", "{}", publishers},
		{"change the ledger", store, "$KV.TASKS_STATE.wav.a", "{}", "reconciler"},
		{"read the ledger", ask, "$JS.API.DIRECT.GET.KV_TASKS_STATE.$KV.TASKS_STATE.wav.a", "", "reconciler operator"},
	}
	for stream, roles := range map[string]string{
		"CALLBACKS":    publishers + " " + consumers,
		"QUARANTINE":   "operator",
		"DEAD_LETTERS": "operator " + consumers,
		"TASKS":        "operator",
		"KV_RESULTS":   "operator",
	} {
		all = append(all,
			action{"read a message of " + stream, ask, "$JS.API.DIRECT.GET." + stream, `{"seq":1}`, roles},
			action{"read a message of " + stream + " from its leader", ask, "$JS.API.STREAM.MSG.GET." + stream, `{"seq":1}`, ""})
	}
	return all
}

// ofType is what belongs to the consumer of one type.
func ofType(t, config string) []action {
	own := "consumer-" + t
	create := fmt.Sprintf(`{"stream_name":"CALLBACKS","config":%s}`, config)
	return []action{
		{"look up durable " + t, ask, "$JS.API.CONSUMER.INFO.CALLBACKS." + t, "", own + " operator provisioner"},
		{"create durable " + t, ask, "$JS.API.CONSUMER.CREATE.CALLBACKS." + t, create, own + " provisioner"},
		{"create durable " + t + " with a filter", ask, "$JS.API.CONSUMER.CREATE.CALLBACKS." + t + ".callbacks.>", create, ""},
		{"create durable " + t + " in the old way", ask, "$JS.API.CONSUMER.DURABLE.CREATE.CALLBACKS." + t, create, ""},
		{"fetch from durable " + t, ask, "$JS.API.CONSUMER.MSG.NEXT.CALLBACKS." + t, `{"batch":1,"no_wait":true}`, own},
		{"ack for durable " + t, tell, "$JS.ACK.CALLBACKS." + t + ".1.1.1.1.0", "+ACK", own},
		{"delete durable " + t, ask, "$JS.API.CONSUMER.DELETE.CALLBACKS." + t, "", ""},
		{"pause durable " + t, ask, "$JS.API.CONSUMER.PAUSE.CALLBACKS." + t, "{}", ""},
		{"reset durable " + t, ask, "$JS.API.CONSUMER.RESET.CALLBACKS." + t, "{}", ""},
		{"write a result of " + t, store, "$KV.RESULTS." + t + ".a", "{}", own + " reconciler"},
		{"read a result of " + t, ask, "$JS.API.DIRECT.GET.KV_RESULTS.$KV.RESULTS." + t + ".a", "", own + " reconciler subscriber operator"},
		{"publish a dead letter of " + t, store, "dead-letters." + t, "{}", own},
	}
}

// durable is a request to create one.
func durable(stream, name, filter string) string {
	return fmt.Sprintf(`{"stream_name":%q,"config":{"durable_name":%q,"filter_subject":%q,"ack_policy":"explicit","max_deliver":-1}}`, stream, name, filter)
}

// ofReconciler is what belongs to the reconciler.
func ofReconciler() []action {
	const fetch = `{"batch":1,"no_wait":true}`
	return []action{
		{"create durable reconciler", ask, "$JS.API.CONSUMER.CREATE.CALLBACKS.reconciler.callbacks.>", durable("CALLBACKS", "reconciler", "callbacks.>"), "reconciler"},
		{"create durable reconciler with another filter", ask, "$JS.API.CONSUMER.CREATE.CALLBACKS.reconciler.redeliver.>", durable("CALLBACKS", "reconciler", "redeliver.>"), ""},
		{"look up durable reconciler", ask, "$JS.API.CONSUMER.INFO.CALLBACKS.reconciler", "", "reconciler operator"},
		{"fetch from durable reconciler", ask, "$JS.API.CONSUMER.MSG.NEXT.CALLBACKS.reconciler", fetch, "reconciler"},
		{"ack for durable reconciler", tell, "$JS.ACK.CALLBACKS.reconciler.1.1.1.1.0", "+ACK", "reconciler"},
		{"create durable reconciler in the old way", ask, "$JS.API.CONSUMER.DURABLE.CREATE.CALLBACKS.reconciler", durable("CALLBACKS", "reconciler", ""), ""},
		{"delete durable reconciler", ask, "$JS.API.CONSUMER.DELETE.CALLBACKS.reconciler", "", ""},
		{"create a durable on TASKS", ask, "$JS.API.CONSUMER.CREATE.TASKS.reconciler_a.tasks.>", durable("TASKS", "reconciler_a", "tasks.>"), "reconciler"},
		{"look up a durable on TASKS", ask, "$JS.API.CONSUMER.INFO.TASKS.reconciler_a", "", "reconciler operator"},
		{"fetch from a durable on TASKS", ask, "$JS.API.CONSUMER.MSG.NEXT.TASKS.reconciler_a", fetch, "reconciler"},
		{"ack for a durable on TASKS", tell, "$JS.ACK.TASKS.reconciler_a.1.1.1.1.0", "+ACK", "reconciler"},
		{"delete a durable on TASKS", ask, "$JS.API.CONSUMER.DELETE.TASKS.reconciler_a", "", ""},
	}
}

// ofServices is what belongs to the users' own services, and the short-lived consumers
// by which operators follow a stream.
func ofServices() []action {
	const fetch, follow = `{"batch":1,"no_wait":true}`, "subscriber operator"
	return []action{
		{"create a service's durable", ask, "$JS.API.CONSUMER.CREATE.CALLBACKS.billing_wav.callbacks.wav.>", durable("CALLBACKS", "billing_wav", "callbacks.wav.>"), follow},
		{"create a service's durable without a filter", ask, "$JS.API.CONSUMER.CREATE.CALLBACKS.billing", durable("CALLBACKS", "billing", ""), "subscriber"},
		{"create a service's durable in the old way", ask, "$JS.API.CONSUMER.DURABLE.CREATE.CALLBACKS.shipping", durable("CALLBACKS", "shipping", ""), "subscriber"},
		{"look up a service's durable", ask, "$JS.API.CONSUMER.INFO.CALLBACKS.billing_wav", "", follow},
		{"fetch from a service's durable", ask, "$JS.API.CONSUMER.MSG.NEXT.CALLBACKS.billing_wav", fetch, follow},
		{"ack for a service's durable", tell, "$JS.ACK.CALLBACKS.billing_wav.1.1.1.1.0", "+ACK", "subscriber"},
		{"delete a service's durable", ask, "$JS.API.CONSUMER.DELETE.CALLBACKS.billing_wav", "", follow},
		{"create a service's durable on results", ask, "$JS.API.CONSUMER.CREATE.KV_RESULTS.billing_wav.$KV.RESULTS.wav.>", durable("KV_RESULTS", "billing_wav", "$KV.RESULTS.wav.>"), follow},
		{"fetch from a service's durable on results", ask, "$JS.API.CONSUMER.MSG.NEXT.KV_RESULTS.billing_wav", fetch, follow},
		{"ack for a service's durable on results", tell, "$JS.ACK.KV_RESULTS.billing_wav.1.1.1.1.0", "+ACK", "subscriber"},
		{"create a service's durable on results in the old way", ask, "$JS.API.CONSUMER.DURABLE.CREATE.KV_RESULTS.shipping", durable("KV_RESULTS", "shipping", ""), "subscriber"},
		{"delete a service's durable on results", ask, "$JS.API.CONSUMER.DELETE.KV_RESULTS.billing_wav", "", follow},
		{"create an unnamed consumer", ask, "$JS.API.CONSUMER.CREATE.CALLBACKS", `{"stream_name":"CALLBACKS","config":{"name":"wav"}}`, ""},
		{"follow QUARANTINE", ask, "$JS.API.CONSUMER.CREATE.QUARANTINE.a.quarantine.>", durable("QUARANTINE", "a", "quarantine.>"), "operator"},
		{"follow DEAD_LETTERS", ask, "$JS.API.CONSUMER.CREATE.DEAD_LETTERS.a.dead-letters.>", durable("DEAD_LETTERS", "a", "dead-letters.>"), "operator"},
		{"follow the ledger", ask, "$JS.API.CONSUMER.CREATE.KV_TASKS_STATE.a.$KV.TASKS_STATE.>", durable("KV_TASKS_STATE", "a", "$KV.TASKS_STATE.>"), "operator reconciler"},
		{"list the durables", ask, "$JS.API.CONSUMER.LIST.CALLBACKS", "{}", ""},
	}
}

// ofStreams is what is done to streams as a whole.
func ofStreams(config string) []action {
	all := []action{
		{"look up the account", ask, "$JS.API.INFO", "", "provisioner"},
		{"list the streams", ask, "$JS.API.STREAM.LIST", "{}", "backup"},
		{"list the streams' names", ask, "$JS.API.STREAM.NAMES", "{}", "provisioner"},
		{"create a stream that is there", ask, "$JS.API.STREAM.CREATE.CALLBACKS", config, "provisioner"},
		{"create another stream", ask, "$JS.API.STREAM.CREATE.OTHER", `{"name":"OTHER"}`, ""},
		{"update a stream", ask, "$JS.API.STREAM.UPDATE.CALLBACKS", config, "provisioner"},
		{"restore another stream", ask, "$JS.API.STREAM.RESTORE.OTHER", "{}", ""},
		{"send what is restored", tell, "$JS.SNAPSHOT.RESTORE.CALLBACKS.a", "", "provisioner"},
		{"snapshot another stream", ask, "$JS.API.STREAM.SNAPSHOT.OTHER", "{}", ""},
		{"acknowledge what a snapshot sends", tell, "$JS.SNAPSHOT.ACK.CALLBACKS.a", "", "backup"},
	}
	for _, stream := range []string{"CALLBACKS", "QUARANTINE", "DEAD_LETTERS", "TASKS", "KV_RESULTS", "KV_TASKS_STATE"} {
		look, drop := lookers, ""
		switch stream {
		case "CALLBACKS", "KV_RESULTS":
			look += " subscriber"
		case "QUARANTINE", "DEAD_LETTERS":
			drop = "operator"
		}
		all = append(all,
			action{"look up " + stream, ask, "$JS.API.STREAM.INFO." + stream, "", look},
			action{"delete a message of " + stream, ask, "$JS.API.STREAM.MSG.DELETE." + stream, `{"seq":1}`, drop},
			action{"purge " + stream, ask, "$JS.API.STREAM.PURGE." + stream, "{}", ""},
			action{"snapshot " + stream, tell, "$JS.API.STREAM.SNAPSHOT." + stream, "{}", "backup"},
			action{"restore " + stream, tell, "$JS.API.STREAM.RESTORE." + stream, "{}", "provisioner"},
			action{"delete " + stream, ask, "$JS.API.STREAM.DELETE." + stream, "", ""})
	}
	return all
}

// subscriptions are core subscriptions, which nobody has but to an inbox.
func subscriptions() (all []action) {
	for _, subject := range []string{
		">", "*.>", "callbacks.>", "callbacks.wav.complete", "tasks.>", "quarantine.>", "dead-letters.>", "redeliver.>", "$KV.>", "$KV.RESULTS.>",
		"$JS.>", "$JS.ACK.>", "$JS.API.>", "$JS.EVENT.ADVISORY.>", "$SYS.>", "_INBOX.>", "_INBOX.*.>", "_INBOX.*",
	} {
		all = append(all, action{"subscribe to " + subject, listen, subject, "", ""})
	}
	return all
}
