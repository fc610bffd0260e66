PYTHON ?= python3
TIER ?= standard
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
RECORD ?= 0
GH ?= gh

ifeq ($(filter $(TIER),smoke standard),)
$(error TIER is '$(TIER)'; expected smoke or standard)
endif
ifneq ($(filter-out 0 1,$(RETRAIN)),)
$(error RETRAIN is '$(RETRAIN)'; expected 1 or nothing)
endif

BIN := .venv/bin
# Everything runs in an environment of its own; tools/environment.py says why.
ISOLATED := $(BIN)/python -I tools/environment.py
RUNNER := $(ISOLATED) $(BIN)/python tools/book.py
RETRAINING := $(if $(filter 1,$(RETRAIN)),--retrain)
RUNNING = $(RETRAINING) --jobs $(JOBS)
NBVAL := --nbval-current-env --nbval-cell-timeout=3600
export RECORD
# What a target does not say otherwise.
export REDISCOVER_TIER := standard
export REDISCOVER_RETRAIN := 0
# pip keeps where the caller has packages come from, and installs here.
unexport PYTHONHOME PYTHONPATH $(filter-out $(addprefix PIP_,CACHE_DIR CERT CLIENT_CERT CONFIG_FILE EXTRA_INDEX_URL \
FIND_LINKS INDEX_URL NO_INDEX PROXY RETRIES TIMEOUT DEFAULT_TIMEOUT TRUSTED_HOST),$(filter PIP_%,$(.VARIABLES)))
export PIP_USER := 0
# Else pip writes the path of this folder into its scripts as the locale reads it, and an ö is no ö any more.
export PYTHONUTF8 := 1
PIP := $(BIN)/python -m pip install --disable-pip-version-check

.PHONY: help install latest book chapters sweeps claims site stamp quick test test-site test-colab test-zip validate bench alarm clean
help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

install: .venv/installed  ## create .venv from requirements.txt (the other targets do it when needed)
.venv/installed: requirements.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; (3, 11) <= v < (3, 14) or sys.exit("Python %d.%d found; 3.11 to 3.13 needed: make PYTHON=python3.12 ..." % v[:2])'
	$(PYTHON) -m venv .venv
	$(PIP) -r requirements.txt
	@touch $@

latest: install  ## over the pins, the newest versions that pyproject.toml and jupyter-book 1.x allow (but ruff: its rules change)
	sed -nE '/^(ruff|jupyter-book)=/d; s/==.*//p' requirements.txt >.venv/latest.txt
	$(PIP) --upgrade "jupyter-book>=1.0.4,<2" -r .venv/latest.txt $$($(BIN)/python -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; print(*p["dependencies"], *p["optional-dependencies"]["scale"])')

book: install  ## run every chapter, build the site [TIER=smoke: tiny sizes] [RETRAIN=1: no shipped artefacts] [JOBS=1: one by one]
	$(RUNNER) run --tier $(TIER) $(RUNNING)
	$(RUNNER) site --tier $(TIER)

chapters: install  ## run every chapter at standard size and write the run back into book/ [RETRAIN=1] [JOBS=1]
	$(RUNNER) run $(RUNNING)
	$(RUNNER) publish

sweeps: install  ## run the sweeps of chapters 09 and 13, hours, and pack their rows into book/sweeps; goes on after a stop [JOBS=2] [RETRAIN=1]
	$(ISOLATED) PYTHONPATH="$(CURDIR)/lib:$(CURDIR)/book" $(BIN)/python tools/sweeps.py --workers $(JOBS) $(RETRAINING) $(NAMES)

claims: install  ## judge the claims of book/claims.yml by book/results and write book/claims.md
	$(ISOLATED) $(BIN)/python tools/claims.py

site: install  ## build the site from the committed chapters, without running them
	$(RUNNER) site

stamp: install  ## write the public address of the book everywhere [REPOSITORY=https://github.com/owner/name]
	$(ISOLATED) $(BIN)/python tools/stamp.py "$(REPOSITORY)"

quick: install  ## after each edit, a minute: lint, and what trains no network but the tiny ones in examples
	$(ISOLATED) $(BIN)/ruff check .
	$(ISOLATED) $(BIN)/ruff format --check .
	$(ISOLATED) $(BIN)/pytest -q -n $(JOBS) --dist loadscope -m "not (slow or trains or notebooks or site)" lib tests/unit tests/physics

test: install  ## lint, unit and physics tests, every chapter at smoke size, strict build of the committed site
	$(ISOLATED) $(BIN)/ruff check .
	$(ISOLATED) $(BIN)/ruff format --check .
	rm -rf _build/smoke
	$(ISOLATED) REDISCOVER_TIER=smoke REDISCOVER_RETRAIN=1 $(BIN)/pytest -n $(JOBS) --dist loadscope --nbval-lax $(NBVAL) --ignore=tests/browser book lib tests
	$(ISOLATED) $(BIN)/python tools/claims.py --results _build/smoke/results >/dev/null  # an untrained network may leave no answer

test-site: install  ## the built site in a real browser, Debian's Chromium [RECORD=1: keep the figures for the appendix]
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit; done; \
	{ apt-get update && apt-get install -y --no-install-recommends chromium; } >/dev/null 2>&1 || \
	echo "no Chromium: it is not here and cannot be installed"
	$(ISOLATED) $(BIN)/pytest tests/browser

test-colab: install  ## every chapter as on Colab: its versions, an empty folder, a clone [PYTHON=python3.13] [RECORD=1]
	$(BIN)/python -E tools/colab.py $(if $(filter command,$(firstword $(origin PYTHON))),--python $(PYTHON))

test-zip: site  ## the book as one downloads it: unpacked, at smoke size, with the network off (Linux)
	rm -rf _build/zip
	$(BIN)/python -m zipfile -e _build/html/*.zip _build/zip
	cd _build/zip/* && ln -s "$(CURDIR)/.venv" && unshare --map-root-user --net \
	sh -c 'ip link set lo up && $(MAKE) -o .venv/installed book TIER=smoke'

validate: install  ## every chapter at standard size: outputs must equal the committed ones
	$(ISOLATED) $(BIN)/pytest --nbval $(NBVAL) book

bench: install  ## time simulator, networks and fits beside their peers, and how cost grows; 16 minutes [RECORD=1] [NAMES=training]
	$(ISOLATED) PYTHONPATH=lib $(BIN)/python benchmarks $(NAMES)

alarm:  ## open one issue about a failed run, unless it is open already [RUN=address of the run] [GH=gh]
	@$(GH) issue list --state open --search "The weekly run from nothing fails in:title" | grep -q . || \
	$(GH) issue create --title "The weekly run from nothing fails" --body "See $(RUN)"

clean:  ## delete everything that a run wrote (not .venv)
	rm -rf _build
