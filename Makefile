# Two commands set everything up on a machine with Python 3.11 or later:
#   make run    estimate the shipped sample
#   make test   prove that everything holds
# PYTHON names another interpreter: make run PYTHON=python3.13

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
COMPILE := $(BIN)/pip-compile --quiet --upgrade --generate-hashes --strip-extras --allow-unsafe \
	--no-header --no-emit-index-url --no-emit-trusted-host --no-emit-find-links

HERE := not terminal and not browser and not node and not long

.PHONY: help run test test-all test-long bench audit reference pictures format coverage lock clean
.DELETE_ON_ERROR:

help:
	@echo 'make run       set up, then estimate the shipped sample'
	@echo 'make test      format, lint, types, import contracts, tests (Python only)'
	@echo 'make test-all  the tests that need more than Python: tmux, Chromium, Node'
	@echo 'make test-long  the tests that take minutes each: crash matrices, storms, large jobs'
	@echo 'make audit     compare every price with two public datasets (fetches them)'
	@echo 'make bench     measure anew what benchmarks/RESULTS.md says (an hour)'
	@echo 'make reference  write docs/reference.md anew, after a command or an option changed'
	@echo 'make pictures   draw docs/pictures anew, after a screen or a price changed'
	@echo 'make format    write the format and the safe fixes of the linter'
	@echo 'make coverage  the tests, with the lines that none of them reaches'
	@echo 'make lock      pin every dependency anew, with hashes'
	@echo 'make clean     remove the environment and every cache'

run: $(VENV)/.installed
	$(BIN)/planner estimate sample
	@echo
	@echo 'The same on the screen, with what-if keys: $(BIN)/planner sample'
	@echo 'Your own rows: $(BIN)/planner estimate FILE --model MODEL, or $(BIN)/planner FILE'

test: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -m '$(HERE)'

test-all: $(VENV)/.installed-dev $(VENV)/.aimock
	$(BIN)/python -m pytest -m '(terminal or browser or node) and not long'

test-long: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m long

# The packages are data here: fetched beside the environment, never installed or imported. What the
# catalog itself finds old or ahead is printed and fails nothing: most of it is nobody's mistake.
audit: $(VENV)/.installed-dev
	@$(BIN)/planner prices audit || true
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	$(PIP) download --no-deps --only-binary :all: --dest "$$folder" litellm genai-prices && \
	$(BIN)/python scripts/cross_check.py "$$folder" --as-of "$$(date -u +%F)"

bench: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/token_speed.py
	$(BIN)/python benchmarks/token_peers.py
	$(BIN)/python benchmarks/token_study.py
	$(BIN)/python benchmarks/table_speed.py

reference: $(VENV)/.installed-dev
	$(BIN)/python -m scripts.write_reference

pictures: $(VENV)/.installed-dev
	$(BIN)/python -m scripts.draw_pictures

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

coverage: $(VENV)/.installed-dev
	$(BIN)/coverage run -m pytest -m '$(HERE)'
	$(BIN)/coverage report

# Build and dev pins are constrained by what the program itself runs with, so that one
# environment can hold all three.
lock: $(VENV)/.installed-dev
	$(COMPILE) --extra openai --output-file requirements.txt pyproject.toml
	$(COMPILE) --constraint requirements.txt --extra dev \
		--output-file requirements-dev.txt pyproject.toml
	echo 'hatchling' | $(COMPILE) --constraint requirements-dev.txt \
		--output-file requirements-build.txt -
	@! grep -nEi '^ *(-i|-f|--index-url|--extra-index-url|--find-links|--trusted-host)|://' requirements*.txt

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# A stamp a step: nothing is installed again until a pin changes.
$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo '$(PYTHON) is older than 3.11: name another, as in make run PYTHON=python3.12'; exit 1; }
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.installed: $(VENV)/.created requirements.txt requirements-build.txt pyproject.toml
	$(PIP) install --require-hashes -r requirements.txt -r requirements-build.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt
	$(PIP) install --require-hashes -r requirements-dev.txt
	touch $@

# A vendor's server that nobody here wrote. Without npm or its registry the tests that want it
# skip, and say so.
AIMOCK := @copilotkit/aimock@1.43.0
$(VENV)/.aimock: $(VENV)/.created
	-@npm install --silent --no-audit --no-fund --ignore-scripts --prefix $(VENV)/node $(AIMOCK) && \
		touch $@
