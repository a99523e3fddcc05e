# Two commands on a fresh machine:  make reproduce   and   make test
#
#   make reproduce [TIER=quick|cpu|paper] [CORES=n]    every table and figure
#   make test                                          format, lint, types, tests
#   make check-all                                     that, and what takes longer or asks a package index
#
# All make their own environment in .venv when it is missing or out of date.
# PYTHON picks the interpreter (3.11 to 3.14) the environment is made with.
SHELL := /bin/bash
PYTHON ?= python3
TIER ?= quick
CORES ?= all
BIN := .venv/bin
# Runs on any Python since 2: says which one it is, and fails where that is not one the suite can be installed on.
FITS := import sys; v = sys.version_info[:2]; print("Python %d.%d" % v); sys.exit(not (3, 11) <= v <= (3, 14))

.PHONY: reproduce test lint check-all clean

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

# The tests as they are, then again as another machine would run them: without the processor's vector
# instructions, and in another language, time zone and encoding. The quick tier's regression is left out there:
# by the processor's name its numbers would have to be the store's, to the last bit.
check-all: test
	$(BIN)/python .ci/check_pins.py
	ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 MKL_CBWR=COMPATIBLE NUMBA_CPU_NAME=generic \
	  $(BIN)/python -m pytest -n 2 -m "not slow"
	ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 MKL_CBWR=COMPATIBLE NUMBA_CPU_NAME=generic \
	  $(BIN)/python -m pytest tests/dag/test_regress.py
	LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 TZ=Pacific/Kiritimati \
	  $(BIN)/python -m pytest -n 2 -m "not slow" --ignore tests/nn --ignore tests/methods

.venv/.core: pyproject.toml constraints.txt
	@test -x $(BIN)/python || { \
	  found=$$($(PYTHON) -c '$(FITS)' 2>/dev/null) || { \
	    echo "error: $(PYTHON) is $${found:-no Python here}, but the suite needs 3.11 to 3.14: name one with" \
	      "PYTHON=python3.12, as in \`make $(or $(MAKECMDGOALS),reproduce) PYTHON=python3.12\`" >&2; exit 1; }; \
	  $(PYTHON) -m venv .venv; }
	@echo "installing (once; a few minutes)" && $(BIN)/python -m pip install --quiet -c constraints.txt -e .
	@touch $@

.venv/.dev: .venv/.core
	@echo "installing what tests need" && $(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

clean:
	rm -rf .venv .snakemake results/quick figures/quick
