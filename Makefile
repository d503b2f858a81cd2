# make run    an agent plays Duel, a Game Boy game of ours, in real time for a minute
# make test   the whole test suite, after checking style
# make games  builds our Game Boy games anew (needs Debian's sdcc)
# make bench  measures this machine and rewrites results/; make bench ONLY=inference,update K=1,7 only speed beside PyTorch
# python benchmarks/in_a_run.py  whether an inference is as fast in a run as in a loop
# make figures  draws every picture of results/ and writes results/paper anew, from the tables that are committed there
# make soak   an hour's run, 50 kills of workers and 20 of whole runs; make soak MINUTES=5 is all of it, shorter, and writes to runs/soak
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
READY = $(VENV)/.ready

# Tests of real time want the machine for themselves; all others go two at a time.
ALONE = $(addprefix tests/system/test_,api.py cluster.py failures.py fast.py filming.py own_environments.py page.py resume.py runs.py \
	unread_terminal.py worlds.py)

.PHONY: run test bench figures soak games clean

run: $(READY)
	$(BIN)/python launch/run.py --flagfile=configs/duel.flags

test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile $(ALONE:%=--ignore=%)
	$(BIN)/python -m pytest --durations=12 $(ALONE)

bench: $(READY)
ifeq ($(ONLY)$(K),)
	$(BIN)/python benchmarks/realtime.py
	$(BIN)/python benchmarks/learning.py
	$(BIN)/python benchmarks/virtual.py
	$(BIN)/python benchmarks/agreement.py
endif
	$(BIN)/python benchmarks/speed.py $(if $(ONLY),--only=$(ONLY)) $(if $(K),--k=$(K))

figures: $(READY)
	$(BIN)/python launch/figures.py

soak: $(READY)
	$(BIN)/python benchmarks/soak.py $(if $(MINUTES),--minutes=$(MINUTES)) $(if $(ONLY),--only=$(ONLY))

games: $(READY)
	$(MAKE) -C rtrl_jax/environments/homebrew PYTHON=$(abspath $(BIN))/python

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rtrl_jax needs Python 3.11 or newer: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
	touch $(READY)

clean:
	rm -rf $(VENV)
