package dashboards

// tasks shows the ledger of tasks that are expected to call back.
func tasks() board {
	return board{
		file: "tasks", title: "tasks",
		description: "The tasks that were announced, or that a first callback told of: which wait, and which ended how.",
		panels:      append(taskNumbers(), taskGraphs()...),
	}
}

func taskNumbers() []panel {
	return []panel{
		{
			title: "Oldest task that waits", unit: "s", number: true, limits: []limit{orange(6 * 3600)},
			description: "Time since the submission of the oldest task whose final callback is still expected. After 24 hours it is given up.",
			queries:     []query{{`max(fanfare_task_age_oldest_seconds)`, ""}},
		},
		{
			title: "Overdue", unit: "short", number: true,
			description: "Tasks whose final callback did not come in time: fanfare tasks list --state overdue.",
			queries:     []query{{`sum(max by (type) (fanfare_tasks{state="overdue"}))`, ""}},
		},
		{
			title: "Given up", unit: "short", number: true, limits: []limit{orange(1)},
			description: "Tasks of which nothing could be learned in time: fanfare tasks list --state given_up.",
			queries:     []query{{`sum(max by (type) (fanfare_tasks{state="given_up"}))`, ""}},
		},
		{
			title: "Given up within a day", unit: "short", number: true, limits: []limit{orange(1)},
			description: "Tasks that were given up within the last day.",
			queries:     []query{{`sum(increase(fanfare_tasks_given_up_total[1d]))`, ""}},
		},
	}
}

func taskGraphs() []panel {
	return []panel{
		{
			title: "Tasks that wait", unit: "short",
			description: "Tasks without a final state: expected by a callback, or overdue and polled.",
			queries:     []query{{`max by (type, state) (fanfare_tasks{state=~"expected|overdue"})`, "{{type}} {{state}}"}},
		},
		{
			title: "Tasks that ended", unit: "short",
			description: "Tasks in the ledger that a callback answered, that were overdue and resolved, or that were given up.",
			queries:     []query{{`max by (type, state) (fanfare_tasks{state=~"answered|resolved|given_up"})`, "{{type}} {{state}}"}},
		},
		{
			title: "Age of the oldest", unit: "s", limits: []limit{orange(6 * 3600), red(24 * 3600)},
			description: "Time since the submission of the oldest task that waits. The upper line is when it is given up.",
			queries:     []query{{`max(fanfare_task_age_oldest_seconds)`, "oldest"}},
		},
		{
			title: "Not read yet", unit: "short",
			description: "Messages that the reconciler has not got yet, by stream: callbacks, and tasks that were announced.",
			queries:     []query{{`max by (stream) (fanfare_reconciler_pending)`, "{{stream}}"}},
		},
		{
			title: "Found only by asking", unit: "percentunit",
			description: "Share of a type's results within an hour that came from polls, not from callbacks.",
			queries:     []query{{`type:fanfare_results_by_origin_poll:ratio_rate1h`, "{{type}}"}},
		},
	}
}
