# Needs python3 (3.11 or newer) with venv and pip, git and make. Nothing else.
# `make test` also drives a browser and tries the grader's sandbox where they are: Debian's packages `chromium` and
# `bubblewrap` (apt-get install chromium bubblewrap).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CHROMIUM ?= /usr/bin/chromium
export JAX_PLATFORMS ?= cpu
# No part of the stack may think that it is asked for help or telemetry on a machine without a network.
export PYDEVD_DISABLE_FILE_VALIDATION := 1

.PHONY: help book serve lab test lint notebooks clean exercises picture bench bench-grading bench-descent bench-course pdf links package

help:
	@echo "make book       build the book into _build/html, every page executed, and a deck of slides a chapter"
	@echo "make serve      build it and open it on http://127.0.0.1:8000"
	@echo "make pdf        print the built book into _build/pdf (needs Chromium)"
	@echo "make links      ask every other site that the book links to (needs the network)"
	@echo "make lab        open the exercises in JupyterLab"
	@echo "make test       lint, types, tests, nbval on the solutions, the built site in a browser"
	@echo "make exercises  make exercises/*.ipynb and solutions/*.ipynb again from solutions/*.md"
	@echo "make picture    draw book/_static/lazy.png again"
	@echo "make bench      time the kernels; PEER=/path/to/python times neural-tangents beside them and writes the record"
	@echo "make bench-grading NBGRADER=/path/to/python   time the grader beside nbgrader and write its part of the record"
	@echo "make bench-descent TORCH=/path/to/python   time a step of descent beside NumPy and PyTorch, for the record"
	@echo "make bench-course   time flows and a cold build of the book, for the record"
	@echo "make package    build the wheel and the source archive, install the wheel with what it requires into an empty"
	@echo "                environment and make a report there (needs the network)"
	@echo "make clean      remove what was built (the environment in .venv stays)"

$(READY): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(READY)

book: $(READY)
	$(BIN)/python book/_sphinx/build.py

serve: book
	@echo "The book is on http://127.0.0.1:8000 (Ctrl-C ends it)"
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html 8000

pdf: book
	$(BIN)/python book/_sphinx/pdf.py

# The links inside the book are tested with it; those to other sites need the network and can fail for their reasons.
links: book
	$(BIN)/jupyter-book build . --builder linkcheck

lab: $(READY)
	$(BIN)/jupyter lab exercises

exercises: $(READY)
	$(BIN)/python -m lazy_course.grading.generate

# The picture of the README and of the first page: the opening figure of the chapter on the criterion.
picture: $(READY)
	$(BIN)/python -c "import jax; from lazy_course.criterion import figures, training; \
	  figures.opening(training.opening_pair(jax.random.key(0))).savefig('book/_static/lazy.png', dpi=100)"

# PEER is the Python of an environment with neural-tangents 0.6.5; book/benchmarks.md says how to make one, and how to
# make NBGRADER, that of an environment with nbgrader 0.9.6.
bench: $(READY)
	$(BIN)/python -m tests.benchmarks.run $(if $(PEER),--peer $(PEER))

bench-grading: $(READY)
	$(BIN)/python -m tests.benchmarks.run --nbgrader $(NBGRADER)

# TORCH is the Python of an environment with PyTorch.
bench-descent: $(READY)
	$(BIN)/python -m tests.benchmarks.run --torch $(TORCH)

bench-course: $(READY)
	$(BIN)/python -m tests.benchmarks.run --course

# A test installs the wheel too, with the packages that are here already; this asks the index for all of them.
package: $(READY)
	rm -rf _build/dist _build/empty
	mkdir -p _build/dist
	$(BIN)/python -c "from setuptools import build_meta as b; b.build_wheel('_build/dist'); b.build_sdist('_build/dist')"
	rm -rf build
	$(PYTHON) -m venv _build/empty
	_build/empty/bin/python -m pip install --quiet --disable-pip-version-check _build/dist/*.whl
	cd _build/empty && bin/python -I -c "import jax.numpy as jnp; from lazy_course.report import laziness_report; \
	  x = jnp.linspace(-1.0, 1.0, 8)[:, None]; \
	  print(laziness_report(lambda w, x: jnp.tanh(x @ w), jnp.ones((1, 1)), x, x))"
	@ls _build/dist

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

notebooks: $(READY)
	$(BIN)/pytest --nbval solutions

# Lint and notebooks keep one core busy each; the book and the tests both.
test: $(READY)
	$(MAKE) --jobs 2 lint notebooks
	$(MAKE) book
	$(BIN)/pytest --numprocesses 2 --dist loadfile

clean:
	rm -rf _build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
