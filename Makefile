# make demo | make demo-full | make test | make test-slow | make pythons | make mutants | make lint | make docs | make weights
# Everything sets up its own environment in .venv, with the versions pinned in constraints.txt.

# The first Python that is new enough.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	if "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo "$$p"; break; fi; done)
BIN := .venv/bin

.PHONY: demo demo-full test test-slow pythons mutants lint docs weights clean

.venv/.ready: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "atm needs Python 3.11 or newer; set PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

demo: .venv/.ready
	$(BIN)/atm demo

demo-full: .venv/.ready
	$(BIN)/atm demo --full --out demo-full

test: .venv/.ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

test-slow: .venv/.ready
	$(BIN)/python -m pytest -m slow

# The fast tests on Python 3.11, 3.12 and 3.13, as far as they are here.
pythons: .venv/.ready
	$(BIN)/nox

# Breaks the alignment losses in a hundred places, one after another, and expects a red test each time.
mutants: .venv/.ready
	$(BIN)/python tests/mutants.py

lint: .venv/.ready
	$(BIN)/ruff check src tests examples docs/hooks.py noxfile.py
	$(BIN)/ruff format --check src tests examples docs/hooks.py noxfile.py
	$(BIN)/python tests/audit.py

# The pages of docs/ as a site that opens from its folder; it loads nothing from elsewhere.
docs: .venv/.ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo build/site/index.html

clean:
	rm -rf .venv build dist demo demo-full

# The weights that come with the package, some six hours on two cores (not run through); how the shipped ones were made stands in
# src/atm/weights/README.md. CAPTURED is a data folder of captured motion that is trained on beside the scripted one.
WEIGHTS := build/weights
TAUGHT := $(WEIGHTS)/$(if $(CAPTURED),together,scripted)
weights: .venv/.ready
	$(BIN)/atm data scripted $(WEIGHTS)/scripted --clips 24000 --seed 1
	test -z "$(CAPTURED)" || test -d $(TAUGHT) || $(BIN)/atm data join $(WEIGHTS)/scripted $(CAPTURED):2 $(TAUGHT)
	$(BIN)/atm train evaluator_scripted data=$(TAUGHT) steps=1800 validate_every=150 --out $(WEIGHTS)/evaluator
	$(BIN)/atm train space_scripted data=$(TAUGHT) steps=1600 learning_rate=4e-4 cosine_to=0.05 --out $(WEIGHTS)/space
	$(BIN)/atm train causal_flow_tiny data=$(TAUGHT) steps=600 cosine_to=none ema=0.99 --out $(WEIGHTS)/early
	$(BIN)/atm train causal_flow_small data=$(TAUGHT) model.learn=plan batch_size=64 steps=6000 learning_rate=1e-3 \
		--out $(WEIGHTS)/planner
	$(BIN)/atm train causal_flow_small data=$(TAUGHT) model.learn=all --from $(WEIGHTS)/planner --out $(WEIGHTS)/generator
	$(BIN)/atm pack $(WEIGHTS)/evaluator src/atm/weights/evaluator_scripted.safetensors
	$(BIN)/atm pack $(WEIGHTS)/space src/atm/weights/space_scripted.safetensors
	$(BIN)/atm pack $(WEIGHTS)/early src/atm/weights/causal_flow_tiny.safetensors
	$(BIN)/atm pack $(WEIGHTS)/generator src/atm/weights/causal_flow_small.safetensors
