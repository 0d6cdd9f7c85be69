# Every target can be run by hand and is what CI runs. `make help` lists them.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules
# Programs that a rule starts would look for a job server that is not open to them.
unexport MAKEFLAGS MFLAGS

PREFIX ?= /usr/local
PORT ?= 8000
CRASHES ?= 10000
VENV := .venv
PY := $(VENV)/bin/python
PACKAGES := $(VENV)/.packages
BENCH_PACKAGES := $(VENV)/.bench-packages
VIDEO_PACKAGES := $(VENV)/.video-packages
WHEEL := $(VENV)/.wheel
TORCH := .torch/.installed
TORCH_PYTHON := .tools/torch-python/.installed
VIDEOTRACKER := plugins/videotracker/libvideotracker.so
VIDEOTRACKER_SOURCES := $(shell find core worker plugins/videotracker/src plugins/videotracker/torch -name '*.rs' -o -name '*.toml' -o -name '*.cpp' 2>/dev/null)
CORE_SOURCES := $(shell find core ffi python -not -path '*/__pycache__*' \( -name '*.rs' -o -name '*.toml' -o -name '*.json' -o -name '*.cpp' \) 2>/dev/null)
PACKAGE_SOURCES := $(shell find python/plugward \( -name '*.py' -o -name '*.pyi' -o -name 'py.typed' -o -name '*.html' \) 2>/dev/null)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

# --- build -----------------------------------------------------------------------------------------------------------

.PHONY: setup build doctor
setup: $(WHEEL) ## .venv with the pinned packages and the wheel, built in release mode

build: $(WHEEL) ## the same, then the C library and the native tools
	cargo build --release --locked --workspace

doctor: ## are the compilers and interpreters here that a build needs?
	@scripts/doctor.sh

$(PACKAGES): requirements/dev.txt scripts/python.sh scripts/common.sh
	scripts/doctor.sh
	scripts/python.sh requirements/dev.txt
	@touch $@

$(BENCH_PACKAGES): requirements/bench.txt $(PACKAGES)
	scripts/python.sh requirements/bench.txt
	@touch $@

$(VIDEO_PACKAGES): requirements/video.txt $(PACKAGES)
	scripts/python.sh requirements/video.txt
	@touch $@

$(WHEEL): $(PACKAGES) Cargo.toml Cargo.lock pyproject.toml scripts/wheel.sh $(CORE_SOURCES) $(PACKAGE_SOURCES)
	scripts/wheel.sh
	@touch $@

.PHONY: videotracker torch-python
videotracker: $(VIDEOTRACKER) ## the VideoTracker plugin with libtorch and ffmpeg, in .torch and plugins/videotracker

torch-python: $(TORCH_PYTHON) ## all of torch for Python (5 GB), for training models and the bench's video rows

$(TORCH): requirements/torch.txt scripts/torch.sh $(PACKAGES)
	scripts/torch.sh
	@touch $@

$(TORCH_PYTHON): requirements/train.txt requirements/video.txt scripts/torch_python.sh $(PACKAGES)
	scripts/torch_python.sh
	@touch $@

$(VIDEOTRACKER): $(TORCH) Cargo.lock scripts/videotracker.sh plugins/videotracker/manifests.py $(VIDEOTRACKER_SOURCES)
	scripts/videotracker.sh

# --- the main job ----------------------------------------------------------------------------------------------------

.PHONY: run serve
run: $(WHEEL) $(VIDEOTRACKER) ## start the example host, send real requests to good and bad plugins, track a video, report
	$(PY) -m examples.fastapi_host.demo
	$(PY) -m examples.videotracker.demo

serve: $(WHEEL) ## the example host on PORT (default 8000), until interrupted
	$(PY) examples/fastapi_host/app.py --port $(PORT)

# --- tests -----------------------------------------------------------------------------------------------------------

.PHONY: test check test-rust test-c test-node test-python test-videotracker
test: check test-videotracker test-python test-rust test-c test-node ## every test of every language (two at a time with -j2 -Otarget)

check: ## are the generated files (header, error tables, schema) up to date?
	cargo run --quiet --locked -p xtask -- check

test-rust: ## the core and the C library
	@scripts/timed.sh "Rust tests" scripts/test_rust.sh
	@scripts/timed.sh "interleavings" scripts/loom.sh

test-c: ## C and C++ programs against the built library
	@scripts/timed.sh "C and C++ tests" bash tests/c/run.sh

test-node: ## the Node package
	@scripts/timed.sh "Node tests" scripts/test_node.sh

test-python: $(WHEEL) $(VIDEOTRACKER) ## the Python package, the examples, the hosts
	@scripts/timed.sh "Python tests" $(PY) -m pytest --ignore tests/videotracker

test-videotracker: $(WHEEL) $(VIDEOTRACKER) ## the VideoTracker plugin in its worker, with real models and videos
	@scripts/timed.sh "VideoTracker tests" $(PY) -m pytest tests/videotracker

.PHONY: crashes
crashes: $(WHEEL) ## ten thousand crashes of native and Python workers, with leases held: nothing is left (CRASHES= for fewer)
	PLUGWARD_TEST_DEATHS=$(CRASHES) $(PY) -m pytest tests/crashes

# --- checks and measurements -----------------------------------------------------------------------------------------

.PHONY: lint sanitize loom miri bench proof lock
lint: $(WHEEL) ## rustfmt, clippy, ruff, mypy, stubtest, tsc
	scripts/lint.sh

sanitize: ## the core under ThreadSanitizer and AddressSanitizer
	scripts/sanitize.sh

loom: ## every interleaving of a few threads on the state word
	scripts/loom.sh

miri: ## the unsafe modules under Miri (needs a nightly toolchain)
	scripts/miri.sh

bench: $(WHEEL) $(BENCH_PACKAGES) $(VIDEO_PACKAGES) $(VIDEOTRACKER) $(TORCH_PYTHON) ## the rows of bench/README.md, written to bench/RESULTS.md (ROWS= for some of them)
	if command -v npm >/dev/null; then \
	  scripts/node_modules.sh; npm --prefix node run --silent addon; npm --prefix node run --silent build; fi
	$(PY) -m bench $(ROWS)

proof: $(VIDEO_PACKAGES) ## the tracker beside supervision's, written to plugins/videotracker/proof/RESULTS.md
	$(PY) -m plugins.videotracker.proof.compare

lock: $(PACKAGES) ## pin requirements/*.in again (UPGRADE=1 for the newest versions)
	scripts/lock.sh

# --- install, clean --------------------------------------------------------------------------------------------------

.PHONY: install clean
install: ## the C library, headers and pkg-config file under PREFIX
	scripts/install.sh "$(PREFIX)"

clean: ## remove everything that was built or downloaded into this folder
	rm -rf target dist build $(VENV) .tools .torch plugins/videotracker/*.so plugins/videotracker/tests/faults node/node_modules node/dist
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
