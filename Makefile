# The commands that people type; continuous integration calls the same ones.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
ALLUVIUM := $(TARGET)/debug/alluvium
VENV := $(TARGET)/interop-venv
CONSOLE_VENV := $(TARGET)/console-venv
PEERS_VENV := $(TARGET)/peers-venv
PRODUCER_VENV := $(TARGET)/producer-venv
AWS_VENV := $(TARGET)/aws-venv
INFRA_VENV := $(TARGET)/infra-venv
WORKFLOWS_VENV := $(TARGET)/workflows-venv
PACKAGE_VENV := $(TARGET)/package-venv
PYTHON ?= python3
DENY_VERSION := 0.20.2
DENY := $(TARGET)/tools/bin/cargo-deny
ROUNDS ?= 50
FUZZ_VERSION := 0.13.2
FUZZ := $(TARGET)/tools/bin/cargo-fuzz
FUZZ_TARGETS ?= $(notdir $(wildcard fuzz/corpus/*))
FUZZ_SECONDS ?= 600
FUZZ_TOOLCHAIN ?= nightly
FUZZ_WORK := $(abspath $(TARGET))/fuzz
FUZZ_BUILD ?= $(FUZZ_WORK)/build

FUNCTIONS := $(addprefix --package alluvium-lambda-,transform commit gateway query authorizer hot-writer maintain report loader)
ARCHITECTURES ?= arm64 x86_64
DATASETS ?= datasets
REPORTS ?= reports
# Where Terraform looks for zips, whatever CARGO_TARGET_DIR says.
ZIPS := target/package

# Nothing of Terraform's working files lies in the tree.
export TF_DATA_DIR ?= $(abspath $(TARGET))/infra
export CHECKPOINT_DISABLE ?= 1

.PHONY: help demo build build-aws test test-interop test-console test-aws terraform-installed check check-infra check-workflows infra-checked package package-arm64 package-x86_64 package-local plan deploy deploy-planned destroy rollback smoke deny-installed advisories docs bench bench-records bench-peers bench-producer bench-handler bench-cold-start crash fuzz fuzz-installed nightly clean

help: ## List the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

demo: ## The whole pipeline for half a minute: generate, ingest, transform, commit, query, audit.
	@test -x $(ALLUVIUM) || echo "The first build compiles a query engine: about 7 minutes on two cores. Later ones take seconds."
	@$(CARGO) build --quiet
	@$(ALLUVIUM) demo

build: ## Build the alluvium command.
	$(CARGO) build

# One call of cargo for the command and the functions: apart they would have other features, and compile what they share twice.
build-aws: ## Build the alluvium command with what it does on AWS and for clients of Postgres, and the functions.
	$(CARGO) build --package alluvium-cli --features alluvium-cli/aws,alluvium-cli/postgres $(FUNCTIONS)

test: ## All tests that need only Rust, make and a C compiler.
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
		$(CARGO) nextest run --workspace; \
	else \
		$(CARGO) test --workspace --quiet; \
	fi

test-interop: build-aws $(VENV)/installed ## Other engines and clients (Python 3.11 or newer) judge what we write and serve.
	ALLUVIUM=$(abspath $(ALLUVIUM)) $(VENV)/bin/python -m pytest -q -p no:cacheprovider tests/interop

$(VENV)/installed: tests/interop/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r tests/interop/requirements.txt
	touch $@

test-console: build $(CONSOLE_VENV)/installed ## The console in a real browser; needs Chromium, and is skipped without one.
	ALLUVIUM=$(abspath $(ALLUVIUM)) $(CONSOLE_VENV)/bin/python -m pytest -q -rs -p no:cacheprovider tests/console

$(CONSOLE_VENV)/installed: tests/console/requirements.txt
	$(PYTHON) -m venv $(CONSOLE_VENV)
	$(CONSOLE_VENV)/bin/pip install --quiet --disable-pip-version-check -r tests/console/requirements.txt
	touch $@

test-aws: terraform-installed package-local $(AWS_VENV)/installed ## The real stack and functions on an emulator of AWS; needs terraform 1.11 or newer.
	$(CARGO) test --quiet --workspace --features alluvium-aws/emulator --test emulator --no-run
	CARGO=$(CARGO) ALLUVIUM=$(abspath $(ALLUVIUM)) ALLUVIUM_PACKAGES=$(abspath $(ZIPS)-local) \
		$(AWS_VENV)/bin/python -m pytest -q -p no:cacheprovider tests/aws

terraform-installed:
	@command -v terraform >/dev/null || { echo "terraform (1.11 or newer) is not installed" >&2; exit 1; }

$(AWS_VENV)/installed: tests/aws/requirements.txt
	$(PYTHON) -m venv $(AWS_VENV)
	$(AWS_VENV)/bin/pip install --quiet --disable-pip-version-check -r tests/aws/requirements.txt
	touch $@

check: ## Format, lints with warnings denied, dependency policy, architecture, packaging, infrastructure.
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features -- -D warnings
	$(CARGO) test --quiet -p alluvium-cli --test architecture
	$(MAKE) --no-print-directory deny-installed
	$(DENY) --all-features check --hide-inclusion-graph bans licenses sources
	$(PYTHON) -B -m unittest discover --quiet --start-directory infra/tests
	$(MAKE) --no-print-directory check-infra

check-infra: ## Terraform's format, validity and tests, and a policy scan; needs terraform 1.11 or newer.
	@if command -v terraform >/dev/null; then \
		$(MAKE) --no-print-directory infra-checked; \
	else \
		echo "check-infra: not checked, for terraform (1.11 or newer) is not installed"; \
	fi

infra-checked: $(INFRA_VENV)/installed
	infra/init.sh -backend=false
	terraform -chdir=infra fmt -check -recursive
	terraform -chdir=infra validate -no-color
	terraform -chdir=infra test -no-color
	$(INFRA_VENV)/bin/python -B -m unittest discover --quiet --start-directory infra/tests/templates
	$(INFRA_VENV)/bin/python -B -m unittest discover --quiet --start-directory infra/tests/whole
	$(INFRA_VENV)/bin/checkov --config-file infra/.checkov.yaml | tee $(INFRA_VENV)/scan.txt
	@! grep -q 'Parsing errors' $(INFRA_VENV)/scan.txt || { echo "checkov could not read all of infra" >&2; exit 1; }

$(INFRA_VENV)/installed: infra/requirements.txt
	$(PYTHON) -m venv $(INFRA_VENV)
	$(INFRA_VENV)/bin/pip install --quiet --disable-pip-version-check -r infra/requirements.txt
	touch $@

# The wheel of actionlint fetches its program from GitHub, which not every network lets through.
check-workflows: $(WORKFLOWS_VENV)/installed ## Lint of the workflows of GitHub Actions.
	$(WORKFLOWS_VENV)/bin/zizmor --quiet --offline --pedantic .github
	@if [ -x $(WORKFLOWS_VENV)/bin/actionlint ]; then \
		$(WORKFLOWS_VENV)/bin/actionlint .github/workflows/*.yml; \
	else \
		echo "check-workflows: actionlint cannot be had here, and was left out"; \
	fi

$(WORKFLOWS_VENV)/installed: .github/zizmor-requirements.txt .github/actionlint-requirements.txt
	$(PYTHON) -m venv $(WORKFLOWS_VENV)
	$(WORKFLOWS_VENV)/bin/pip install --quiet --disable-pip-version-check -r .github/zizmor-requirements.txt
	$(WORKFLOWS_VENV)/bin/pip install --quiet --disable-pip-version-check -r .github/actionlint-requirements.txt >/dev/null 2>&1 || true
	touch $@

package: $(addprefix package-,$(ARCHITECTURES)) ## The functions' zips for ARCHITECTURES (arm64 x86_64) in target/package, with the schemas of DATASETS and the reports of REPORTS.

package-arm64: TRIPLE := aarch64-unknown-linux-gnu
package-x86_64: TRIPLE := x86_64-unknown-linux-gnu
# Linked by zig against the glibc of Amazon Linux 2023, and for all functions at once, so that what they share compiles once.
package-arm64 package-x86_64: package-%: $(PACKAGE_VENV)/installed
	@test -d "$$(rustc --print target-libdir --target $(TRIPLE))" || rustup target add $(TRIPLE) || { \
		echo "package: Rust's standard library for $(TRIPLE) is not installed and cannot be had here;" \
			"with \`make package ARCHITECTURES=...\` the other architecture alone is packaged" >&2; exit 1; }
	PATH=$(abspath $(PACKAGE_VENV))/bin:$$PATH cargo-lambda lambda build --profile lambda --locked \
		--target $(TRIPLE).2.34 --skip-target-check --lambda-dir $(TARGET)/functions-$* $(FUNCTIONS)
	$(PYTHON) -B infra/package.py --architecture $* --binaries $(TARGET)/functions-$* --datasets $(DATASETS) --reports $(REPORTS) --out $(ZIPS)/$*

package-local: build-aws ## Zips for an emulator on this machine, from a debug build, in target/package-local.
	$(PYTHON) -B infra/package.py --local --binaries $(TARGET)/debug --datasets $(DATASETS) --reports $(REPORTS) --out $(ZIPS)-local

$(PACKAGE_VENV)/installed: infra/package-requirements.txt
	$(PYTHON) -m venv $(PACKAGE_VENV)
	$(PACKAGE_VENV)/bin/pip install --quiet --disable-pip-version-check -r infra/package-requirements.txt
	touch $@

deploy: ## Make or change the stack of STAGE on AWS, from the zips of `make package`; Terraform asks first.
	infra/stage.sh apply "$(STAGE)" $(ARGS)

plan: ## Write what a deploy of STAGE would do into the file PLAN, and show it.
	infra/stage.sh plan "$(STAGE)" -out="$(abspath $(PLAN))" $(ARGS)

deploy-planned: ## Do what the file PLAN says, and nothing else.
	PLAN="$(abspath $(PLAN))" infra/stage.sh apply "$(STAGE)" -input=false $(ARGS)

destroy: ## Remove the stack of STAGE from AWS; refused while it holds data, unless its on_destroy is delete.
	infra/stage.sh destroy "$(STAGE)" $(ARGS)

smoke: build-aws ## Run docs/aws-checklist.md against STAGE, which is deployed; SMOKE="--slow --only 5,7-10" says more.
	$(PYTHON) -B infra/smoke/run.py --stage "$(STAGE)" --alluvium $(abspath $(ALLUVIUM)) $(SMOKE)

rollback: ## Put FUNCTION of STAGE back to VERSION, until the next deploy.
	infra/stage.sh apply "$(STAGE)" -var 'live_versions={$(FUNCTION)="$(VERSION)"}' $(ARGS)

deny-installed:
	@$(DENY) --version 2>/dev/null | grep -qF ' $(DENY_VERSION)' || \
		CARGO_TARGET_DIR=$(abspath $(TARGET))/tools-build $(CARGO) install --quiet --locked --root $(TARGET)/tools cargo-deny@$(DENY_VERSION)

advisories: deny-installed ## Known vulnerabilities of dependencies; needs the advisory database from the network.
	$(DENY) check advisories

docs: build ## Write the documentation that is generated.
	$(ALLUVIUM) config --markdown > docs/configuration.md
	$(ALLUVIUM) config --openapi > docs/openapi.json
	ALLUVIUM=$(abspath $(ALLUVIUM)) $(PYTHON) -B benches/cost/render.py

bench: build $(VENV)/installed ## Measure end to end, and compaction, beside DuckDB on the same events in the same run.
	ALLUVIUM=$(abspath $(ALLUVIUM)) $(VENV)/bin/python benches/end_to_end.py
	ALLUVIUM=$(abspath $(ALLUVIUM)) $(VENV)/bin/python benches/compaction.py

# One call of cargo, as for build-aws. DuckDB is what its makers ship, and so are we: the first build takes half an hour.
bench-records: $(VENV)/installed ## Measure records of one source while events arrive, beside DuckDB and a row per event.
	$(CARGO) build --release --package alluvium-cli --package alluvium-query --package alluvium-local \
		--bin alluvium --example records_load --example item_per_event
	ALLUVIUM=$(abspath $(TARGET))/release/alluvium ALLUVIUM_EXAMPLES=$(abspath $(TARGET))/release/examples \
		$(VENV)/bin/python -B benches/records/run.py

bench-peers: $(PEERS_VENV)/installed ## Measure the conversion beside six other tools, each on one core.
	$(CARGO) build --release --package alluvium-peers
	ALLUVIUM_RELEASE=$(abspath $(TARGET))/release $(PEERS_VENV)/bin/python benches/peers/run.py

bench-producer: $(PRODUCER_VENV)/installed ## Measure our producer beside boto3 and a loop over the SDK, each on one core, to the same endpoint.
	$(CARGO) build --release --package alluvium-peers
	ALLUVIUM_RELEASE=$(abspath $(TARGET))/release $(PRODUCER_VENV)/bin/python -B benches/producer/run.py

bench-handler: ## Measure the Firehose handler beside the bare conversion of the same payloads, on one core.
	$(CARGO) build --release --package alluvium-peers
	$(PYTHON) -B benches/peers/events.py $(TARGET)/release/handler-events.ndjson 100000
	taskset -c $$($(PYTHON) -c 'import os; print(max(os.sched_getaffinity(0)))') $(TARGET)/release/handler $(TARGET)/release/handler-events.ndjson

bench-cold-start: ## Measure how fast the x86-64 zips start as Lambda starts them, and the transform's memory for 6 MB.
	$(MAKE) --no-print-directory package ARCHITECTURES=x86_64
	$(PYTHON) -B benches/cold_start/run.py $(ZIPS)/x86_64

$(PEERS_VENV)/installed: benches/peers/requirements.txt
	$(PYTHON) -m venv $(PEERS_VENV)
	$(PEERS_VENV)/bin/pip install --quiet --disable-pip-version-check -r benches/peers/requirements.txt
	touch $@

crash: build ## Kill the program ROUNDS times under load and audit each time.
	ALLUVIUM_CRASH_ROUNDS=$(ROUNDS) $(CARGO) test -p alluvium-cli --test crash -- --nocapture

# Without a sanitizer: it would watch for accesses outside of memory, which safe code cannot make. The one `unsafe` of ours in what
# is fuzzed (transform/src/scan/plain.rs) calls a function that needs SSE2 and touches no pointer. And without `cfg(fuzzing)`, under
# which some crates check less than they do in the program.
fuzz: fuzz-installed ## Fuzz each decoder of outside bytes for FUZZ_SECONDS (600); needs rustup's nightly and a C++ compiler.
	@failed=; \
	for target in $(FUZZ_TARGETS); do \
		grown=$(FUZZ_WORK)/corpus/$$target; broken=$(FUZZ_WORK)/broken/$$target/; dictionary=$(CURDIR)/fuzz/dictionaries/$$target.dict; \
		mkdir -p $$grown $$broken; \
		PATH=$(abspath $(TARGET))/tools/bin:$$PATH cargo +$(FUZZ_TOOLCHAIN) fuzz run \
			--release --sanitizer none --no-cfg-fuzzing --codegen-units 16 --target-dir $(FUZZ_BUILD) \
			$$target $$grown $(CURDIR)/fuzz/corpus/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 \
			-artifact_prefix=$$broken $$(test -f $$dictionary && echo -dict=$$dictionary) || failed="$$failed $$target"; \
	done; \
	test -z "$$failed" || { echo "found something:$$failed; the inputs are in $(FUZZ_WORK)/broken" >&2; exit 1; }

fuzz-installed:
	@$(FUZZ) --version 2>/dev/null | grep -qF ' $(FUZZ_VERSION)' || \
		CARGO_TARGET_DIR=$(abspath $(TARGET))/tools-build $(CARGO) install --quiet --locked --root $(TARGET)/tools cargo-fuzz@$(FUZZ_VERSION)

$(PRODUCER_VENV)/installed: benches/producer/requirements.txt
	$(PYTHON) -m venv $(PRODUCER_VENV)
	$(PRODUCER_VENV)/bin/pip install --quiet --disable-pip-version-check -r benches/producer/requirements.txt
	touch $@

nightly: ## What takes long: fuzzing, many cases of every property, many kills and made-up requests, zips for both architectures, benchmarks.
	$(MAKE) --no-print-directory fuzz
	PROPTEST_CASES=20000 $(CARGO) test --workspace --lib --quiet
	ALLUVIUM_SEEDS=0..10000 $(CARGO) test --workspace --lib --quiet -- model::
	$(MAKE) --no-print-directory crash ROUNDS=50
	ALLUVIUM_OPENAPI_EXAMPLES=600 $(MAKE) --no-print-directory test-interop
	$(MAKE) --no-print-directory package
	$(MAKE) --no-print-directory bench bench-records bench-peers bench-producer bench-handler bench-cold-start

clean: ## Remove everything that was built.
	$(CARGO) clean
