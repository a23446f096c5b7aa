# Everything runs in a virtual environment that is made here, from a bare Python 3.11 or newer.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
RUN ?= runs/digits
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check -c constraints.txt

.PHONY: certify board test fuzz browser bench lint docs gallery clean

certify: $(VENV)/.certify
	OMP_NUM_THREADS=1 $(BIN)/rsopt certify --preset digits --scores softmax --temperature auto --workers 2 --output $(RUN)
	$(BIN)/rsopt certify --preset digits --n 10000 --target-radius 0.25 --output $(RUN)-adaptive

# The first cards: the digits by hard votes, soft scores, adaptive sampling, and in l1. An unfinished run goes on.
BOARD := build/board
CARDS := hard soft adaptive l1
OPTIONS_soft := --scores softmax
OPTIONS_adaptive := --n 10000 --target-radius 0.25
OPTIONS_l1 := --noise laplace --scale 0.25

board: $(addprefix $(BOARD)/,$(addsuffix .zip,$(CARDS)))
	$(BIN)/rsopt board $(BOARD)

$(BOARD)/%.zip: $(VENV)/.certify
	$(BIN)/rsopt certify --preset digits $(OPTIONS_$*) --output runs/cards/$*
	$(BIN)/rsopt card runs/cards/$* --output $(BOARD)/$* --title "Digits, $*"

test: $(VENV)/.test browser
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

# The suite fuzzes a little, always with the same inputs; by hand it may be many and others: make fuzz FUZZ=20000 SEED=1.
fuzz: $(VENV)/.test
	FUZZ=$(or $(FUZZ),5000) FUZZ_SEED=$(or $(SEED),0) $(BIN)/python -m pytest --numprocesses 2 tests/fuzz

# A test opens the report in a browser. Without the rights to install one, that test says what to do.
browser:
	@command -v chromium > /dev/null || command -v google-chrome > /dev/null || \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } || true

bench: $(VENV)/.test
	$(BIN)/python -m pytest --benchmark-only --benchmark-columns=min,median,max,rounds tests/benchmarks/bench_*.py

# The figures that are quoted, from tests/benchmarks/NAME.py: make bench_bounds, make bench_scores ARGUMENTS=laws.
bench_%: $(VENV)/.test
	PYTHONPATH=tests/support $(BIN)/python tests/benchmarks/$@.py $(ARGUMENTS)

lint: $(VENV)/.test
	$(BIN)/python -m ruff check rsopt solvers tests examples build_backend.py
	# mypy follows files, not the mapping of solvers/ to rsopt.solvers: check the tree as it is installed.
	rm -rf build/types
	$(PIP) --no-deps --target build/types --config-settings compile-ahead=no .
	cd build/types && $(abspath $(BIN))/python -m mypy --config-file $(CURDIR)/pyproject.toml -p rsopt

docs: $(VENV)/.docs gallery
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --config-file docs/site/mkdocs.yml
	@echo "Open build/site/index.html"

# The pictures of the site are drawn anew when an example has changed.
gallery: build/gallery/.drawn

GALLERY := $(addprefix examples/, ablate_taylor_order.py compare_intervals.py ablate_sigma_alpha_n.py \
  ablate_temperature.py ablate_simplex_map.py ablate_samples_soft.py power_envelope.py sequential_limit.py \
  l1_digits.py ablation_digits.py deletion_text.py brightness_and_shift.py sparse_flips.py float_noise.py segmentation.py)

build/gallery/.drawn: $(VENV)/.docs $(GALLERY)
	mkdir -p build/gallery
	$(BIN)/python examples/ablate_taylor_order.py --output build/gallery
	$(BIN)/python examples/compare_intervals.py --runs 10 --output build/gallery/intervals.png
	$(BIN)/python examples/ablate_sigma_alpha_n.py --output build/gallery
	$(BIN)/python examples/ablate_temperature.py --inputs 15 --output build/gallery
	$(BIN)/python examples/ablate_simplex_map.py --inputs 15 --output build/gallery
	$(BIN)/python examples/ablate_samples_soft.py --inputs 10 --output build/gallery
	$(BIN)/python examples/power_envelope.py --output build/gallery
	$(BIN)/python examples/sequential_limit.py --output build/gallery
	$(BIN)/python examples/l1_digits.py --output build/gallery
	$(BIN)/python examples/ablation_digits.py --output build/gallery
	$(BIN)/python examples/deletion_text.py --output build/gallery
	$(BIN)/python examples/brightness_and_shift.py --output build/gallery
	$(BIN)/python examples/sparse_flips.py --output build/gallery
	$(BIN)/python examples/float_noise.py --output build/gallery
	$(BIN)/python examples/segmentation.py --output build/gallery
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.certify: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e '.[torch,cli,plots,digits,arb]'
	touch $@

$(VENV)/.docs: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e '.[torch,cli,plots,digits,docs]'
	touch $@

$(VENV)/.test: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e '.[test,lint]'
	touch $@ $(VENV)/.certify $(VENV)/.docs
