# Everything a new user needs: make demo, make test. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := build/demo
# tests share the cores already: a second thread in each of them only waits, and slows tiny networks tenfold
PYTEST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow lint bench docs format clean browser

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.installed: setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.installed-test: setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	@touch $@ $(VENV)/.installed

install: $(VENV)/.installed  ## Create .venv and install oodml into it

demo: install  ## make-splits, sweep and report on the embedded glyphs, into build/demo
	$(BIN)/oodml make-splits glyphs --levels 3 --out $(DEMO)/splits/glyphs
	$(BIN)/oodml sweep $(DEMO)/splits/glyphs --config examples/demo.toml --out $(DEMO)/sweep
	$(BIN)/oodml report $(DEMO)/sweep --out $(DEMO)/report

test: $(VENV)/.installed-test  ## Run the tests (offline, under 10 minutes on 2 cores)
	$(PYTEST) -n 2 --dist worksteal

test-slow: $(VENV)/.installed-test browser  ## Run the slow tests: browser, demo, installation
	$(PYTEST) -m slow

lint: $(VENV)/.installed-test  ## ruff (check and format) and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict

bench: install  ## Speed and memory of splits, evaluation, mining, data path and methods, half an hour
	$(BIN)/python benchmarks/split_generator.py
	$(BIN)/python benchmarks/split_scaling.py
	$(BIN)/python benchmarks/evaluation.py
	$(BIN)/python benchmarks/mining.py
	$(BIN)/python benchmarks/data_path.py
	$(BIN)/python benchmarks/method_cost.py
	$(BIN)/python benchmarks/bookkeeping.py
	$(BIN)/python benchmarks/report.py

docs: $(VENV)/.installed-docs  ## Build the documentation into build/site
	$(BIN)/python docs/make_methods.py
	$(BIN)/python docs/make_cli.py
	$(BIN)/python docs/make_schemas.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "build/site/index.html"

format: $(VENV)/.installed-test  ## Format and fix what ruff can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

browser:  # a Chromium for the page tests; Debian and Ubuntu as root, elsewhere install one by hand
	@command -v chromium chromium-browser google-chrome >/dev/null || \
		{ apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; } || \
		echo "no Chromium: the page tests will be skipped"

clean:  ## Remove builds and caches, keep .venv
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
