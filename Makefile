# Every task of this project; `make help` lists them. Nothing is needed but Python 3.11+, make and git.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := .venv/bin
READY := .venv/.ready
ARGS ?=
SCRIPTS := .ci/run $(wildcard scripts/*.sh examples/*/*.sh)

.PHONY: help
help:  ## list these targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

.PHONY: setup
setup: $(READY)  ## make .venv from the locked dependencies (the others do it themselves)

$(READY): requirements/dev.lock pyproject.toml scripts/setup.sh
	@scripts/setup.sh
	@touch $@

.PHONY: demo
demo: $(READY)  ## run a real job: a terraform pipeline, or a build and test without terraform
	@scripts/demo.sh

.PHONY: test
test: $(READY)  ## run every test that this machine can run; STRICT=1: all or failure
	@$(BIN)/pytest -n auto $(ARGS)

.PHONY: lint
lint: $(READY)  ## check style, types and shell scripts
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/shellcheck $(SCRIPTS)

.PHONY: format
format: $(READY)  ## mend what ruff can mend
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format

.PHONY: bench
bench: $(READY)  ## measure speed and memory of local runs
	@$(BIN)/python scripts/benchmark.py $(ARGS)

.PHONY: lock
lock:  ## regenerate requirements/*.lock (ARGS=--upgrade takes the newest)
	@scripts/lock.sh $(ARGS)

.PHONY: clean
clean:  ## remove the environment and every cache
	@rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info build dist
