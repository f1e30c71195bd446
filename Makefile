# make demo   sets up everything and runs the main job on phantoms
# make test   sets up everything and passes the tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export NO_MKDOCS_2_WARNING := 1

.PHONY: demo test slow lint docs bench lock clean

# A stamp for each lock file: the environment is built once and reused until the lock changes.
$(VENV)/core.stamp: requirements/core.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/core.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/test.stamp: requirements/test.lock $(VENV)/core.stamp
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/test.lock
	touch $@

demo: $(VENV)/core.stamp
	rm -rf demo
	$(BIN)/sorby demo steel --out demo

test: $(VENV)/test.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n auto --dist loadfile

slow: $(VENV)/test.stamp
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/test.stamp
	$(BIN)/ruff check src tests benchmarks docs
	$(BIN)/ruff format --check src tests benchmarks docs
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/test.stamp
	$(BIN)/mkdocs build --strict

bench: $(VENV)/test.stamp
	$(BIN)/python benchmarks/run.py

# Needs uv; versions and hashes only, no index or host addresses.
LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet
lock:
	$(LOCK) --extra test --extra docs --extra bench pyproject.toml requirements/build.in -o requirements/test.lock
	$(LOCK) -c requirements/test.lock pyproject.toml requirements/build.in -o requirements/core.lock
	$(LOCK) -c requirements/test.lock --extra all pyproject.toml requirements/build.in -o requirements/all.lock

clean:
	rm -rf demo runs site build dist
