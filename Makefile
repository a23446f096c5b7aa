# Everything runs in a virtual environment that is made here, from a bare Python 3.11 or newer.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
RUN ?= runs/digits
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check -c constraints.txt

.PHONY: certify test browser bench lint clean

certify: $(VENV)/.certify
	OMP_NUM_THREADS=1 $(BIN)/rsopt certify --preset digits --scores softmax --temperature auto --workers 2 --output $(RUN)
	$(BIN)/rsopt certify --preset digits --n 10000 --target-radius 0.25 --output $(RUN)-adaptive

test: $(VENV)/.test browser
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

# A test opens the report in a browser. Without the rights to install one, that test says what to do.
browser:
	@command -v chromium > /dev/null || command -v google-chrome > /dev/null || \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } || true

bench: $(VENV)/.test
	$(BIN)/python -m pytest --benchmark-only --benchmark-columns=min,median,max,rounds tests/benchmarks/bench_*.py

# The figures that are quoted, from tests/benchmarks/NAME.py: make bench_bounds, make bench_scores ARGUMENTS="softmax".
bench_%: $(VENV)/.test
	PYTHONPATH=tests/support $(BIN)/python tests/benchmarks/$@.py $(ARGUMENTS)

lint: $(VENV)/.test
	$(BIN)/python -m ruff check rsopt solvers tests examples
	# mypy follows files, not the mapping of solvers/ to rsopt.solvers: check the tree as it is installed.
	rm -rf build/types
	$(PIP) --no-deps --target build/types .
	cd build/types && $(abspath $(BIN))/python -m mypy --config-file $(CURDIR)/pyproject.toml -p rsopt

clean:
	rm -rf $(VENV) build *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.certify: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e '.[torch,cli,plots,digits,arb]'
	touch $@

$(VENV)/.test: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e '.[test,lint]'
	touch $@ $(VENV)/.certify
