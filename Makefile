# Everything runs in .venv, which is made on first use. `make help` lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
NODE := .node
NODE_READY := $(NODE)/.ready

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help derive test test-long test-newcomer test-systems check lint atlas notebook bench bench-save clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

derive: $(READY) ## derive and certify what changed, write generated/, end in a table; FRESH=1: derive every op
	$(BIN)/python -m codegen derive $(if $(FRESH),--fresh)

test: $(READY) ## run the whole test suite
	$(BIN)/python -m pytest -n auto --maxprocesses 8

test-newcomer: $(READY) ## walk a newcomer's path in a fresh clone, in some minutes
	$(BIN)/python -m pytest -m long tests/test_newcomer.py

test-long: $(READY) ## run what is too long for `make test`: whole grids, whole catalogues
	$(BIN)/python -m pytest -m long -n auto --maxprocesses 8

test-systems: $(READY) ## check 2,000 random systems of equations in every backend, about an hour
	$(BIN)/python -m tests.systems --count 2000 --jobs $$(nproc 2>/dev/null || echo 2) --quiet --shrink

check: $(READY) ## compare generated/ with what would be generated; print the differences
	$(BIN)/python -m codegen check

lint: $(READY) ## run ruff and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check derive codegen tests
	$(BIN)/mypy derive codegen

atlas: $(READY) $(NODE_READY) ## write a page for each op to generated/html/ (needs Node.js)
	$(BIN)/python -m codegen atlas$(if $(QUICK), --quick) $(OPS)

notebook: $(READY) ## write and execute the exercise as a notebook; OP=NAME or FILE: that op; BLANKS=1: to fill in
	$(BIN)/python -m codegen notebook $(OP) $(if $(BLANKS),--blanks) $(if $(STANDALONE),--standalone)

bench: $(READY) ## time the kernels beside torch and the memory's bandwidth, in about three minutes
	$(BIN)/python -m tests.benchmarks

bench-save: $(READY) ## the same, and write the tables and a plot to generated/bench/
	$(BIN)/python -m tests.benchmarks --save

clean: ## remove the environment, caches and build outputs
	rm -rf $(VENV) $(NODE) .derived generated/html build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find derive codegen generated tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is younger than what it was made from, so a changed dependency renews the environment.
$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) was not found; set PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("error: Python 3.11 or newer is needed, %s is %d.%d; set PYTHON=/path/to/python3" % (sys.executable, v[0], v[1]))'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "error: $(PYTHON) cannot make a virtual environment (on Debian: apt-get install python3-venv)" >&2; exit 1; }
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

# KaTeX, at the versions of the lock; nothing that a package would run at its installation.
$(NODE_READY): codegen/tools/atlas/package.json codegen/tools/atlas/package-lock.json
	@command -v node >/dev/null && command -v npm >/dev/null || { echo "error: node and npm were not found; the atlas needs Node.js (on Debian: apt-get install nodejs npm)" >&2; exit 1; }
	@rm -rf $(NODE) && mkdir $(NODE) && cp $^ $(NODE)
	cd $(NODE) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
