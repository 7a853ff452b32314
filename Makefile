# make up    set everything up, train what is missing, start model server and gateway, say where to look
# make test  set everything up, run all tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Data sets for tests and trainings (see README, "Data"); left alone where the folder is missing.
export VITRINE_DATA ?= $(abspath $(wildcard ../shared/data))

.PHONY: setup up test lint lock clean

setup: $(VENV)/.ready

$(VENV)/.ready: requirements/all.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] < (3, 14) else "Vitrine needs Python 3.11 to 3.13; name one with: make PYTHON=python3.12 …")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements/all.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

up: setup
	$(BIN)/vitrine up

test: setup
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Renews both lock files: hashes, but no address of a registry.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --custom-compile-command 'make lock' --extra dev pyproject.toml -o requirements/all.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --custom-compile-command 'make lock' pyproject.toml -o requirements/gateway.lock

clean:
	rm -rf $(VENV) .vitrine
