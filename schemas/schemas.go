// Package schemas holds the published formats of fanfare, embedded: one JSON
// Schema (2020-12) per callback type with documented examples of it, the
// envelope that all types share, the documents that fanfare writes, and what
// describes its requests and its messages.
//
// A file is a callback type exactly if it carries the annotation "x-fanfare".
// The package compiles nothing and imports nothing of ours.
package schemas

import "embed"

// Files holds <type>.json, callback.json, result.json, task.json, task-state.json,
// openapi.yaml of the gateway, asyncapi.yaml of the messages, and
// examples/<type>/<what it shows>.json.
//
//go:embed *.json openapi.yaml asyncapi.yaml examples/*/*.json
var Files embed.FS
