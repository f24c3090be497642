# make book: the rendered course.  make test: everything checked.  make help: the rest.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
PYTHON ?= python3
BIN := .venv/bin
export TQDM_DISABLE := 1
export SEEDS
export PYTHONDONTWRITEBYTECODE := 1

LESSONS := $(wildcard lessons/*.md)
LIB := $(shell find lib -name '*.py' -o -name '*.js' -o -name '*.css')
BOOK := _config.yml _toc.yml references.bib claims.yml exercises/objectives.yml $(wildcard *.md) $(wildcard records/*.json) $(LESSONS) $(LIB) $(shell find assets tools -type f -not -name '*.pyc')

.PHONY: help install book test lessons fresh gpu bench bench-grading release grade serve clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: .venv/installed  ## the environment in .venv, from the pinned requirements

.venv/installed: requirements.txt constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "This course needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Give another one with: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
	@touch $@

book: _build/html/.up-to-date  ## execute the lessons and render _build/html
	@echo "The book is ready: open file://$(CURDIR)/_build/html/index.html"

_build/html/.up-to-date: .venv/installed $(BOOK)
	$(BIN)/jupyter-book build . -W --keep-going -n
	@touch $@

test: book  ## counts against PyTorch, twins against a new run, pages against the rules
	$(BIN)/python -m pytest --exitfirst --numprocesses logical --maxprocesses 4 --dist loadfile

ifdef SEEDS  # other seeds are for checking: the stored lessons stay as they are
lessons: fresh
else
lessons: $(LESSONS:.md=.ipynb)  ## write the executed .ipynb twin of each changed lesson

lessons/%.ipynb: lessons/%.md $(LIB) constraints.txt | .venv/installed
	$(BIN)/python tools/twins.py write $<
endif

fresh: .venv/installed  ## measure everything anew, keep nothing: do all verdicts hold? (SEEDS=other: with other seeds)
	rm -rf .cache/fresh-records && mkdir -p .cache/fresh-records
	$(if $(KEEP),cp $(KEEP) .cache/fresh-records)
	EPOCH_RECORDS=$(CURDIR)/.cache/fresh-records $(BIN)/python tools/twins.py run $(shell grep -l lib.experiments lessons/*.md)
	@cd .cache/fresh-records && echo "Records of this run:" && ls *.json

gpu: .venv/installed  ## on a machine with a CUDA GPU: its records beside the CPU's; then do all verdicts hold there?
	$(BIN)/python -m lib.experiments.course
	$(MAKE) fresh

bench: .venv/installed  ## the engine against other ways to train, into the appendix; wants a quiet machine
	$(BIN)/python -m pip install --disable-pip-version-check -q -r bench/requirements-peers.txt
	$(BIN)/python -m bench.throughput

release: .venv/installed  ## a homework for students and for Gradescope: make release HW=hw01
	$(BIN)/python -m grading.release $(or $(HW),$(error say which homework: make release HW=hw01)) $(if $(ROSTER),--roster "$(ROSTER)")

grade: .venv/installed  ## a folder of submissions: make grade HW=hw01 SUBMISSIONS=dir ROSTER=roster.csv OUT=dir
	env -u TQDM_DISABLE $(BIN)/python -m grading.grade $(HW) $(or $(SUBMISSIONS),$(error say where the submissions are: SUBMISSIONS=dir)) $(or $(OUT),$(error say where the grades go: OUT=dir)) $(if $(ROSTER),--roster $(ROSTER)) $(GRADE)

bench-grading: .venv/installed  ## CPU time of a graded submission against otter-grader's, side by side; wants a quiet machine
	$(BIN)/python -m bench.grading

serve: book  ## the book on http://127.0.0.1:8000, for browsers that refuse file://
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html 8000

clean:  ## remove everything that was built, but not the environment
	rm -rf _build .cache .pytest_cache .hypothesis
