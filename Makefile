# Two commands do all: `make run` and `make test`.
SHELL := /bin/bash
# A fresh rustup has put cargo there, and the shell that runs us may not know yet.
export PATH := $(PATH):$(HOME)/.cargo/bin
# Homebrew's libpq is keg-only; a set PQ_LIB_DIR wins.
ifeq ($(shell uname -s),Darwin)
export PQ_LIB_DIR ?= $(shell brew --prefix libpq 2>/dev/null)/lib
endif
# One set of features for clippy, tests and doc tests: another would compile the dependencies once more.
FEATURES := --features failpoints

.PHONY: help install run test bench bench-hot fmt mutants

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

install: ## installs what is missing: a C compiler, libpq, a Postgres server
	@.ci/install

# The dev profile: it starts in a fraction of the time that a release build takes, and is fast enough for one person.
run: install ## a fresh machine to a running receiver; ARGS=--demo feeds it
	@cargo run -- dev $(ARGS)

# What fails fastest comes first; the tests come last, so that their summary is the last thing to read.
# The trap stops the tests' Postgres whatever happened; it changes neither the outcome nor the last lines.
test: install ## everything that CI runs
	@set -euo pipefail; trap '.ci/stop-test-postgres' EXIT; \
	cargo fmt --all --check; \
	cargo clippy --workspace --all-targets $(FEATURES) -- -D warnings; \
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps $(FEATURES); \
	cargo test --workspace --doc $(FEATURES); \
	command -v npm >/dev/null || echo "SKIPPED, for want of npm: the tests with the real Stripe CLI and with Standard Webhooks' own library"; \
	if cargo nextest --version >/dev/null 2>&1; \
	then cargo nextest run --workspace $(FEATURES); \
	else cargo test --workspace --lib --bins --tests $(FEATURES); fi

# Without the failpoints: what is measured is what is shipped. `hot` has arguments of its own, so it runs apart.
bench: install ## how fast it is, beside baselines; ARGS="--only rates-64 --rounds 1" measures one row, ARGS=--list names them
	@cargo bench --bench throughput -- $(ARGS)

bench-hot: ## what one event costs in the functions that each event runs through
	@cargo bench --bench hot -- $(ARGS)

fmt: ## formats the code
	@cargo fmt --all

mutants: ## which changes to the order law no unit test notices; needs cargo-mutants, takes hours
	cargo mutants $(ARGS)
