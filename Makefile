# The project's commands. Each does all that it needs on a fresh machine; the
# work itself is in scripts/ and in cargo.

# A shell that was opened before rustup was installed does not know its folder.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin

CARGO ?= cargo
# One profile for everything, so that wasmtime and llama.cpp are built once.
PROFILE := --release --locked
# The program as it was built. Not `cargo run`: cargo chooses the features of
# dependencies by what is asked for, and for the program alone it would build
# wasmtime and llama.cpp a second time.
THRALL := $(or $(CARGO_TARGET_DIR),target)/release/thrall

.PHONY: help setup build models demo test lint format-check bench fuzz

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

setup: ## make this machine able to build (nothing the second time)
	@scripts/setup.sh

build: setup ## build the host and its recipes
	$(CARGO) build $(PROFILE) --workspace --all-targets

models: build ## fetch the models that are missing
	@scripts/models.sh $(THRALL)

demo: models ## real messages through the whole path, and the decisions
	@scripts/demo.sh $(THRALL)

format-check: setup
	@scripts/format_check.sh $(CARGO)

test: format-check models ## formatting and every test
	@scripts/test.sh $(CARGO) $(PROFILE)

lint: format-check ## formatting, clippy, licences and advisories
	@scripts/lint.sh $(CARGO) $(PROFILE)

fuzz: build ## each fuzz target for ten minutes, from the corpus
	THRALL_FUZZ_SECONDS=600 $(CARGO) nextest run --config-file .config/nextest.toml $(PROFILE) --workspace -E "package(thrall-fuzz)"

bench: models ## the engine's and the models' figures, as JSON
	@$(THRALL) bench engine
	@$(THRALL) bench model
	@$(THRALL) bench model --model all-minilm-l6-v2
