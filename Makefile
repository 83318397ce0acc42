# Everything is set up from an empty clone: `make demo` needs Python 3.11 or newer and a package index, nothing else.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q

.PHONY: demo test coverage lint types layers clean

demo: $(VENV)/.demo-ready
	$(BIN)/mlpack demo --quick --force

# ruff, mypy, import-linter, then every test, in as many processes as there are cores.
test: lint types layers
	$(BIN)/python -m pytest -n auto --dist worksteal -q

# The same with coverage, child processes included, which takes half as long again.
coverage: $(VENV)/.test-ready
	$(BIN)/python -m pytest -n auto --dist worksteal --cov --cov-report=term:skip-covered -q

lint: $(VENV)/.test-ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test-ready
	$(BIN)/mypy

layers: $(VENV)/.test-ready
	$(BIN)/lint-imports

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or newer is needed; make PYTHON=/path/to/python3.12 demo" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade 'pip>=25.1'

# The demo needs no torch and no boosters.
$(VENV)/.demo-ready: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install -c constraints.txt -e '.[sklearn]'
	@touch $@

# torch is asked for by its exact version first: an open range would bring a CUDA build of several gigabytes.
$(VENV)/.test-ready: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install "$$(grep '^torch==' constraints.txt)"
	$(PIP) install -c constraints.txt -e '.[all]' --group dev
	@touch $@ $(VENV)/.demo-ready

clean:
	rm -rf $(VENV) build dist *.egg-info mlpack-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.*
