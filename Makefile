TOOL := go tool -modfile=.ci/tools/go.mod
VERSION ?= v0.0.0

.DEFAULT_GOAL := help
.PHONY: help build test race lint fmt bench fuzz kills cluster cover vuln sbom ci run demo

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' Makefile

build: ## the binary, ./fanfare
	CGO_ENABLED=0 go build -trimpath -o fanfare .

test: ## the tests
	go test ./...

race: ## the tests in another order, under the race detector
	.ci/run race

lint: ## what is wrong with the code
	$(TOOL) golangci-lint run ./...

fmt: ## put the code into its format
	$(TOOL) golangci-lint fmt ./...

bench: ## every benchmark six times, ready for benchstat
	go test -run '^$$' -bench . -benchmem -count 6 ./...

fuzz: ## every fuzz target for ten seconds
	.ci/run fuzz

kills: ## a consumer killed fifty times at each point of its work
	FANFARE_TEST_KILLS=50 go test -count=1 -timeout 30m -run TestKilledConsumer ./pkg/cli

cluster: ## a cluster that loses its leaders and its nodes, or is upgraded, twenty times
	FANFARE_TEST_ROUNDS=20 go test -count=1 -timeout 60m -run 'TestCluster|TestUpgrade' ./pkg/cli

cover: ## how much of the code the tests reach
	go test -coverpkg=./... -coverprofile=cover.prof ./... && go tool cover -func=cover.prof | tail -n 1

vuln: ## known vulnerabilities in what is imported
	$(TOOL) govulncheck ./...

# Without a version of fanfare itself, the tool finds no licenses of some modules.
sbom: build ## what ./fanfare is made of, fanfare.cdx.json, in the form of CycloneDX
	$(TOOL) cyclonedx-gomod bin -json -licenses -std -version $(VERSION) -output fanfare.cdx.json fanfare

ci: ## the gate, as it runs for every change
	.ci/run

run: ## everything in one process
	go run . standalone

demo: ## everything in one process, with the provider played
	go run . standalone --demo
