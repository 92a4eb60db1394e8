# Every task of this project; `make help` lists them. Nothing is needed but Python 3.11+, make and git.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := .venv/bin
READY := .venv/.ready
AUDIT_READY := .venv-audit/.ready
ARGS ?=
ENDPOINT ?= auto
TERRAFORM ?= terraform
DEPLOY := $(TERRAFORM) -chdir=infra/02-deploy
STATE := infra/02-deploy/backend.tf
SCRIPTS := .ci/run $(wildcard scripts/*.sh examples/*/*.sh)
WORKFLOWS := $(wildcard .github/workflows/*.yml examples/github-action/*.yml)

.PHONY: help
help:  ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

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
	@$(BIN)/pytest -n auto --endpoint "$(ENDPOINT)" $(ARGS)

.PHONY: browser
browser:  ## see to it that the tests of pages find a Chromium, or say what to install
	@scripts/browser.sh

.PHONY: aws-up
aws-up: $(READY)  ## start an AWS on 127.0.0.1 (ARGS="--port 4566 --keep --access-log FILE")
	@$(BIN)/python -m tests.support.embedded_aws up $(ARGS)

.PHONY: aws-down
aws-down: $(READY)  ## end it
	@$(BIN)/python -m tests.support.embedded_aws down $(ARGS)

# Without hypothesis, which takes a second to load: no plan draws examples.
.PHONY: plan-one
plan-one: $(READY)  ## show the plan of STAGE=02-deploy (CASE=everything: that one) and run its tests
	@: $(if $(STAGE),,$(error name the stage: make plan-one STAGE=02-deploy))
	@$(BIN)/pytest -p no:hypothesispytest -n 2 -m plan --stage $(STAGE) --show-plan \
	  $(if $(CASE),--case $(CASE)) $(ARGS)

.PHONY: crash-points
crash-points: $(READY)  ## a fault at every call of the reference runs, on moto at many (minutes)
	@$(BIN)/pytest -n auto tests/simulation/test_crash_points.py --moto-points 40 $(ARGS)

.PHONY: soak
soak: $(READY)  ## 20,000 random schedules in memory and 500 on moto, all of two processes (minutes)
	@$(BIN)/pytest -n auto tests/simulation/test_schedules.py tests/simulation/test_interleavings.py \
	  --schedules 20000 --preemptions 3 $(ARGS)

.PHONY: guards
guards: $(READY)  ## remove the guards of the protocol one by one: an invariant must fail (minutes)
	@$(BIN)/python scripts/guards.py $(ARGS)

.PHONY: mutants
mutants: $(READY)  ## break copies of infra/ line by line: the tests must notice each (minutes)
	@$(BIN)/python scripts/mutants.py $(ARGS)

.PHONY: iam
iam: $(READY)  ## compare what the handlers call with what the policies grant, both ways
	@$(BIN)/pytest -n auto -q -m integration --iam --endpoint "$(ENDPOINT)" $(ARGS)

.PHONY: iam-mutants
iam-mutants: $(READY)  ## take each statement away from an applied stack: a run must fail (minutes)
	@$(BIN)/python scripts/iam_mutants.py $(ARGS)

.PHONY: audit
audit: $(READY) $(AUDIT_READY)  ## hold infra/ to checkov's rules, what ships to known vulnerabilities
	@$(BIN)/python scripts/audit.py $(ARGS)

$(AUDIT_READY): requirements/audit.lock
	@rm -rf $(@D)
	@$(BIN)/python -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.PHONY: lint
lint: $(READY)  ## check style, types, shell scripts, Dockerfile and workflows
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/shellcheck $(SCRIPTS)
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows $(WORKFLOWS)
	@$(BIN)/zizmor --quiet --offline --no-progress --config .github/zizmor.yml $(WORKFLOWS)

.PHONY: image-check
image-check: $(READY)  ## check what the Dockerfile would make, without Docker
	@$(BIN)/python scripts/check_image.py

.PHONY: format
format: $(READY)  ## mend what ruff can mend
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format

.PHONY: load
load: $(READY)  ## 50 runs of 20 orders at once on a server of its own, with kills and faults (minutes)
	@$(BIN)/python scripts/load.py $(ARGS)

.PHONY: bench
bench: $(READY)  ## measure speed and memory of local runs
	@$(BIN)/python scripts/benchmark.py $(ARGS)

.PHONY: deploy-plan
deploy-plan:  ## plan the deployment of TAG=<image tag> to REGION=<region> (docs/DEPLOY.md)
	@: $(if $(and $(TAG),$(REGION)),,$(error give both: make deploy-plan TAG=v1 REGION=eu-west-1))
	@: $(if $(wildcard $(STATE)),,$(error no $(STATE), so the state would stay on this machine: \
	  run scripts/generate_backend.sh 02-deploy BUCKET REGION first))
	@repo=$$($(TERRAFORM) -chdir=infra/01-ecr output -no-color -raw ecr_repo_url) && \
	  [[ $$repo == */iac-ci ]] || { echo "deploy-plan: 01-ecr has no output ecr_repo_url here:" \
	    "apply it first (docs/DEPLOY.md, step 2)" >&2; exit 1; } && \
	  $(DEPLOY) init -input=false && \
	  $(DEPLOY) plan -input=false -out=deploy.tfplan $(ARGS) \
	    -var "ecr_repo=$$repo" -var "image_tag=$(TAG)" -var "aws_region=$(REGION)"

.PHONY: deploy
deploy:  ## carry out what deploy-plan planned
	@$(DEPLOY) apply -input=false deploy.tfplan
	@rm infra/02-deploy/deploy.tfplan

.PHONY: lock
lock:  ## regenerate requirements/*.lock (ARGS=--upgrade takes the newest)
	@scripts/lock.sh $(ARGS)

.PHONY: clean
clean:  ## remove the environment and every cache
	@rm -rf .venv .venv-audit .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info build dist
