//go:build race

package cli_test

// Under the race detector the programs under test are built with it too.
func init() { raceFlag = []string{"-race"} } //nolint:gochecknoinits // a build tag has no other way to say so
