# One recipe per target; everything runs in .venv, made from the hashed lock.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup setup-dev demo test coverage lint bench faults shots lock clean

setup: $(VENV)/.ready
setup-dev: $(VENV)/.ready-dev

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "recorder needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Set PYTHON=python3.x"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "$(PYTHON) cannot make a virtual environment: install its venv module (Debian, Ubuntu: apt-get install python3-venv)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "could not make $(VENV) in this folder, see above"; exit 1; }

$(VENV)/.ready: requirements.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --no-index -e .
	@touch $@

$(VENV)/.ready-dev: requirements-dev.lock $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

demo: setup
	$(BIN)/recorder demo

test: setup-dev
	$(BIN)/python -m pytest -n logical --dist loadgroup

coverage: setup-dev
	$(BIN)/python -m pytest -n logical --dist loadgroup --cov --cov-report=term-missing

lint: setup-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup-dev
	$(BIN)/python -m tests.bench

# A thousand random lives (RUNS=…), killed and starved at every step: about 20 minutes on two cores.
RUNS ?= 1000
faults: setup-dev
	$(BIN)/python -m tests.faults $(RUNS)

shots: setup-dev
	$(BIN)/python -m tests.shots

# Pins what is newly asked for and keeps every other version; rm a lock first to have its newest. See docs/adr/0011.
UV ?= uv
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-header --no-annotate
lock:
	$(COMPILE) --group build -o requirements.lock pyproject.toml
	$(COMPILE) --group dev -o requirements-dev.lock pyproject.toml

clean:
	rm -rf $(VENV)
