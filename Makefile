# weft. `make help` says what there is.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS  = -X main.version=$(VERSION)
TOOLS    = bin/tools
SHELL    = /bin/bash

# What `make race` covers: where several goroutines share something. The whole tests run once, without -race.
RACE     = ./store/... ./p2p/... ./rpc/... ./client/... ./daemon/... ./presence/...

# Longer runs: WEFT_KILLS=1000 make soak
WEFT_KILLS     ?= 200
WEFT_SIM_SEEDS ?= 2000
WEFT_HISTORIES ?= 100000
FUZZTIME       ?= 60s

.PHONY: help run build test check fmt-check fmt vet lint generate generate-check race demo bench soak mutants mutants-team fuzz-short fuzz clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

run: build ## build and start a node (ARGS="--dir … --name …")
	bin/weft run $(ARGS)

build: ## build bin/weft and bin/weftlab
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/ ./cmd/weft ./cmd/weftlab

test: ## all tests
	$(GO) test -timeout 40m ./...

check: fmt-check vet lint generate-check test race ## everything that must hold before a commit

fmt-check:
	@bad=$$(gofmt -l $$(git ls-files '*.go' | grep -v '\.pb\.go$$')); if [ -n "$$bad" ]; then echo "not formatted (make fmt):"; echo "$$bad"; exit 1; fi

fmt: ## format the code
	gofmt -w $$(git ls-files '*.go' | grep -v '\.pb\.go$$')

vet:
	$(GO) vet ./...

lint: $(TOOLS)/staticcheck ## staticcheck
	$(TOOLS)/staticcheck ./...

generate: $(TOOLS)/buf $(TOOLS)/protoc-gen-go $(TOOLS)/protoc-gen-connect-go ## Go code from api/weft/v1/*.proto (works offline)
	PATH="$(CURDIR)/$(TOOLS):$$PATH" buf generate

# Fails when the committed code isn't what the committed .proto files give. Compares with what is in the working tree.
generate-check: $(TOOLS)/buf $(TOOLS)/protoc-gen-go $(TOOLS)/protoc-gen-connect-go
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && \
	PATH="$(CURDIR)/$(TOOLS):$$PATH" buf generate --output "$$fresh" && \
	for f in $$(cd "$$fresh" && find api -name '*.go'); do \
		cmp -s "$$fresh/$$f" "$$f" || { echo "$$f isn't what the .proto files give: run make generate"; exit 1; }; \
	done

$(TOOLS)/staticcheck: tools/go.mod
	cd tools && $(GO) build -o ../$@ honnef.co/go/tools/cmd/staticcheck

$(TOOLS)/buf: tools/go.mod
	cd tools && $(GO) build -o ../$@ github.com/bufbuild/buf/cmd/buf

$(TOOLS)/protoc-gen-go: tools/go.mod
	cd tools && $(GO) build -o ../$@ google.golang.org/protobuf/cmd/protoc-gen-go

$(TOOLS)/protoc-gen-connect-go: tools/go.mod
	cd tools && $(GO) build -o ../$@ connectrpc.com/connect/cmd/protoc-gen-connect-go

race: ## the short tests under the race detector
	$(GO) test -timeout 40m -race -short -skip TestSpaceOfPrunedEntriesIsGivenBack $(RACE) # an amount, not a race

demo: build ## three nodes on this machine: join, feed, chat, kill -9, catch up
	$(GO) run ./cmd/weft-demo -weft bin/weft

bench: build ## the figures of this machine
	bin/weftlab bench all --data .bench
	$(GO) test -run '^$$' -bench . -benchmem ./board/... ./store/...

soak: build ## hours instead of minutes: kills, simulator seeds, fuzzing
	WEFT_KILLS=$(WEFT_KILLS) $(GO) test -count=1 -timeout 4h -run 'Kill' -v ./cmd/weft ./store
	WEFT_SIM_SEEDS=$(WEFT_SIM_SEEDS) $(GO) test -count=1 -timeout 4h ./board/... ./team/... ./store/... ./sim/...
	WEFT_HISTORIES=$(WEFT_HISTORIES) $(GO) test -count=1 -timeout 4h -run TestBothEvaluationsAgree -v ./sim/trust
	$(MAKE) fuzz

mutants: ## puts known bugs into the source, one at a time, and demands that the tests catch each (half an hour)
	$(GO) test -count=1 -timeout 2h -run TestEachBugIsCaught -v ./sim/mutants -args -run-mutants

mutants-team: ## drops or turns round each rule of package team, one at a time, and demands that the tests catch it (half an hour)
	$(GO) test -count=1 -timeout 3h -run TestEachTeamBugIsCaught -v ./sim/mutants -args -run-mutants-team

fuzz: ## every fuzz target for FUZZTIME
	@set -euo pipefail; for f in $$(git grep -lE '^func Fuzz' -- '*_test.go'); do \
		for name in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*).*/\1/p' "$$f"); do \
			echo "$$name in $$(dirname $$f)"; \
			$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "./$$(dirname $$f)"; \
		done; \
	done

fuzz-short: ## every fuzz target for 5 s
	$(MAKE) fuzz FUZZTIME=5s

clean: ## remove what was built
	rm -rf bin
