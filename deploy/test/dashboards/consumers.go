package dashboards

// consumers shows whether what is stored is also done.
func consumers() board {
	return board{
		file: "consumers", title: "consumers",
		description: "Lag, verdicts, downloads and the archive, by callback type.",
		panels:      append(lag(), archive()...),
	}
}

func lag() []panel {
	return []panel{
		{
			title: "Callbacks that wait", unit: "short",
			description: "Messages that a durable has not delivered yet.",
			queries:     []query{{`max by (type) (fanfare_consumer_pending)`, "{{type}}"}},
		},
		{
			title: "Oldest that waits", unit: "s", limits: []limit{orange(600)},
			description: "Age of the oldest message that a durable has not delivered yet. Those that are retried were delivered.",
			queries:     []query{{`max by (type) (fanfare_consumer_oldest_pending_seconds)`, "{{type}}"}},
		},
		{
			title: "In hand", unit: "short",
			description: "Messages delivered and not settled, and how many of them were delivered more than once.",
			queries: []query{
				{`max by (type) (fanfare_consumer_ack_pending)`, "{{type}}"},
				{`max by (type) (fanfare_consumer_redelivered)`, "{{type}} redelivered"},
			},
		},
		{
			title: "Verdicts", unit: "cps",
			description: "Deliveries per second by verdict: ack, retry or dead_letter.",
			queries:     []query{{`sum by (type, verdict) (rate(fanfare_deliveries_total[$__rate_interval]))`, "{{type}} {{verdict}}"}},
		},
		{
			title: "Time to handle", unit: "s",
			description: "From a delivery to its settlement, downloads included: the slowest of twenty, by type.",
			queries:     []query{{`histogram_quantile(0.95, sum by (type, le) (rate(fanfare_handle_duration_seconds_bucket[$__rate_interval])))`, "{{type}} p95"}},
		},
		{
			title: "Held", unit: "short", limits: []limit{red(1)},
			description: "Deliveries in hand that are held because the archive or the results cannot be written.",
			queries:     []query{{`max by (type) (fanfare_deliveries_held)`, "{{type}}"}},
		},
		{
			title: "Dead letters refused", unit: "short",
			description: "Dead letters that could not be stored within an hour: DEAD_LETTERS is full or cannot be written.",
			queries:     []query{{`sum by (type) (increase(fanfare_dead_letters_refused_total[1h]))`, "{{type}}"}},
		},
	}
}

func archive() []panel {
	return []panel{
		{
			title: "Archived bytes", unit: "Bps",
			description: "Bytes of media put into the archive per second.",
			queries:     []query{{`sum by (type) (rate(fanfare_archive_bytes_total[$__rate_interval]))`, "{{type}}"}},
		},
		{
			title: "Archived files", unit: "cps",
			description: "Media files put into the archive per second.",
			queries:     []query{{`sum by (type) (rate(fanfare_archive_files_total[$__rate_interval]))`, "{{type}}"}},
		},
		{
			title: "Downloads that failed", unit: "cps",
			description: "Failed downloads per second by reason, of all types. Most are tried again.",
			queries:     []query{{`sum by (reason) (rate(fanfare_fetch_failures_total[$__rate_interval]))`, "{{reason}}"}},
		},
		{
			title: "Room in the archive", unit: "bytes",
			description: "Bytes that can still be written where the archive lies. Consumers stop at 256 MiB. An archive in S3 does not say.",
			queries:     []query{{`min by (job) (fanfare_archive_free_bytes)`, "{{job}}"}},
		},
	}
}
