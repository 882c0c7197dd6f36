# Two commands do everything on a fresh machine with Python 3.11+, a C++ compiler and make:
#   make demo   creates the environment, converts a real network and ends with the path of a report
#   make test   runs the tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help venv demo test layers lint check bench clean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

venv: $(STAMP)  ## the environment, in .venv

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Spikewright needs Python 3.11 or later; run make PYTHON=python3.12, say")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(STAMP)  ## convert a real network, compare three threshold methods, write a report
	$(BIN)/spikewright demo

test: $(STAMP)  ## the tests
	$(BIN)/pytest

layers: $(STAMP)  ## docs/layers.md anew, from what the layers' test finds
	SPIKEWRIGHT_WRITE_DOCS=1 $(BIN)/pytest tests/test_layers_table.py

lint: $(STAMP)  ## style, types and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test  ## all that CI checks

bench: $(STAMP)  ## the benchmarks; they find data through SPIKEWRIGHT_DATA
	for program in benchmarks/[a-z]*.py; do $(BIN)/python $$program || exit 1; done

clean:  ## remove what make made
	rm -rf $(VENV) .demo
