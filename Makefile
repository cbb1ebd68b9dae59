# Every verb of the project. `make help` lists them; each sets up what it needs.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.10 python3; do "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && { echo "$$p"; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
EXAMPLE ?= examples/train.py
CLUSTER := tests/engines/cluster/cluster.sh
SHIPPED := $(shell find flowc templates schemas -type f -not -name '*.pyc' 2>/dev/null) pyproject.toml README.md LICENSE

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- set-up -------------------------------------------------------------------------------------------------------------

$(BIN)/uv: requirements/uv.txt
	@[ -n "$(PYTHON)" ] || { echo "flowc needs Python 3.10 or newer; none of python3.11, python3.12, python3.13, python3.10, python3 is one. Set PYTHON=..." >&2; exit 2; }
	@"$(PYTHON)" -c 'import venv, ensurepip' || { echo "$(PYTHON) lacks the venv module (on Debian: apt-get install python3-venv)" >&2; exit 2; }
	@"$(PYTHON)" -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/uv.txt
	@touch $@

.make/dev: $(BIN)/uv requirements/dev.txt
	@mkdir -p .make
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements/dev.txt
	@touch $@

# what the tests run against is what users get: the wheel, not the checkout
.make/wheel: .make/dev $(SHIPPED)
	@rm -rf dist
	@$(BIN)/uv build --quiet --wheel --no-build-isolation --python $(BIN)/python --out-dir dist
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --reinstall dist/flowc-*.whl
	@touch $@

# --- the verbs ----------------------------------------------------------------------------------------------------------

.PHONY: demo
demo: .make/wheel ## Compile an example flow for every target and show what was written
	@rm -rf demo
	@for target in $$($(BIN)/flowc targets | sed -n "s/^\([a-z-]*\): .*/\1/p"); do \
	  echo "\$$ flowc compile $(EXAMPLE) --target $$target --out-dir demo/$$target"; \
	  $(BIN)/flowc compile $(EXAMPLE) --target "$$target" --out-dir "demo/$$target"; \
	  for file in demo/"$$target"/*.yaml; do echo "--- $$file, $$(wc -l < "$$file") lines:"; sed 40q "$$file" | cut -c 1-160; done; \
	done

.PHONY: check
check: .make/wheel ## The quick judges: ruff, mypy, import layers, house rules (seconds)
	@$(BIN)/ruff check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/pytest -q tests/test_house.py

.PHONY: test
test: .make/wheel ## All checks and tests that need no cluster (minutes)
	@$(BIN)/ruff check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@FLOWC_TEST_WHEEL=1 $(BIN)/pytest -n $(WORKERS) $(ARGS)
	@FLOWC_EXAMPLES=2000 $(BIN)/pytest -q tests/oracle/test_metaflow_graph.py

.PHONY: explore
explore: .make/wheel ## The property tests with examples that no run saw before (`make test` takes the same ones each time)
	@FLOWC_EXPLORE=1 FLOWC_TEST_WHEEL=1 $(BIN)/pytest -n $(WORKERS) -m "hypothesis and not e2e" $(ARGS)

# tests elsewhere that ask kubectl: in CI there is none yet while make test runs
ASKING := tests/gitops tests/overlays tests/terraform tests/test_docs_gitops.py
# tests of a cluster wait most of the time: more workers than cores; tests/e2e/conftest.py says what a worker gets, longest first
E2E_WORKERS ?= 4
E2E = $(BIN)/pytest -m "e2e or kubectl" -v -n $(E2E_WORKERS) --no-loadscope-reorder tests/e2e $(ASKING) $(ARGS)

.PHONY: e2e
e2e: .make/wheel ## The core flows on real engines, side by side (cluster of tests/engines, or that of KUBECONFIG)
	@[ -n "$${KUBECONFIG:-}" ] || $(CLUSTER) up
	@$(E2E)

.PHONY: e2e-full
e2e-full: ARGS += --e2e-full
e2e-full: .make/wheel ## Every flow and control, on every Argo version there is (hours)
	@if [ -n "$${KUBECONFIG:-}" ]; then $(E2E); exit; fi; \
	for version in 3.7.18 3.7.3 4.0.7; do \
	  $(CLUSTER) up --argo $$version; \
	  export FLOWC_CLUSTER_ARGO=$$version; $(E2E); \
	done

.PHONY: update
update: .make/wheel ## Rewrite the goldens and snapshots with what comes out now; read the difference
	@[ -z "$${CI:-}" ] || { echo "make update is refused in CI: goldens are rewritten by people, who read the difference" >&2; exit 2; }
	@$(BIN)/pytest -q --update -n $(WORKERS) $(ARGS)
	@git status --short tests

.PHONY: docs
docs: .make/wheel ## Rewrite the generated pages
	@$(BIN)/python tools/docs.py

.PHONY: schemas
schemas: .make/dev ## Rewrite schemas/ from the pinned upstream versions (needs Go's module proxy and PyPI)
	@$(BIN)/python tools/schemas.py
	@$(BIN)/python tools/schemas_aws.py
	@$(BIN)/python tools/schemas_gitops.py

.PHONY: bench
bench: .make/wheel ## Ratios against Metaflow, Hera and ruff, growth, and what runs cost (a quarter of an hour)
	@$(BIN)/python benchmarks/bench.py
	@$(BIN)/python benchmarks/run.py --width 100

.PHONY: lock
lock: $(BIN)/uv ## Rewrite requirements/dev.txt from pyproject.toml
	@head=$$(head -n 1 requirements/dev.txt); \
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --no-annotate --no-header --group dev pyproject.toml -o requirements/dev.txt; \
	sed -i "1i $$head" requirements/dev.txt

.PHONY: clean
clean: ## Remove what make made here (the cluster stays: tests/engines/cluster/cluster.sh down)
	@rm -rf $(VENV) .make dist demo e2e-logs .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
