# Two commands do everything on a fresh machine with Python 3.11+, a C++ compiler and make:
#   make demo   creates the environment, converts a real network and ends with the path of a report
#   make test   runs the tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help venv demo test sanitize lint check bench clean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

venv: $(STAMP)  ## the environment, in .venv

NATIVE := $(wildcard native/*)

$(STAMP): pyproject.toml constraints.txt $(NATIVE)
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Spikewright needs Python 3.11 or later; run make PYTHON=python3.12, say")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(STAMP)  ## convert a real network, compare three threshold methods, write a report
	$(BIN)/spikewright demo

test: $(STAMP)  ## the tests
	$(BIN)/pytest

sanitize: $(STAMP)  ## the tests of the native engine under AddressSanitizer and UndefinedBehaviorSanitizer
	$(BIN)/pip install --quiet --constraint constraints.txt cmake ninja nanobind
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/cmake -G Ninja -S native -B build/sanitize -DSPIKEWRIGHT_SANITIZE=ON \
	  -DPython_EXECUTABLE="$(CURDIR)/$(BIN)/python"
	$(BIN)/cmake --build build/sanitize
	ASAN_OPTIONS=detect_leaks=0 OMP_NUM_THREADS=1 SPIKEWRIGHT_NATIVE=$(CURDIR)/build/sanitize \
	  LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libubsan.so)" \
	  $(BIN)/pytest tests/engines/test_event_plan.py tests/engines/test_event.py

lint: $(STAMP)  ## style, types and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test  ## all that CI checks

PEERS := .venv-peers

bench: $(STAMP) $(PEERS)/.installed  ## the benchmarks; SPIKEWRIGHT_DATA and SPIKEWRIGHT_MODELS say where data and models are
	for program in accuracy calibration; do $(BIN)/python benchmarks/$$program.py || exit 1; done
	$(PEERS)/bin/python benchmarks/engine.py

# The peers have an environment of their own, which sees ours; what they ask for is not what they need.
$(PEERS)/.installed: $(STAMP) benchmarks/peers.txt
	$(PYTHON) -m venv $(PEERS)
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
	  > $$($(PEERS)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/ours.pth
	$(PEERS)/bin/pip install --quiet --no-deps --requirement benchmarks/peers.txt
	@touch $@

clean:  ## remove what make made
	rm -rf $(VENV) $(PEERS) .demo build
