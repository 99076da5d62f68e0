# make demo | test | test-all | check | docs: each makes .venv when it is missing.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

ifeq ($(EMBOSCOPE_DATA),)
ifneq ($(wildcard ../shared/data),)
export EMBOSCOPE_DATA := $(abspath ../shared/data)
endif
endif

.PHONY: setup demo test test-all check docs locale

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt "torch==2.13.0"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[all,pg,dev]"
	touch $(STAMP)

demo: setup
	$(BIN)/emboscope demo --out demo

test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 -m "not slow"

test-all: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py

docs: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	$(BIN)/sphinx-build -q -W -b html docs docs/_build/html
	@echo docs/_build/html/index.html

# Lists the sentences of the reports in emboscope.pot and compiles their translations: first add
# to emboscope.po of each language what tests/test_languages.py says is missing.
LOCALE := src/emboscope/locale
locale: setup
	$(BIN)/pybabel -q extract --no-default-keywords -k say -k marked --no-location --omit-header -w 100 -o $(LOCALE)/emboscope.pot src/emboscope
	$(BIN)/pybabel -q compile -D emboscope -d $(LOCALE)
