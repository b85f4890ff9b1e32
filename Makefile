# `make demo` and `make test` work on a fresh machine with Python 3.11 or newer; the others build on them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: setup demo test lint format bench soak dashboards fedora-certs lock clean

setup: ## .venv with everything; system packages too where they are missing and this is root
	@sh scripts/system_packages.sh
	@$(MAKE) --no-print-directory --silent $(INSTALLED)

# A change of the lock starts from an empty venv, so that nothing stays which the lock no longer names.
# Compiling 30,000 lines nobody imports would double the time.
$(INSTALLED): pyproject.toml requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 setup")'
	@echo 'installing into $(VENV): about a minute' >&2
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## a simulated community, live, with its page on http://127.0.0.1:8000
	$(BIN)/homecoming demo $(ARGS)

test: lint ## everything that CI checks; ARGS goes to pytest
	$(BIN)/pytest -n auto --dist loadfile $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## what the README claims; each file of benchmarks/ runs by itself too
	@set -e; for file in benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python "$$file"; done

soak: setup ## a long random run; then the one on Kafka, with its kills
	$(BIN)/python benchmarks/soak.py $(ARGS)
	$(BIN)/python benchmarks/soak_kafka.py

dashboards: setup ## Grafana's, out of metrics/dashboards/
	$(BIN)/python -m metrics.dashboards deploy/grafana/dashboards

fedora-certs: setup ## the public client certificate of Fedora's bus, into certs/
	$(BIN)/python scripts/fedora_certs.py

lock: setup ## exact versions for the image and for CI; `make lock UPGRADE=--upgrade` takes newer ones
	$(BIN)/python scripts/lock.py $(UPGRADE)

clean: ## what make made; never a state directory
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
