package dashboards

// broker shows the streams, and who reaches them.
func broker() board {
	return board{
		file: "broker", title: "broker",
		description: "How full the streams are, who is connected, and how fast the broker confirms.",
		panels:      append(streams(), connection()...),
	}
}

func streams() []panel {
	return []panel{
		{
			title: "Streams' fill", unit: "percentunit", max: 1, limits: []limit{orange(.8), red(.95)},
			description: "Bytes that a stream holds as a share of what it may hold. A full stream refuses what is new.",
			queries:     []query{{`stream:fanfare_stream_fill:ratio`, "{{stream}}"}},
		},
		{
			title: "Missing copies", unit: "short", limits: []limit{orange(1)},
			description: "Copies that a stream is set to have and that are away or not up to date. Without a majority it takes nothing.",
			queries:     []query{{`max by (stream) (fanfare_stream_replicas) - min by (stream) (fanfare_stream_replicas_current)`, "{{stream}}"}},
		},
		{
			title: "Bytes", unit: "bytes",
			description: "Bytes that each stream holds.",
			queries:     []query{{`max by (stream) (fanfare_stream_bytes)`, "{{stream}}"}},
		},
		{
			title: "Limits", unit: "bytes",
			description: "Bytes that each stream may hold. fanfare provision leaves alone what an operator set.",
			queries:     []query{{`max by (stream) (fanfare_stream_max_bytes)`, "{{stream}}"}},
		},
		{
			title: "Messages", unit: "short",
			description: "Messages that each stream holds.",
			queries:     []query{{`max by (stream) (fanfare_stream_messages)`, "{{stream}}"}},
		},
	}
}

func connection() []panel {
	return []panel{
		{
			title: "Connected", unit: "short", max: 1,
			description: "Whether a process reaches the broker (1) or not (0).",
			queries:     []query{{`fanfare_broker_connected`, "{{job}} {{instance}}"}},
		},
		{
			title: "Time to confirm", unit: "s", limits: []limit{red(8)},
			description: "From publishing a callback to its publish ack. The line is when the gateway gives up.",
			queries: []query{
				{`histogram_quantile(0.99, sum by (le) (rate(fanfare_publish_duration_seconds_bucket[$__rate_interval])))`, "p99"},
				{`histogram_quantile(0.5, sum by (le) (rate(fanfare_publish_duration_seconds_bucket[$__rate_interval])))`, "p50"},
			},
		},
		{
			title: "Certificates", unit: "s",
			description: "How long the TLS certificates are still good, the first to end of the gateways' and of the NATS servers'.",
			queries: []query{
				{`min(fanfare_tls_certificate_not_after_seconds) - time()`, "gateway"},
				{`min(fanfare_broker_certificate_not_after_seconds) - time()`, "broker"},
			},
		},
	}
}
