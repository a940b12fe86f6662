# Needs Python 3.11 or later with venv, git and make; everything else is installed into .venv, pinned.
#   make demo       one hypothesis in ./demo, from the prediction to the verdict: CartPole, three seeds an arm, minutes
#   make test       the default test suite          make test-slow  the tests marked slow
#   make lint       format, lint, types, contracts, generated pages, this project's own log
#   make bench      ratios measured within one run   make bench-peers  our update against sheeprl's, in its own .venv-peers
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: setup demo test test-slow lint format bench bench-peers clean

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $(INSTALLED)

demo: $(INSTALLED)
	$(BIN)/dreamerlab init demo
	cd demo && ../$(BIN)/dreamerlab propose "change train.train_ratio=16 -> expect eval/return to fall by 100" --env cartpole --experiment nano --seeds 3
	cd demo && ../$(BIN)/dreamerlab run
	cd demo && ../$(BIN)/dreamerlab compare H1 --plot comparison.png
	cd demo && ../$(BIN)/dreamerlab log

test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m slow --timeout 1800

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/python -m dreamerlab.config.reference_docs --check
	$(BIN)/python -m dreamerlab.train.preset_docs --check
	$(BIN)/python -m dreamerlab.lab.diagnose_docs --check
	$(BIN)/dreamerlab lint

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks

bench-peers: $(INSTALLED) .venv-peers/.installed
	$(BIN)/python -m benchmarks.peers

.venv-peers/.installed: benchmarks/peers/requirements.txt
	test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check setuptools wheel
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -r benchmarks/peers/requirements.txt
	touch $@

clean:
	rm -rf .venv .venv-peers demo
