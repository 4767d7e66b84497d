# make check  what every commit passes; the other targets are slower.
GO      ?= go
SEEDS   ?= 20
FUZZTIME ?= 3
GOLANGCI = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.12.2

.PHONY: check fmt vet lint test race sim fuzz bench interop build cross

check: fmt vet lint test

fmt:
	@out=$$(gofmt -l . 2>&1); if [ -n "$$out" ]; then echo "gofmt wants:"; echo "$$out"; exit 1; fi

vet:
	$(GO) vet ./...
	cd interop && $(GO) vet ./...

lint:
	$(GO) run $(GOLANGCI) run ./...

test:
	$(GO) test ./...

# The race detector costs much, so it sees fewer simulated swarms.
race:
	SHOAL_SIM_SEEDS=$${SHOAL_SIM_SEEDS:-2} $(GO) test -race ./...

sim:
	SHOAL_SIM_SEEDS=$(SEEDS) $(GO) test -count=1 ./sim/...

# Every fuzz target of the repository, FUZZTIME seconds each.
fuzz:
	@.ci/fuzz $(FUZZTIME)

# Throughput and CPU beside libtorrent, on this machine. Needs root (a network namespace).
bench:
	$(GO) run ./bench/clients

# Real clients in a private network. Needs root and the Debian packages that .ci/run lists.
interop:
	cd interop && SHOAL_INTEROP=1 $(GO) test -count=1 -parallel 3 -timeout 15m ./...

build:
	CGO_ENABLED=0 $(GO) build -trimpath -o shoal ./cmd/shoal

cross:
	@.ci/cross
