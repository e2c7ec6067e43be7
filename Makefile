# The chores of this repository. `make test` is the one to begin with.
# What needs more than a line lives in internal/workshop and internal/bench.

GO ?= go
FUZZTIME ?= 5s
WORKSHOP = $(GO) run ./internal/workshop

# Debian keeps nft, iptables and ip where only root looks for programs.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

.DEFAULT_GOAL := help
.PHONY: help build test deps check format vet staticcheck race cross generate tidy fuzz docs fmt bench clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

build: ## the program, as ./portreeve
	CGO_ENABLED=0 $(GO) build -trimpath -o portreeve ./cmd/portreeve

test: ## all tests, set-up included; V=1 prints every line
	@$(WORKSHOP) test $(if $(V),-v)

deps: ## install the Debian packages that tests, checks and benchmarks use (GROUP=test for some)
	@$(WORKSHOP) deps $(GROUP)

check: format vet staticcheck race cross generate tidy fuzz docs ## everything else that a change must pass

format:
	@unformatted=$$(gofmt -l cmd internal) && if [ -n "$$unformatted" ]; then \
		echo "gofmt wants (make fmt does it):"; echo "$$unformatted"; exit 1; fi

vet:
	$(GO) vet ./...

staticcheck:
	$(GO) tool staticcheck ./...

race: ## tests of what starts goroutines, with the race detector (needs gcc)
	@$(WORKSHOP) test -race $(if $(V),-v)

cross: ## build for every supported system (SYSTEMS="linux/386 …" for some)
	@$(WORKSHOP) cross $(SYSTEMS)

generate: ## run the generators; fails when a committed file was stale
	@$(WORKSHOP) generate

tidy:
	$(GO) mod tidy -diff

fuzz: ## every fuzz target for FUZZTIME (5s)
	@$(WORKSHOP) fuzz -time $(FUZZTIME)

docs: ## links resolve, every command has a page
	@$(WORKSHOP) docs

fmt: ## format the sources
	gofmt -w cmd internal

bench: ## our figures beside other tools', into docs/benchmarks.md (root, some minutes)
	@$(WORKSHOP) deps bench
	@$(GO) run ./internal/bench

clean: ## remove what was built
	rm -f portreeve
	$(GO) clean ./...
