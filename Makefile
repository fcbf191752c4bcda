# Two commands on a fresh machine: make rollout, make test. Everything they need goes into .venv; what they leave is in var/.
PYTHON ?= python3.11
VENV := .venv
READY := $(VENV)/ready
RUNBOOK := ./runbook.py

export PIP_NO_CACHE_DIR := 1
export PYTHONDONTWRITEBYTECODE := 1

unexport RUNBOOK_SITE  # everything here is the lab's, whatever site the shell is set up for

.PHONY: rollout test again faults fuzz drills lint lint-python lint-plays bench setup lock clean

rollout: $(READY)  ## one whole monthly deployment on the embedded lab, unattended, from plan to report
	@umask 022; export $$(grep -v '^#' lab/strange.env); \
	trap '$(RUNBOOK) lab down' EXIT; \
	$(RUNBOOK) lab up && \
	$(RUNBOOK) plan new && \
	$(RUNBOOK) run --answers inventories/lab/answers.yml --at=-8d

test: $(READY)  ## every test but those that take minutes; it says at its end which; DRILLS=all leaves no drill out
	@mkdir -p var
	@tests/debian_parts.sh
	$(VENV)/bin/pytest

again: $(READY)  ## what failed in the last run, one after another with nothing beside it; more than three are too many to be chance
	@$(VENV)/bin/python -m tests.failed_again
	@# By one worker: without any, tests have other names (no @GROUP), and all tests of their files would run.
	$(VENV)/bin/pytest --last-failed --last-failed-no-failures=none --numprocesses=1

faults: $(READY)  ## 200 random kill moments of an outage, on real servers; FAULTS_SEED=N is one of them again
	@mkdir -p var
	@tests/debian_parts.sh
	FAULTS=200 $(VENV)/bin/pytest tests/faults

fuzz: $(READY)  ## 100,000 inputs for all that reads texts and documents, other ones each time; FUZZ_SEED=N is the same again
	@mkdir -p var
	FUZZ=$${FUZZ:-100000} $(VENV)/bin/pytest tests/fuzz

drills: $(READY)  ## every drill and other rehearsal with a fault in it, on three labs at a time; `./runbook.py drill NAME` for one
	@mkdir -p var
	@tests/debian_parts.sh
	$(VENV)/bin/pytest -m drill tests/lab

lint: lint-python lint-plays  ## every linter; with --jobs=2 on two cores

lint-python: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --cache-dir var/cache/imports
	$(VENV)/bin/python -m tests.policy.validate_modules
	$(VENV)/bin/vermin --quiet --no-tips --violations --target=3.8- plugins  # what hosts run

lint-plays: $(READY)
	$(VENV)/bin/yamllint --strict .
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" ansible-lint --offline --strict

bench: $(READY)  ## what we claim about speed
	$(VENV)/bin/python -m bench

setup: $(READY)  ## the virtual environment, from the lock file

$(READY): requirements.lock tests/modules/oldest_python.txt
	@command -v $(PYTHON) >/dev/null || { echo "E-no-python  $(PYTHON) is not here. Debian: apt-get install python3.11-venv; or make PYTHON=python3.12"; exit 2; }
	@for tool in ssh ssh-keygen patch; do command -v $$tool >/dev/null || { echo "E-no-tool  $$tool is not here. Debian: apt-get install openssh-client patch"; exit 2; }; done
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/pip install --quiet --require-hashes --requirement requirements.lock
	@# For the hosts' oldest Python, on which tests run modules too.
	$(VENV)/bin/pip install --quiet --target $(VENV)/oldest-python --no-deps --require-hashes --only-binary=:all: --python-version 3.8 \
		--implementation cp --abi cp38 --platform manylinux1_x86_64 --requirement tests/modules/oldest_python.txt
	@# The checkout is an Ansible collection: Ansible finds it as one.
	@collections=$$($(VENV)/bin/python -c 'import site; print(site.getsitepackages()[0])')/ansible_collections/downtime && mkdir -p "$$collections" && ln -sfn ../../../../../.. "$$collections/runbook"
	@touch $@

lock:  ## pin everything again (needs uv)
	uv pip compile pyproject.toml --group lab --group dev --universal --generate-hashes --no-annotate --no-header \
		--python-version 3.11 --upgrade --output-file requirements.lock

clean:  ## everything that is not in the repository; the lab must be down
	rm -rf $(VENV) var .ansible .hypothesis
