# One place for every command; what CI runs is `make test`.
# Everything is built with the same packages selected (--workspace): another selection would
# turn features of shared dependencies on and off and build them again.

CARGO ?= cargo
FLAGS := --workspace --locked

.DEFAULT_GOAL := help
.PHONY: help demo drill test lint prerequisites programs bench fuzz-smoke

help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: ## From sign-in to a shell on a stock sshd, on this machine
	@bash tests/prerequisites.sh demo
	$(CARGO) build $(FLAGS) --bins --tests
	@bash deploy/demo.sh

# Where the prerequisites put node, if the machine has none that is new enough.
test: export PATH := $(abspath $(or $(CARGO_TARGET_DIR),target))/venv/bin:$(PATH)
test: prerequisites lint programs ## Everything that must hold: lints, docs, unit, property and end-to-end tests
	JIT_SSH_PROGRAMS_BUILT=1 $(CARGO) test $(FLAGS)

drill: export PATH := $(abspath $(or $(CARGO_TARGET_DIR),target))/venv/bin:$(PATH)
drill: prerequisites programs ## Emergencies, rehearsed: identity provider down, then the authority down
	JIT_SSH_PROGRAMS_BUILT=1 $(CARGO) test $(FLAGS) --test end-to-end -- drill_ --nocapture --test-threads=1

lint: ## Format, clippy and documentation, all with warnings as errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(FLAGS) --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(FLAGS) --no-deps --document-private-items

prerequisites: ## Install what the end-to-end tests stand on, or say what is missing
	@bash tests/prerequisites.sh

# `cargo test` does not build the programs of other packages. Naming the tests too keeps the
# features of their dependencies the same as in `cargo test`.
programs: ## Build ca-server, jit-ssh and the tests
	$(CARGO) build $(FLAGS) --bins --tests

bench: ## Print the measurements as one JSON document
	@bash deploy/bench.sh

fuzz-smoke: ## A minute of fuzzing per parser of hostile bytes
	@bash fuzz/smoke.sh
