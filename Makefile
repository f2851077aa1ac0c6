# videojob: `make demo` runs the main job end to end, `make test` runs all tests; both set up everything they need.
SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON_BIN := .venv/bin/python
PACKAGES := crds/videojob operator/videojob_operator renderer/videojob_renderer api/videojob_api local/videojob_local
IMAGES := operator renderer api
TEST_WORKERS ?= 3
UV := $(shell command -v uv || echo .uv/bin/uv)
export MODEL PORT REGISTRY TAG
unexport PYTHONDONTWRITEBYTECODE # where it is set, every process would compile torch anew: half a minute each

.PHONY: help
help: ## Show this help
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{gsub(/\$$\$$/, "$$", $$2); printf "  make %-14s %s\n", $$1, $$2}'

.PHONY: setup
setup: ## Install the Python environment into .venv (the other targets do it by themselves)
	@scripts/setup

.PHONY: demo
demo: setup ## Run the main job: prompt in, MP4 out, on a real control plane (MODEL=..., PORT=8000)
	@$(PYTHON_BIN) -m videojob_local demo

.PHONY: up
up: setup ## Start the local stack and keep it running
	@$(PYTHON_BIN) -m videojob_local up

.PHONY: down
down: setup ## Stop the local stack and remove its state
	@$(PYTHON_BIN) -m videojob_local down

.PHONY: status
status: setup ## Say what runs, and its health
	@$(PYTHON_BIN) -m videojob_local status

.PHONY: logs
logs: setup ## Show the logs of the local stack (PART=operator, api, node, ...)
	@$(PYTHON_BIN) -m videojob_local logs $(PART)

.PHONY: env
env: setup ## Print shell settings for the local stack: eval "$$(make -s env)"
	@$(PYTHON_BIN) -m videojob_local env

.PHONY: test
test: setup ## Run all tests (TESTS=path to run some)
	@$(PYTHON_BIN) -m videojob_local build
	@$(PYTHON_BIN) -m pytest --numprocesses=$(TEST_WORKERS) --dist=loadfile --no-loadscope-reorder --reruns=1 --durations=20 --durations-min=20 $(TESTS)

.PHONY: bench-api
bench-api: setup ## Measure the REST API beside its peers and write bench/results/api*.json (about 10 minutes)
	@$(PYTHON_BIN) -m videojob_local build
	@$(PYTHON_BIN) -m bench.api.rates
	@$(PYTHON_BIN) -m bench.api.live
	@$(PYTHON_BIN) -m bench.api.downloads

.PHONY: bench-operator
bench-operator: setup ## Measure the operator with 10,000 jobs and write bench/results/operator.json (about 15 minutes)
	@$(PYTHON_BIN) -m videojob_local build
	@$(PYTHON_BIN) -m bench.operator

.PHONY: bench-scale
bench-scale: setup ## Simulate 1,000 nodes with 8 GPUs each and write bench/results/scale.json (some 20 minutes)
	@$(PYTHON_BIN) -m videojob_local build
	@$(PYTHON_BIN) -m bench.scale

.PHONY: chaos
chaos: setup ## Kill parts at random while 300 videos are rendered; write bench/results/chaos.json (JOBS=300, SEED=…)
	@$(PYTHON_BIN) -m videojob_local build
	@$(PYTHON_BIN) -m bench.chaos $(if $(JOBS),--jobs=$(JOBS)) $(if $(SEED),--seed=$(SEED))

.PHONY: bench-images
bench-images: setup ## Build each image twice and write bench/results/images.json: sizes, seconds, equal ids (about 15 minutes)
	@$(PYTHON_BIN) -m bench.images

.PHONY: drill-outage
drill-outage: setup ## Take the API server away for ten minutes while jobs run; write bench/results/outage.json (SECONDS_AWAY=600)
	@$(PYTHON_BIN) -m videojob_local build
	@$(PYTHON_BIN) -m bench.outage $(if $(SECONDS_AWAY),--seconds=$(SECONDS_AWAY))

.PHONY: images
images: setup ## Build the three images with docker or podman (REGISTRY=registry.example.com/video TAG=0.1.0)
	@$(PYTHON_BIN) -m videojob_local images

.PHONY: e2e
e2e: setup ## Test the images and the chart on a real node: containerd and kubelet (Linux, root)
	@$(PYTHON_BIN) -m videojob_local build
	@VIDEOJOB_E2E=1 $(PYTHON_BIN) -m pytest --reruns=1 --durations=8 tests/real_node

.PHONY: browser
browser: ## Install the browser that the tests of the page drive (Debian, as root); without one they are skipped
	@if command -v chromium >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	else echo "browser: install chromium (Debian: sudo apt-get install chromium); the tests of the page are skipped without it"; fi

.PHONY: bench-renderer
bench-renderer: setup ## Measure the renderer on the CPU with tiny weights and write bench/results/renderer.json (about 3 minutes)
	@$(PYTHON_BIN) -m bench.renderer

.PHONY: check
check: setup ## Check format, lint, types, import contracts and generated files
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy $(PACKAGES)
	@.venv/bin/lint-imports --no-logo
	@$(PYTHON_BIN) scripts/check_generated.py

.PHONY: format
format: setup ## Format the code
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

.PHONY: crds
crds: setup ## Write crds/videojobs.yaml and the chart's copy from the models
	@$(PYTHON_BIN) -m videojob.crd crds/videojobs.yaml charts/videojob/files/crd.yaml

.PHONY: docs
docs: setup ## Write docs/reasons.md from the catalogue of reasons, and the chart's README from its values
	@$(PYTHON_BIN) scripts/reasons_page.py
	@$(PYTHON_BIN) scripts/chart_readme.py

.PHONY: golden
golden: setup ## Write what the chart renders to into tests/chart/golden
	@$(PYTHON_BIN) scripts/golden_renders.py

.PHONY: lock
lock: ## Lock the dependencies again and export the images' requirement files
	@test -x "$(UV)" || scripts/setup # brings uv; it cannot go first, because it refuses a stale uv.lock
	@$(UV) lock
	@for image in $(IMAGES); do $(UV) export --quiet --locked --no-dev --no-emit-workspace --no-header --package videojob-$$image \
	  --format requirements-txt --output-file requirements/$$image.txt; done
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  requirements/build.in --output-file requirements/build.txt

.PHONY: clean
clean: ## Remove the environment and everything that was generated here (not the cache in the home folder)
	@rm -rf .venv .uv out .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
