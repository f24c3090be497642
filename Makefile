# make book: the rendered course.  make test: everything checked.  make help: the rest.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
PYTHON ?= python3
BIN := .venv/bin
export TQDM_DISABLE := 1
export PYTHONDONTWRITEBYTECODE := 1

# What the reader gives may hold any character: Make is kept from expanding a $, and the shell takes it from the
# environment. ~ is not always expanded.
GIVEN := PYTHON SEEDS SUBMISSIONS ROSTER OUT KEEP
$(foreach name,$(GIVEN),$(if $(value $(name)),$(eval override $(name) := $$(value $(name)))))
export $(GIVEN)
given = "$${$(1)/\#\~\//$$HOME/}"

LESSONS := $(wildcard lessons/*.md)
LIB := $(shell find lib book -name '*.py' -o -name '*.csv' -o -name '*.js' -o -name '*.css')
BOOK := _config.yml _toc.yml references.bib claims.yml contradictions.yml exercises/objectives.yml $(wildcard *.md) $(wildcard records/*.json) $(LESSONS) $(LIB) $(shell find assets tools -type f -not -name '*.pyc')

.PHONY: help install doctor book pdf links test lint lessons fresh records gpu bench bench-grading test-frameworks canary release grade serve clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' Makefile

install: .venv/installed  ## the environment in .venv, from the pinned requirements

.venv/installed: requirements.txt constraints.txt pyproject.toml
	@$(call given,PYTHON) -c 'import sys; version = sys.version.split()[0]; sys.exit(not (3, 11) <= sys.version_info < (3, 15) and "This course needs Python 3.11 to 3.14; this is " + version + ". Give another one with: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(call given,PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
	@touch $@

doctor:  ## is everything here that the course needs? a line each: OK, or what to do
	@if test -x $(BIN)/python; then $(BIN)/python -m lib.doctor; else $(call given,PYTHON) -m lib.doctor; fi

book: _build/html/.up-to-date  ## execute the lessons and render _build/html
	@$(BIN)/python tools/archive.py
	@$(BIN)/python -c 'from pathlib import Path; print("The book is ready: open", Path("_build/html/index.html").resolve().as_uri())'

_build/html/.up-to-date: .venv/installed $(BOOK)
	$(BIN)/python tools/compile.py
	$(BIN)/jupyter-book build . -W --keep-going -n
	@touch $@

pdf: book  ## the whole book as one PDF with bookmarks, _build/epoch-by-epoch.pdf, printed by Chromium
	$(BIN)/python tools/pdf.py

links: .venv/installed  ## ask every external link of the book whether it still answers; needs a network
	$(BIN)/jupyter-book build . --builder linkcheck

lint: .venv/installed  ## format, likely bugs and type hints, as pre-commit has them
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: lint book  ## counts against PyTorch, twins against a new run, pages against the rules
	$(BIN)/python -m pytest --exitfirst --numprocesses logical --maxprocesses 4 --dist loadfile

ifdef SEEDS  # other seeds are for checking: the stored lessons stay as they are
lessons: fresh
else
lessons: .venv/installed  ## write the executed .ipynb twin of each lesson that changed, or whose code or records did
	$(BIN)/python tools/twins.py update
endif

fresh: .venv/installed  ## measure everything anew, keep nothing: do all verdicts hold? (SEEDS=other: with other seeds)
	$(BIN)/python tools/compile.py
	$(BIN)/python -m lib.experiments.long check
	rm -rf .cache/fresh-records && mkdir -p .cache/fresh-records
	$(if $(KEEP),cp -- $(call given,KEEP) .cache/fresh-records)
	EPOCH_RECORDS="$$PWD/.cache/fresh-records" $(BIN)/python tools/twins.py run $(shell grep -l lib.experiments lessons/*.md)
	@cd .cache/fresh-records && echo "Records of this run:" && ls -- *.json

records: .venv/installed  ## the records that take too long for a page; stopped, it goes on where it was
	$(BIN)/python tools/compile.py
	env -u TQDM_DISABLE $(BIN)/python -m lib.experiments.long make

gpu: .venv/installed  ## on a machine with a CUDA GPU: its records beside the CPU's; then do all verdicts hold there?
	$(BIN)/python -m lib.experiments.course
	$(MAKE) fresh

bench: .venv/installed  ## the engine against other ways to train, into the appendix; wants a quiet machine
	$(BIN)/python -m pip install --disable-pip-version-check -q -r bench/requirements-peers.txt
	$(BIN)/python -m bench.throughput

# The frameworks have an environment of their own, which nothing else needs. (XGBoost would bring a GPU library.)
FRAMEWORKS := .venv-frameworks/bin/python

.venv-frameworks/installed: requirements-frameworks.txt constraints-frameworks.txt
	test -x $(FRAMEWORKS) || $(call given,PYTHON) -m venv .venv-frameworks
	$(FRAMEWORKS) -m pip install --disable-pip-version-check -q -r requirements-frameworks.txt
	$(FRAMEWORKS) -m pip install --disable-pip-version-check -q --no-deps xgboost==3.2.0
	@touch $@

test-frameworks: .venv-frameworks/installed  ## lib/frameworks against the running frameworks, as a table (ALL=1: also those that install with care)
	$(if $(ALL),DS_BUILD_OPS=0 $(FRAMEWORKS) -m pip install --disable-pip-version-check -q --no-deps --no-build-isolation -r requirements-frameworks-with-care.txt)
	$(FRAMEWORKS) -m tests.frameworks $(if $(ALL),--all)

canary:  ## the same with the newest release of each framework; reports what differs and never fails
	test -x .venv-canary/bin/python || $(call given,PYTHON) -m venv .venv-canary
	sed -n 's/==.*//p' requirements-frameworks.txt > .venv-canary/newest.txt
	-.venv-canary/bin/python -m pip install --disable-pip-version-check -q --upgrade -r .venv-canary/newest.txt
	-.venv-canary/bin/python -m pip install --disable-pip-version-check -q --upgrade --no-deps xgboost
	.venv-canary/bin/python -m tests.frameworks --canary

release: .venv/installed  ## a homework for students and for Gradescope: make release HW=hw01
	$(BIN)/python -m grading.release $(or $(HW),$(error say which homework: make release HW=hw01)) $(if $(ROSTER),--roster=$(call given,ROSTER))

grade: .venv/installed  ## a folder of submissions: make grade HW=hw01 SUBMISSIONS=dir ROSTER=roster.csv OUT=dir
	env -u TQDM_DISABLE $(BIN)/python -m grading.grade $(if $(ROSTER),--roster=$(call given,ROSTER)) $(GRADE) -- $(or $(HW),$(error say which homework: HW=hw01)) $(if $(SUBMISSIONS),$(call given,SUBMISSIONS),$(error say where the submissions are: SUBMISSIONS=dir)) $(if $(OUT),$(call given,OUT),$(error say where the grades go: OUT=dir))

bench-grading: .venv/installed  ## CPU time of a graded submission against otter-grader's, side by side; wants a quiet machine
	$(BIN)/python -m bench.grading

serve: book  ## the book on http://127.0.0.1:8000, for browsers that refuse file://
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html 8000

clean:  ## remove everything that was built, but not the environment
	rm -rf _build .cache .pytest_cache .hypothesis lib/__pycache__
