# `make` alone lists the targets. Everything runs in .venv, which `make setup` fills from the locks.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

LOCKS := validators/llamafactory/environment/locks
COMPILE := .venv/uv/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-annotate --custom-compile-command "make lock" --quiet
PINS := grep '^[a-z]' requirements/dev.txt | tr -d '\\'

BUILD ?= build/demo
TARGET ?= train/recipes/tiny_lora.yaml
REPO ?=
MODEL ?=
METHOD ?= lora
ENV ?= transformers-4

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-audio demo-qwen demo-qwen-audio demo-minicpm test test-fast agreement agreement-real fidelity data model check init train train-full zero export push fmt lint types templates support tokenizer lock docs picture bench bench-builds clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install the locked environment into .venv (a second run returns at once)
	@$(PYTHON) scripts/bootstrap.py

demo: setup ## the whole path on real media with a tiny MiniCPM-V 4.5: build, check, LoRA, merge, full SFT with ZeRO-2
	@$(BIN)/python scripts/demo.py

demo-audio: setup ## LoRA and merge with a tiny MiniCPM-o 2.6 on sounds, and on videos with a sound beside them
	@$(BIN)/python scripts/demo.py sounds

demo-qwen: setup ## the same path as demo with a tiny Qwen2-VL
	@$(BIN)/python scripts/demo.py qwen

demo-qwen-audio: setup ## LoRA and merge: sounds (Qwen2-Audio), videos with their sound (Qwen2.5-Omni), in miniature
	@$(BIN)/python scripts/demo.py qwen-sounds

agreement-real: setup ## rows predicted and through MiniCPM's published code in the folder MMCURATE_REAL_MINICPM
	@$(BIN)/python scripts/agreement_real.py

demo-minicpm: setup ## LoRA and merge with a tiny MiniCPM-V 4.6, in its locked environment (`curate env`)
	@$(BIN)/python scripts/demo.py minicpm

test: setup ## lint, types, rooms, and every test, the real trainer's included
	@$(MAKE) --no-print-directory lint types
	@$(PYTHON) scripts/browser.py
	$(BIN)/python -m pytest -m "not trainer" -n 2
	$(BIN)/python -m pytest -m trainer

test-fast: setup ## every test that does not start the trainer
	@$(PYTHON) scripts/browser.py
	$(BIN)/python -m pytest -m "not trainer" -n 2

agreement: setup ## what the real trainer does against what is predicted: make agreement [ENV=transformers-5]
	$(BIN)/python scripts/overlay.py $(ENV) $(BIN)/python -m pytest -m trainer tests/agreement tests/probes tests/replay

fidelity: setup ## 12,000 rows predicted and through the real trainer: make fidelity [ENV=transformers-5]; writes docs/
	$(BIN)/python scripts/overlay.py $(ENV) $(BIN)/python scripts/fidelity.py --environment $(ENV)

data: setup ## build the demo datasets into build/demo
	$(BIN)/curate build examples/demo/recipe.yaml

model: data ## make the tiny demo model in build/tiny-qwen2vl
	$(BIN)/python -m train.tiny build/tiny-qwen2vl --text $(wildcard $(BUILD)/demo_*.json)

check: setup ## check TARGET (default: the demo's train yaml)
	$(BIN)/curate check $(TARGET)

init: setup ## write train and merge yaml for BUILD: make init MODEL=minicpm-v-4.5 [BUILD=build/demo] [METHOD=full]
	@test -n "$(MODEL)" || { echo "init: name the model: make init MODEL=minicpm-v-4.5"; exit 2; }
	$(BIN)/curate init $(BUILD) --model $(MODEL) --method $(METHOD)

train: setup ## LoRA on the demo data (after `make data model`)
	$(BIN)/curate train train/recipes/tiny_lora.yaml

train-full: setup ## full SFT with DeepSpeed ZeRO-2 on two CPU processes (after `make data model`)
	NPROC_PER_NODE=2 $(BIN)/curate train train/recipes/tiny_full.yaml

zero: model ## two steps under each DeepSpeed config of train/deepspeed, on two CPU processes
	$(BIN)/python scripts/zero.py

export: setup ## merge the LoRA adapter into its base (after `make train`)
	$(BIN)/curate export train/recipes/tiny_merge.yaml

push: setup ## send BUILD to the Hub: make push REPO=org/name [BUILD=build/demo]
	@test -n "$(REPO)" || { echo "push: name the repository: make push REPO=org/name"; exit 2; }
	$(BIN)/curate push $(BUILD) $(REPO)

fmt: setup ## format the code
	$(BIN)/ruff format -q .
	$(BIN)/ruff check -q --fix .

lint: setup ## style, and the direction between the rooms
	$(BIN)/ruff format --check -q .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: setup ## mypy, strict
	$(BIN)/mypy

templates: setup ## write the tables of the trainer's keys and templates anew from the installed llamafactory
	$(BIN)/python scripts/make_tables.py

support: setup ## run every model family under the versions of MMCURATE_PACKAGES; writes the support table
	$(BIN)/python scripts/make_support.py

tokenizer: setup ## write the embedded Qwen2 vocabulary anew from the package that requirements/tokenizer.txt pins
	$(BIN)/python scripts/make_tokenizer.py

lock: setup ## resolve the dependencies anew: of the development, and of each environment of the trainer
	$(COMPILE) --all-extras --group dev --upgrade -o requirements/dev.txt
	$(PINS) | $(COMPILE) --extra train -c /dev/stdin -o $(LOCKS)/transformers-4.txt
	@# transformers 5 takes another huggingface-hub
	for name in transformers-5 minicpm-v-4.6; do \
	  $(PINS) | grep -vE '^(transformers|tokenizers|huggingface-hub|hf-xet)=' | $(COMPILE) --extra train -c /dev/stdin \
	    --override requirements/$$name.in -o $(LOCKS)/$$name.txt || exit; \
	done

docs: setup ## write the documents that come from the code: rules, command line, configuration
	$(BIN)/python scripts/make_docs.py

picture: setup ## docs/report.png anew, from the broken demo's HTML report
	@$(PYTHON) scripts/browser.py
	$(BIN)/python scripts/screenshot.py

bench-builds: setup ## a million rows of text, 100,000 with media: memory and speed; writes bench/builds.md
	$(BIN)/python bench/builds.py

bench: setup ## measure; writes bench/results.md
	$(BIN)/python bench/run.py

clean: ## remove what the targets made, .venv excepted
	rm -rf .overlays build runs dist .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis *.egg-info
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
