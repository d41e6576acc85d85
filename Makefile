# Each target does all its own set-up: a virtual environment in .venv, the install, the work.
# PYTHON=/path/to/python make ... chooses the interpreter the environment is made from.

VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/bash
# A process of tests a core, up to four (each holds some 700 MB), and one thread in each and in what it starts.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

.PHONY: help demo test fast lint install clean

help:
	@echo "make demo      sample data, training, evaluation, prediction, report: the whole story in runs/demo"
	@echo "make test      everything that must hold: lint, types, layers, all tests (the slow ones too)"
	@echo "make fast      the tests without the slow ones"
	@echo "make lint      ruff, pyright and import-linter alone"
	@echo "make install   the environment with everything for development, in $(VENV)"
	@echo "make clean     removes $(VENV) and what the tools left"

demo: $(VENV)/.installed
	$(BIN)/frcnn demo

test: lint
	$(PYTEST)

fast: $(VENV)/.installed-dev
	$(PYTEST) -m "not slow"

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

install: $(VENV)/.installed-dev

$(VENV)/.installed: pyproject.toml
	@$(MAKE) --no-print-directory environment
	$(BIN)/python -m pip install --disable-pip-version-check -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml
	@$(MAKE) --no-print-directory environment
	$(BIN)/python -m pip install --disable-pip-version-check -e '.[dev]'
	@touch $(VENV)/.installed $@

# A Python is fit when it is 3.11 or newer and can make environments (Debian and Ubuntu package that apart).
.PHONY: environment
environment:
	@if $(BIN)/python -m pip --version >/dev/null 2>&1; then exit 0; fi; \
	for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python; do \
	  if $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	    echo "$$python -m venv $(VENV)"; exec $$python -m venv $(VENV); \
	  fi; \
	done; \
	echo "make: no Python 3.11 or newer with venv found: install one (Debian, Ubuntu: apt install python3-venv)," \
	     "or name it: make PYTHON=/path/to/python3.11 ..." >&2; exit 1

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .import_linter_cache build dist src/*.egg-info
