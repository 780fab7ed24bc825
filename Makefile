# Needs make, git and Python 3.11 or later with pip and venv; brings all else, pinned and hashed in requirements.lock.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test check lock benchmarks clean

PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13; do \
	$$python -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
UV := .uv/bin/uv
# photos.py wants --photos DIR: run it by hand
BENCHMARKS = $(filter-out tests/benchmarks/_% tests/benchmarks/photos.py, $(wildcard tests/benchmarks/*.py))
# what a command gets on top, as in: make test ARGS="-k journal"
ARGS ?=

export UV_PYTHON_DOWNLOADS := never
export NO_ALBUMENTATIONS_UPDATE := 1
export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false
# after the installation nothing asks the network
demo test benchmarks: export HF_HUB_OFFLINE = 1
demo test benchmarks: export TRANSFORMERS_OFFLINE = 1

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.installed ## Install Gesso and its tools into .venv

demo: setup ## Run the whole chain on starter pictures and models, offline
	.venv/bin/gesso demo $(ARGS)

test: setup ## Run the tests, but for those that need a model hub
	.venv/bin/pytest -n 2 -m "not hub and not every" $(ARGS)

check: setup ## Check style, types and who imports whom
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

lock: $(UV) ## Pin what pyproject.toml asks for, keeping present pins (ARGS=--upgrade for new ones)
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--extra dev pyproject.toml -o requirements.lock $(ARGS)
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--overrides pipeline/lavis/overrides.in pipeline/lavis/requirements.in -o pipeline/lavis/requirements.lock $(ARGS)

benchmarks: setup .benchmarks/.installed ## Run every benchmark, one after the other, with peers in .benchmarks
	@for file in $(BENCHMARKS); do .venv/bin/python $$file $(ARGS) || exit 1; done

clean: ## Remove what setup installed and the tools' caches; never a workspace
	rm -rf .uv .venv .benchmarks .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist

$(UV):
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or later with venv was found. Name one: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv --clear .uv
	awk '/^[^ #]/ {wanted = /^uv==/} wanted' requirements.lock > .uv/requirements.txt
	.uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r .uv/requirements.txt

.benchmarks/.installed: tests/benchmarks/peers.txt | $(UV)
	$(UV) venv --quiet --clear --python $(PYTHON) .benchmarks
	VIRTUAL_ENV=.benchmarks $(UV) pip install --quiet --requirement tests/benchmarks/peers.txt
	touch $@

.venv/.installed: requirements.lock pyproject.toml | $(UV)
	test -x .venv/bin/python || $(UV) venv --quiet --clear --python $(PYTHON) .venv
	VIRTUAL_ENV=.venv $(UV) pip sync --quiet --require-hashes requirements.lock
	VIRTUAL_ENV=.venv $(UV) pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@
