# make demo | make demo-full | make test | make test-slow | make mutants | make lint | make weights
# Everything sets up its own environment in .venv, with the versions pinned in constraints.txt.

# The first Python that is new enough.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	if "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo "$$p"; break; fi; done)
BIN := .venv/bin

.PHONY: demo demo-full test test-slow mutants lint weights clean

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

# Breaks the alignment losses in a hundred places, one after another, and expects a red test each time.
mutants: .venv/.ready
	$(BIN)/python tests/mutants.py

lint: .venv/.ready
	$(BIN)/ruff check src tests examples
	$(BIN)/ruff format --check src tests examples

clean:
	rm -rf .venv build dist demo demo-full

# The weights that come with the package; how the shipped ones were made stands in src/atm/weights/README.md.
weights: .venv/.ready
	$(BIN)/atm data scripted build/weights/data --clips 12000 --seed 1
	$(BIN)/atm train space_scripted data=build/weights/data --out build/weights/space
	$(BIN)/atm train space_scripted --from build/weights/space data=build/weights/data model.similarity=meaning \
		model.told_weight=1 model.crop_probability=0 model.time_warp=0.25 model.lambda_nce=1 sort_over=1 alike_over=16 \
		steps=1500 learning_rate=4e-4 cosine_to=0.05 --out build/weights/space_meaning
	$(BIN)/atm train evaluator_scripted data=build/weights/data --out build/weights/evaluator
	$(BIN)/atm train mdm_small data=build/weights/data steps=1000 cosine_to=none --out build/weights/early
	$(BIN)/atm train mdm_small data=build/weights/data --out build/weights/mdm
	$(BIN)/atm pack build/weights/space src/atm/weights/space_scripted.safetensors
	$(BIN)/atm pack build/weights/space_meaning src/atm/weights/space_meaning.safetensors
	$(BIN)/atm pack build/weights/evaluator src/atm/weights/evaluator_scripted.safetensors
	$(BIN)/atm pack build/weights/early src/atm/weights/mdm_small_early.safetensors
	$(BIN)/atm pack build/weights/mdm src/atm/weights/mdm_small.safetensors
