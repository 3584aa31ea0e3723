package dashboards

// provider is a scorecard of whoever calls us.
func provider() board {
	return board{
		file: "provider", title: "provider scorecard",
		description: "How well the provider does: what fails and why, how long tasks take, and whether its callbacks come.",
		panels:      append(performance(), learning()...),
	}
}

func performance() []panel {
	return []panel{
		{
			title: "Tasks that succeed", unit: "percentunit", max: 1,
			description: "Share of the tasks that ended within an hour and did so well, by type.",
			queries: []query{{
				`sum by (type) (rate(fanfare_results_total{outcome="succeeded"}[1h])) / sum by (type) (rate(fanfare_results_total{outcome=~"succeeded|failed"}[1h]))`,
				"{{type}}",
			}},
		},
		{
			title: "Why tasks fail", unit: "percentunit",
			description: "Share of each reason of failure among the tasks that ended within an hour.",
			queries:     []query{{`reason:fanfare_results_failed:ratio_rate1h`, "{{reason}}"}},
		},
		{
			title: "Refunds", unit: "short",
			description: "Tasks of a day that failed with 531, of which the provider says that the credits came back.",
			queries:     []query{{`sum by (type) (increase(fanfare_results_total{reason="generation_failed_refunded"}[1d]))`, "{{type}}"}},
		},
		{
			title: "Repeated callbacks", unit: "percentunit",
			description: "Share of a type's callbacks that were there before, over an hour: the provider's retries.",
			queries:     []query{{`type:fanfare_callbacks_duplicate:ratio_rate1h`, "{{type}}"}},
		},
		{
			title: "Contradictions and nonsense", unit: "short",
			description: "Callbacks of an hour that contradict a stored one (conflict) or are invalid (quarantined).",
			queries:     []query{{`sum by (type, result) (increase(fanfare_callbacks_total{result=~"conflict|quarantined"}[1h]))`, "{{type}} {{result}}"}},
		},
		{
			title: "From first stage to complete", unit: "s",
			description: "Time from a task's first callback to its final one, for types that report stages: median, and the slowest of twenty.",
			queries: []query{
				{`histogram_quantile(0.95, sum by (type, le) (rate(fanfare_task_duration_seconds_bucket[1h])))`, "{{type}} p95"},
				{`histogram_quantile(0.5, sum by (type, le) (rate(fanfare_task_duration_seconds_bucket[1h])))`, "{{type}} p50"},
			},
		},
	}
}

func learning() []panel {
	return []panel{
		{
			title: "How results are learned", unit: "cps",
			description: "Final states per second by origin: by a callback, or by a poll because none came.",
			queries:     []query{{`sum by (origin) (rate(fanfare_results_by_origin_total[$__rate_interval]))`, "{{origin}}"}},
		},
		{
			title: "What polls are answered", unit: "cps",
			description: "Questions about overdue tasks per second by outcome. throttled, no_credits, refused, unavailable and unusable are of no use.",
			queries:     []query{{`sum by (outcome) (rate(fanfare_polls_total[$__rate_interval]))`, "{{outcome}}"}},
		},
	}
}
