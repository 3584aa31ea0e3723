package dashboards

import "slices"

// overview is what to look at first: does everything that comes get through?
func overview() board {
	return board{
		file: "overview", title: "overview",
		description: "Callbacks from the provider to their results, and everything that went aside.",
		panels:      slices.Concat(overviewNumbers(), overviewGraphs(), overviewLimits()),
	}
}

func overviewNumbers() []panel {
	return []panel{
		{
			title: "Callbacks", unit: "reqps", number: true,
			description: "Requests per second, of all types, whatever became of them.",
			queries:     []query{{`sum(rate(fanfare_callbacks_total[$__rate_interval]))`, ""}},
		},
		{
			title: "Refused for now", unit: "percentunit", number: true, limits: []limit{orange(.001), red(.5)},
			description: "Share of callbacks that were answered 429 or 503. The provider comes again for some 22 minutes.",
			queries:     []query{{`sum(rate(fanfare_callbacks_total{result="unavailable"}[5m])) / sum(rate(fanfare_callbacks_total[5m]))`, ""}},
		},
		{
			title: "p99 of answers", unit: "s", number: true, limits: []limit{orange(2.5), red(8)},
			description: "99 of 100 callbacks were answered within this time. The provider waits 10 s.",
			queries:     []query{{`histogram_quantile(0.99, sum by (le) (rate(fanfare_callback_duration_seconds_bucket[5m])))`, ""}},
		},
		{
			title: "In quarantine", unit: "short", number: true,
			description: "Authentic requests that are no valid callbacks or contradict a stored one, of 30 days: fanfare quarantine list.",
			queries:     []query{{`max(fanfare_stream_messages{stream="QUARANTINE"})`, ""}},
		},
		{
			title: "Dead letters", unit: "short", number: true, limits: []limit{orange(1)},
			description: "Callbacks that a consumer could not process, of 30 days: fanfare dead-letter list.",
			queries:     []query{{`max(fanfare_stream_messages{stream="DEAD_LETTERS"})`, ""}},
		},
		{
			title: "Processes that answer", unit: "short", number: true,
			description: "Processes that Prometheus can scrape, by job. Hold it against how many are meant to run: where targets are found by name, a stopped one is no target any more.",
			queries:     []query{{`sum by (job) (up{job=~"gateway|consumer|reconciler|standalone"})`, "{{job}}"}},
		},
	}
}

func overviewGraphs() []panel {
	return []panel{
		{
			title: "Callbacks by type", unit: "reqps",
			description: "Requests per second by callback type; none is a path that no type has.",
			queries:     []query{{`sum by (type) (rate(fanfare_callbacks_total[$__rate_interval]))`, "{{type}}"}},
		},
		{
			title: "What became of them", unit: "reqps",
			description: "Requests per second by result: stored, duplicate and conflict are answered 200.",
			queries:     []query{{`sum by (result) (rate(fanfare_callbacks_total[$__rate_interval]))`, "{{result}}"}},
		},
		{
			title: "Time to answer", unit: "s", limits: []limit{red(10)},
			description: "From a request's first byte to its answer: the median and the slowest of a hundred, by type. The line is the provider's deadline of 10 s.",
			queries: []query{
				{`histogram_quantile(0.99, sum by (type, le) (rate(fanfare_callback_duration_seconds_bucket[$__rate_interval])))`, "{{type}} p99"},
				{`histogram_quantile(0.5, sum by (type, le) (rate(fanfare_callback_duration_seconds_bucket[$__rate_interval])))`, "{{type}} p50"},
			},
		},
		{
			title: "Time to store", unit: "s", limits: []limit{red(8)},
			description: "From publishing a callback to its publish ack. The line is when the gateway gives up and answers 503.",
			queries: []query{
				{`histogram_quantile(0.99, sum by (le) (rate(fanfare_publish_duration_seconds_bucket[$__rate_interval])))`, "p99"},
				{`histogram_quantile(0.5, sum by (le) (rate(fanfare_publish_duration_seconds_bucket[$__rate_interval])))`, "p50"},
			},
		},
		{
			title: "Outcomes by type", unit: "cps",
			description: "Task states recorded per second: progress, succeeded or failed.",
			queries:     []query{{`sum by (type, outcome) (rate(fanfare_results_total[$__rate_interval]))`, "{{type}} {{outcome}}"}},
		},
		{
			title: "Duplicates", unit: "percentunit",
			description: "Share of a type's callbacks that were there before, over an hour. Each is stored once.",
			queries:     []query{{`type:fanfare_callbacks_duplicate:ratio_rate1h`, "{{type}}"}},
		},
		{
			title: "Quarantine and dead letters", unit: "short",
			description: "Messages that the streams QUARANTINE and DEAD_LETTERS hold.",
			queries:     []query{{`max by (stream) (fanfare_stream_messages{stream=~"QUARANTINE|DEAD_LETTERS"})`, "{{stream}}"}},
		},
	}
}

// overviewLimits show how near to its limits the gateway is.
func overviewLimits() []panel {
	return []panel{
		{
			title: "Requests in flight", unit: "short",
			description: "Requests of callbacks that a gateway has in hand, from their heads on. --max-in-flight counts only those whose body has been read, so more than that may be in flight while none is refused.",
			queries:     []query{{`fanfare_http_requests_in_flight`, "{{instance}}"}},
		},
		{
			title: "Connections refused", unit: "cps",
			description: "Connections beyond a gateway's limit, of 4,096 or half of the files that it may open. What they would have sent is counted nowhere.",
			queries:     []query{{`rate(fanfare_connections_refused_total[$__rate_interval])`, "{{instance}}"}},
		},
	}
}
