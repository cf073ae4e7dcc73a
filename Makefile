# `make demo` and `make test` are all that a new checkout needs; `make` alone lists the rest.
#
#   PYTHON=python3.12   the interpreter that makes .venv (once; `make clean` forgets it)
#   ARGS="..."          further words for `slt-zoo demo` or pytest

PYTHON ?= python3
ARGS ?=

VENV := .venv
RUN := $(VENV)/bin/python -m
CHECK := import sys; v = sys.version_info; v >= (3, 11) or sys.exit("slt_zoo needs Python 3.11 or newer; \
	$(PYTHON) is %d.%d. Name another one: make PYTHON=python3.12 ..." % v[:2])

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test test-slow lint types docs clean

help:
	@echo "make demo       simulate a small corpus, train on it, write runs/demo/report.html"
	@echo "make test       all tests but the slow ones; .ci/run calls this"
	@echo "make test-slow  learning checks that take minutes"
	@echo "make lint       ruff: rules and format"
	@echo "make types      mypy --strict"
	@echo "make docs       HTML pages in build/docs"
	@echo "make clean      remove .venv, caches and built files; runs/ stays"

demo: $(VENV)/.installed
	$(VENV)/bin/slt-zoo demo $(ARGS)

test: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(RUN) pytest -m "not slow" -n 2 $(ARGS)

test-slow: $(VENV)/.installed-dev
	$(RUN) pytest -m slow $(ARGS)

lint: $(VENV)/.installed-dev
	$(RUN) ruff check .
	$(RUN) ruff format --check .

types: $(VENV)/.installed-dev
	$(RUN) mypy

docs: $(VENV)/.installed-docs
	$(RUN) sphinx -q -W --keep-going -b html docs build/docs
	@echo "build/docs/index.html"

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps below are newer than pyproject.toml as long as what it asks for is installed.

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c '$(CHECK)'
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.installed: $(VENV)/pyvenv.cfg pyproject.toml
	@echo "Installing slt_zoo into $(VENV). The first time this downloads PyTorch and its kin, some GB."
	@$(RUN) pip install -q -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/pyvenv.cfg pyproject.toml
	@echo "Installing slt_zoo and what its tests need into $(VENV). The first time this downloads some GB."
	@$(RUN) pip install -q -e '.[dev]'
	@touch $(VENV)/.installed $@

$(VENV)/.installed-docs: $(VENV)/pyvenv.cfg pyproject.toml
	@echo "Installing slt_zoo and what its pages need into $(VENV). The first time this downloads some GB."
	@$(RUN) pip install -q -e '.[docs]'
	@touch $(VENV)/.installed $@
