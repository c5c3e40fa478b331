# What there is to do here. Every target with a ## is shown by `make help`.

SHELL := /bin/bash
.DEFAULT_GOAL := help

BINARY := bin/byline
ASSETS := internal/web/assets/built.json
DATA   ?= ./byline-data
SEEDS  ?= 200
FUZZ   ?= 1000000x
FUZZ_HTTP ?= $(FUZZ:000000x=00000x)
# Making each new input as small as it can be would take most of the time.
LEAST = -fuzzminimizetime 1x

# The packages whose tests hold a file that is made from the code.
GENERATED = $$(grep -rl --include='*_test.go' 'func TestGenerated' internal | xargs -n1 dirname | sort -u | sed 's,^,./,')

export CGO_ENABLED ?= 0

.PHONY: help run build web test check cover engines clients replicas bench torture fuzz generate clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## build, write a cited post from examples/ into out/post.md, then serve that library at http://127.0.0.1:8000
	@mkdir -p out
	$(BINARY) draft examples/* -o out/post.md --data $(DATA)
	$(BINARY) serve --data $(DATA)

build: web ## build bin/byline with the documentation pages in it
	go build -trimpath -o $(BINARY) ./cmd/byline

# The pages for /docs and /redoc come from npm once; without Node the binary serves a page that says how to get them.
web:
	@if command -v npm >/dev/null; then $(MAKE) -s $(ASSETS); \
	else echo "note: npm is not here, so /docs and /redoc will say how to build them"; fi

$(ASSETS): web/package-lock.json web/build.mjs
	cd web && npm ci --loglevel=error && npm run --silent build

test: web ## run all tests that this machine can run; needs Go and Node, uses PostgreSQL and a C compiler when they are there
	@scripts/test.sh

check: ## gofmt, go vet, staticcheck, the plan of the house, generated files up to date
	@unformatted=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	if [ -n "$$unformatted" ]; then echo "gofmt -w is needed on:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go tool staticcheck ./...
	go test -count=1 ./internal/
	go test -count=1 -run '^TestGenerated' $(GENERATED)

cover: web ## statement coverage of all Go code, of the binary and its child too; fails under 90 %
	@scripts/cover.sh

engines: ## tests against real search engines: Chroma, Elasticsearch 8 and 9, OpenSearch 3; needs Node, Maven and a JDK 21
	@scripts/engines.sh

clients: ## tests with the official openai clients (Node, Python) and the Model Context Protocol's; needs Node and Python 3
	@scripts/clients.sh

replicas: ## tests of two servers on one PostgreSQL, behind nginx, with Chromium: kill -9, pauses, rolling restarts
	@scripts/replicas.sh

bench: bench-http bench-pdf bench-events bench-lexical bench-vectors ## measure what bench/README.md describes, beside other programs

bench-%: build
	cd bench && go run ./$*

torture: fuzz ## kill -9 at 200 random moments of upload, processing, writing and conversations (SEEDS=n), and under 120 readers; and fuzz
	TORTURE_SEEDS=$(SEEDS) go test -count=1 -timeout 6h -run '^TestKill' -v ./cmd/byline

fuzz: ## a million made-up questions to search (FUZZ=1000000x, or a time: FUZZ=60s), a tenth of that over HTTP, and as many through the driver of Elasticsearch
	go test -run '^$$' -fuzz '^FuzzQuestion$$' -fuzztime $(FUZZ) $(LEAST) ./internal/ingest
	go test -run '^$$' -fuzz '^FuzzSearch$$' -fuzztime $(FUZZ_HTTP) $(LEAST) ./internal/app
	go test -run '^$$' -fuzz '^FuzzQuestions$$' -fuzztime $(FUZZ) $(LEAST) ./internal/driver/elastic

generate: ## write the files that are made from the code: configuration page, .env.example, OpenAPI, schema snapshots
	go test -count=1 -run '^TestGenerated' $(GENERATED) -args -update

clean: ## remove what was built here (not ./byline-data)
	rm -rf bin out coverage web/node_modules
	find internal/web/assets -mindepth 1 ! -name README.md -delete
