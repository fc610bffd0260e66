PYTHON ?= python3
TIER ?= standard
JOBS ?= 2
RECORD ?= 0
GH ?= gh

ifeq ($(filter $(TIER),smoke standard),)
$(error TIER is '$(TIER)'; expected smoke or standard)
endif
ifneq ($(filter-out 0 1,$(RETRAIN)),)
$(error RETRAIN is '$(RETRAIN)'; expected 1 or nothing)
endif

BIN := .venv/bin
RUNNER := $(BIN)/python tools/book.py
RETRAINING := $(if $(filter 1,$(RETRAIN)),--retrain)
NBVAL := --nbval-current-env --nbval-cell-timeout=3600
# TensorFlow's start-up lines hold process ids; its oneDNN kernels change the order of summation, and so the digits.
export TF_CPP_MIN_LOG_LEVEL := 3
export TF_ENABLE_ONEDNN_OPTS := 0
# Keep freed memory instead of asking for it anew at every training step: a third of the time of a step on Linux.
export MALLOC_MMAP_THRESHOLD_ := 4294967296
export MALLOC_TRIM_THRESHOLD_ := 4294967296
export RECORD
export REDISCOVER_QUIET := 1  # no progress bars inside notebooks that are kept

.PHONY: help install latest book chapters sweeps claims site stamp quick test test-site test-colab test-zip validate bench alarm clean
help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

install: .venv/installed  ## create .venv from requirements.txt (the other targets do it when needed)
.venv/installed: requirements.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; (3, 11) <= v < (3, 14) or sys.exit("Python %d.%d found; 3.11 to 3.13 needed: make PYTHON=python3.12 ..." % v[:2])'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check -r requirements.txt
	@touch $@

latest: install  ## over the pins, the newest versions that pyproject.toml allows
	$(BIN)/pip install --disable-pip-version-check --upgrade $$($(BIN)/python -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; print(*p["dependencies"], *p["optional-dependencies"]["scale"])')

book: install  ## run every chapter, build the site [TIER=smoke: tiny sizes] [RETRAIN=1: no shipped artefacts]
	$(RUNNER) run --tier $(TIER) $(RETRAINING)
	$(RUNNER) site --tier $(TIER)

chapters: install  ## run every chapter at standard size and write the run back into book/ [RETRAIN=1]
	$(RUNNER) run $(RETRAINING)
	$(RUNNER) publish

sweeps: install  ## run the sweeps of chapter 09, hours, and pack their rows into book/sweeps; goes on after a stop [JOBS=2]
	PYTHONPATH=lib $(BIN)/python tools/sweeps.py --workers $(JOBS) $(NAMES)

claims: install  ## judge the claims of book/claims.yml by book/results and write book/claims.md
	$(BIN)/python tools/claims.py

site: install  ## build the site from the committed chapters, without running them
	$(RUNNER) site

stamp: install  ## write the public address of the book everywhere [REPOSITORY=https://github.com/owner/name]
	$(BIN)/python tools/stamp.py "$(REPOSITORY)"

quick: install  ## after each edit, a minute: lint, and what trains no network but the tiny ones in examples
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pytest -q -n $(JOBS) --dist loadscope -m "not (slow or trains or notebooks or site)" lib tests/unit tests/physics

test: install  ## lint, unit and physics tests, every chapter at smoke size, strict build of the committed site
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf _build/smoke
	REDISCOVER_TIER=smoke REDISCOVER_RETRAIN=1 $(BIN)/pytest -n $(JOBS) --dist loadscope --nbval-lax $(NBVAL) --ignore=tests/browser book lib tests
	$(BIN)/python tools/claims.py --results _build/smoke/results >/dev/null  # an untrained network may leave no answer

test-site: install  ## the built site in a real browser, Debian's Chromium [RECORD=1: keep the figures for the appendix]
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit; done; \
	{ apt-get update && apt-get install -y --no-install-recommends chromium; } >/dev/null 2>&1 || \
	echo "no Chromium: it is not here and cannot be installed"
	$(BIN)/pytest tests/browser

test-colab: install  ## every chapter as on Colab: its versions, an empty folder, a clone [PYTHON=python3.13] [RECORD=1]
	PYTHONPATH=lib $(BIN)/python tools/colab.py $(if $(filter command,$(firstword $(origin PYTHON))),--python $(PYTHON))

test-zip: site  ## the book as one downloads it: unpacked, at smoke size, with the network off (Linux)
	rm -rf _build/zip
	$(BIN)/python -m zipfile -e _build/html/*.zip _build/zip
	cd _build/zip/* && ln -s $(CURDIR)/.venv && unshare --map-root-user --net \
	sh -c 'ip link set lo up && $(MAKE) -o .venv/installed book TIER=smoke'

validate: install  ## every chapter at standard size: outputs must equal the committed ones
	REDISCOVER_TIER=standard $(BIN)/pytest --nbval $(NBVAL) book

bench: install  ## time the simulator and the training beside SciPy and Keras
	@for file in benchmarks/bench_*.py; do PYTHONPATH=lib $(BIN)/python $$file || exit 1; done

alarm:  ## open one issue about a failed run, unless it is open already [RUN=address of the run] [GH=gh]
	@$(GH) issue list --state open --search "The weekly run from nothing fails in:title" | grep -q . || \
	$(GH) issue create --title "The weekly run from nothing fails" --body "See $(RUN)"

clean:  ## delete everything that a run wrote (not .venv)
	rm -rf _build
