// Package schemas holds the published formats of fanfare, embedded: one JSON
// Schema (2020-12) per callback type with documented examples of it, the
// envelope that all types share, and the result document.
//
// A file is a callback type exactly if it carries the annotation "x-fanfare".
// The package compiles nothing and imports nothing of ours.
package schemas

import "embed"

// Files holds <type>.json, callback.json, result.json, openapi.yaml and
// examples/<type>/<what it shows>.json.
//
//go:embed *.json openapi.yaml examples/*/*.json
var Files embed.FS
