# Two commands on a fresh machine:  make reproduce   and   make test
#
#   make reproduce [TIER=quick|cpu|paper] [CORES=n]    every table and figure
#   make test                                          format, lint, types, tests
#
# Both make their own environment in .venv when it is missing or out of date.
# PYTHON picks the interpreter (3.11 or 3.12) the environment is made with.
SHELL := /bin/bash
PYTHON ?= python3
TIER ?= quick
CORES ?= all
BIN := .venv/bin

.PHONY: reproduce test lint clean

reproduce: .venv/.core
	@$(BIN)/snakemake --cores $(CORES) all --config tier=$(TIER)
	@$(BIN)/python -m bench summary --tier $(TIER)

test: .venv/.dev lint
	$(BIN)/python -m pytest -n 2

lint: .venv/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint
	$(BIN)/mypy

.venv/.core: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing (once; a few minutes)" && $(BIN)/python -m pip install --quiet -c constraints.txt -e .
	@touch $@

.venv/.dev: .venv/.core
	@echo "installing what tests need" && $(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

clean:
	rm -rf .venv .snakemake results/quick figures/quick
