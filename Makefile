# Every target stands on `setup`, which is quick when nothing changed; the demo needs less than that.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# A process that may not keep what it compiled takes five seconds more to start
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test test-thorough test-pythons test-stack coverage stack env lint format lock docs wheel sbom clean tools dashboards dashboard-shots preview rules simulations

help:
	@echo "make demo   run the example bot and the analytics page (ARGS=\"--once --json\" for one pass)"
	@echo "make test   run the tests (ARGS=\"tests/server -k overview\" for a part)"
	@echo "make test-thorough   its properties with many examples, drawn by the day (SEED=20261128),"
	@echo "                     and the server's tests with a store that is served (SERVED=tests/server)"
	@echo "make test-pythons   the library's tests on Python 3.11 to 3.14, on the oldest dependencies,"
	@echo "                     and those of frameworks that do not go together with the rest"
	@echo "make coverage   the tests again, with what they reach"
	@echo "make lint   format check, lint, types, layers"
	@echo "make tools  build collector, Prometheus and Alertmanager from pinned modules (once; needs Go)"
	@echo "make stack  run them with the analytics server (ARGS=\"--help\" shows ports)"
	@echo "make test-stack   the tests that need them"
	@echo "make preview   build the page that draws dashboards (once; needs npm)"
	@echo "make dashboard-shots   pictures of the dashboards on a running stack's data (needs npm)"
	@echo "make rules  write Prometheus' rules and alerts anew (ARGS=\"--set daily_usd=250\")"
	@echo "make env    write .env with secrets made here, for docker compose up"
	@echo "make simulations  forecasts, changes of days and advice on models on simulated truth (ARGS=\"--runs 5\")"
	@echo "make docs   docs/ as a site with a search, in dist/site"
	@echo "make format, make lock, make wheel, make clean"

setup:
	@$(PYTHON) tools/setup_venv.py $(VENV) dev

demo:
	@$(PYTHON) tools/setup_venv.py $(VENV) demo
	@$(BIN)/otel-chat demo $(ARGS)

# A file or a folder that is named runs at once in this process; everything, in three
SPREAD = $(if $(filter tests/% otel_chat/% grafana/% prometheus/%,$(ARGS)),,-n 3 --dist loadfile)
test: setup
	@$(BIN)/python -m pytest -m "not stack" $(SPREAD) $(ARGS)

# Properties by many examples, drawn by the seed of the day, for so many seconds; then the tests of
# SERVED with a store that is served, as ClickHouse is
SEED ?= $(shell date -u +%Y%m%d)
SECONDS_THOROUGH ?= 420
SERVED ?= tests/server
test-thorough: setup
	@echo "seed $(SEED)"
	@OTEL_CHAT_THOROUGH=1 $(BIN)/python -m pytest -m "not stack" -n 2 --dist loadfile \
	  --hypothesis-seed=$(SEED) --seconds $(SECONDS_THOROUGH) $(ARGS)
	@$(BIN)/python -m pytest -m "not stack" -n 2 --dist loadfile --store clickhouse $(SERVED)

test-pythons: setup
	@$(BIN)/python tools/pythons.py $(ARGS)

test-stack: tools
	@$(BIN)/python -m pytest -m stack tests/stack $(wildcard tests/prometheus) $(ARGS)

coverage: setup
	@$(BIN)/coverage run -m pytest $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

lint: setup
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

LOCK_WHOLE = $(BIN)/uv pip compile --universal --generate-hashes --no-emit-index-url --no-header \
  --quiet
# chdb-core asks for pandas and pyarrow, and imports neither for what is used of it
LOCK = $(LOCK_WHOLE) --no-emit-package pandas --no-emit-package pyarrow
lock: setup
	@$(LOCK) pyproject.toml --extra demo --extra hooks --group dev --output-file requirements/dev.lock
	@$(LOCK) pyproject.toml --extra demo --group build \
	  --constraint requirements/dev.lock --output-file requirements/demo.lock
	@$(LOCK) pyproject.toml --extra demo --no-emit-package chdb-core \
	  --constraint requirements/dev.lock --output-file requirements/image.lock
	@$(LOCK) pyproject.toml --resolution lowest-direct --python-version 3.11 --no-annotate \
	  --all-extras --output-file requirements/lowest.lock
	@$(LOCK) --group build --constraint requirements/dev.lock --output-file requirements/build.lock
	@$(LOCK) --group uv --constraint requirements/dev.lock --output-file requirements/uv.lock
	@$(LOCK) --group sbom --output-file requirements/sbom.lock
	@$(LOCK) --group docs --output-file requirements/docs.lock
	@$(LOCK_WHOLE) pyproject.toml --extra sdk --group frameworks \
	  --output-file requirements/frameworks.lock
	@$(LOCK) --group toolchains --output-file requirements/toolchains.lock

tools: setup
	@$(BIN)/python tools/binaries.py

stack: tools
	@exec $(BIN)/python -m tools.stack $(ARGS)

rules: setup
	@$(BIN)/python -m prometheus.generate $(ARGS)

dashboards: setup
	@$(BIN)/python -m grafana.generate $(ARGS)
	@$(BIN)/python -m grafana.check

preview: setup
	@$(BIN)/python -m grafana.preview.build

dashboard-shots: setup
	@$(BIN)/python -m grafana.preview $(ARGS)

env:
	@$(PYTHON) tools/make_env.py

simulations: setup
	@for one in forecasts day_changes model_advice; do \
	  $(BIN)/python benchmarks/$$one.py $(ARGS) || exit 1; \
	done

docs: setup
	@$(BIN)/uv tool run --quiet --with-requirements requirements/docs.lock --from sphinx \
	  sphinx-build --quiet --fail-on-warning --keep-going --builder html --conf-dir docs/site . dist/site
	@echo "dist/site/index.html"

wheel: setup
	@$(BIN)/python -m build --no-isolation --outdir dist .

# What the image installs, as CycloneDX
sbom: setup
	@$(BIN)/uv tool run --quiet --with-requirements requirements/sbom.lock --from cyclonedx-bom \
	  cyclonedx-py requirements requirements/image.lock --pyproject pyproject.toml \
	  --output-reproducible --output-file dist/otel-chat-$(shell sed -n 's/.*"\(.*\)"/\1/p' otel_chat/_version.py).cdx.json

clean:
	rm -rf $(VENV) dist .otel-chat
