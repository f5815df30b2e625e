# What a developer and an operator type. `make help` lists it; .ci/run calls check and test.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup up unit test check format lint types imports bench fault audit privacy-audit oracle screenshots coverage lock clean

VENV := .venv/bin
PACKAGES := backend contracts dashboards edge firmware_sim gateway kioskwatch mqttlink stores
CODE := $(PACKAGES) tests $(wildcard scripts/*.py bench)
T ?= tests
PYTEST := $(VENV)/python -m pytest

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## everything a developer needs: .venv with tools, Mosquitto, PostgreSQL, Chromium, influxd
	@scripts/venv.sh all
	@scripts/services.sh

up: ## start a simulated district; UP="--no-simulators --listen ADDRESS" for real devices
	@scripts/venv.sh run
	@scripts/packages.sh mosquitto || echo "up: without Mosquitto the district runs on the built-in broker (no mTLS, nothing kept over its restart)" >&2
	@scripts/packages.sh font-dejavu font-wqy fribidi || echo "up: slips are printed in English where a script's font is missing" >&2
	@exec $(VENV)/kioskwatch up $(UP)

unit: ## unit tests on every core: no socket, no service, half a minute
	@scripts/venv.sh all
	$(PYTEST) -n auto tests/unit -m "not simulation"

test: ## every test on real services; T=tests/wire for a part
	@scripts/venv.sh all
	@scripts/services.sh
	@scripts/test.sh $(T)

check: ## format, lint, types, import contracts
	@scripts/venv.sh all
	@$(MAKE) --no-print-directory -k lint types imports

format: ## put the code into its form
	@scripts/venv.sh all
	$(VENV)/ruff check --fix-only --quiet .
	$(VENV)/ruff format .

lint: # part of check
	$(VENV)/ruff format --check .
	$(VENV)/ruff check .

types: # part of check
	$(VENV)/mypy $(CODE)

imports: # part of check
	$(VENV)/lint-imports --no-logo

bench: ## measure ingest, latency, memory, API, start and detectors; writes docs/BENCHMARKS.md
	@scripts/venv.sh all
	@scripts/services.sh
	$(VENV)/python -m bench $(BENCH)

fault: ## the long fault matrix: at least 200 kills of every process
	@scripts/venv.sh all
	@scripts/services.sh
	KIOSKWATCH_KILLS=200 $(PYTEST) tests/fault --timeout=3600

audit: ## dead code, unused or missing dependencies, spelling, known vulnerabilities
	@scripts/venv.sh all
	@scripts/audit.sh

privacy-audit: ## measure what one test moves and what the noise costs; writes docs/PRIVACY_AUDIT.md
	@scripts/venv.sh all
	$(VENV)/python -m scripts.privacy_audit $(AUDIT)

oracle: ## compare our detectors with R's package `surveillance` on its own data; writes docs/EVIDENCE.md
	@scripts/venv.sh all
	@scripts/packages.sh r-surveillance
	$(VENV)/python scripts/oracle.py

screenshots: ## draw docs/screenshots anew from a running simulated district
	@scripts/venv.sh all
	@scripts/services.sh
	KIOSKWATCH_SCREENSHOTS=docs/screenshots $(PYTEST) tests/e2e --timeout=1200

coverage: ## unit tests with branch coverage
	@scripts/venv.sh all
	$(VENV)/coverage run -m pytest tests/unit -q
	$(VENV)/coverage report

lock: ## resolve requirements*.lock anew (UPGRADE=1: to the newest versions)
	@scripts/lock.sh

clean: ## forget caches and build results; keeps .venv and var
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis htmlcov .coverage *.egg-info
