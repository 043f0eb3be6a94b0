# sudo make run    builds vpnd and starts it on its embedded defaults
# sudo make test   installs the packages for the tests and runs all tests
# See README.md for the rest.

GO ?= $(or $(shell command -v go),/usr/local/go/bin/go)
FUZZTIME ?= 20s
GOLANGCI := build/tools/golangci-lint
GOLANGCI_VERSION := v2.15.0

VERSION := 0.1.0

# The release and the commit for the program. Set both on the command line for a source without a
# repository.
RELEASE ?= $(shell git describe --tags --dirty 2>/dev/null)
COMMIT ?= $(shell git describe --always --dirty --abbrev=12 --exclude '*' 2>/dev/null)
LDFLAGS = -X vpnd/internal/buildinfo.release=$(RELEASE) -X vpnd/internal/buildinfo.commit=$(COMMIT)

.DEFAULT_GOAL := build
.PHONY: build run man release release-check test lint race bench fuzz clean

build:
	@[ -d cmd/vpnd ] || { echo "vpnd cannot serve yet: the daemon is not there (see README.md)" >&2; exit 1; }
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o build/vpnd ./cmd/vpnd

run: build
	build/vpnd serve

man: build
	rm -rf build/man
	TZ=UTC SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) build/vpnd man-pages build/man

release: RELEASE = v$(VERSION)
release:
	GO='$(GO)' LDFLAGS='$(LDFLAGS)' scripts/release $(VERSION)

# This is not part of test, because it compiles everything four times.
release-check:
	scripts/release-check

# -count=1: the tests build the daemon that the guests dial, and go test's cache does not see it.
# -p 2: the guests of testenv boot beside one other package, not beside three.
test:
	@scripts/install-test-packages
	cd examples && VPND_REQUIRE_PRIVILEGED=1 $(GO) test -count=1 ./...
	VPND_REQUIRE_PRIVILEGED=1 $(GO) test -count=1 -p 2 -timeout 60m ./...

# The race detector does not see the daemon that the guests and browsers of testenv use. The tests
# with Killed in their names start hundreds of processes of one thread.
race:
	$(GO) test -race -count=1 -p 2 -timeout 20m -skip Killed $$($(GO) list ./... | grep -v /testenv)

lint: $(GOLANGCI)-$(GOLANGCI_VERSION)
	$< run ./...

$(GOLANGCI)-$(GOLANGCI_VERSION):
	@echo "installing golangci-lint $(GOLANGCI_VERSION) into build/tools"
	GOBIN=$(abspath build/tools) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv $(GOLANGCI) $@

bench:
	VPND_REQUIRE_PRIVILEGED=1 $(GO) test -run '^$$' -bench . -benchmem -timeout 30m ./...

# Runs each fuzz target for FUZZTIME (a time, or a number of runs such as 5000x). It starts with the
# committed inputs in testdata/fuzz.
fuzz:
	@set -e; for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
	    echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p; \
	  done; done

clean:
	rm -rf build
