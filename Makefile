# make repro   the whole job: environment, then every stage that is not up to date
# make test    lint and tests, on the environment they install
# make tune    learning rates of all methods, tried on validation data as DVC experiments
# make readme  fill the tables of README, benchmarks/README.md and docs/cost.md from what is in the folder
# make push / make pull   data and adapters to and from the DVC remote

PYTHON ?= python3.11
BIN := .venv/bin
# dvc runs `python stages/...`: the environment's python must be the first one it finds.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: install repro test lint tune readme push pull clean

install: .venv/installed

.venv/installed: requirements.txt docs/plots_page.py
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) not found; install Python 3.11 or run make PYTHON=<path>"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	$(BIN)/python docs/plots_page.py .venv/plots.html
	touch $@

.venv/installed-dev: requirements-dev.txt .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	touch $@

repro: .venv/installed
	dvc repro

lint: .venv/installed-dev
	ruff check .
	ruff format --check --quiet .

test: lint
	python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

tune: .venv/installed
	python benchmarks/tune.py

readme: .venv/installed
	python docs/readme.py

push pull: .venv/installed
	dvc $@

clean:
	rm -rf .work .pytest_cache .ruff_cache dvc_plots
