# On Debian, as root, each target installs what it needs, except for Rust, Python, Node, Go and a JDK. `make help` lists them.

WASM := wasm32-wasip1
XTASK := cargo run --quiet --package xtask --
MUSL := $(shell uname -m)-unknown-linux-musl
TARGET := $(or $(CARGO_TARGET_DIR),target)
SHELF := $(abspath $(TARGET))/istio-lab
DENY := $(TARGET)/tools/bin/cargo-deny
CARGO_SBOM := $(TARGET)/tools/bin/cargo-sbom
CARGO_FUZZ := $(TARGET)/tools/bin/cargo-fuzz
GECKODRIVER := $(TARGET)/tools/bin/geckodriver
PROMETHEUS := $(TARGET)/prometheus
FILES := $(TARGET)/release-files
CHART := $(TARGET)/chart
HELM ?= helm
COSIGN ?= cosign
IMAGE_DIGEST = $$(jq --raw-output '.manifests[0].digest' $(TARGET)/image/index.json)
CHART_DIGEST = $$(awk '$$1 == "Digest:" {print $$2}' $(CHART)/pushed)
# The runner has to have the library's version.
GUNGRAUN := $(shell sed -n '/^name = "gungraun"$$/{n;s/^version = "\(.*\)"/\1/p}' Cargo.lock)
RUNNER := $(abspath $(TARGET))/tools/gungraun-$(GUNGRAUN)/bin/gungraun-runner

# Cargo runs these only by name: they need more than Rust and Python.
SET_APART := adopt browser chart compose istio observability pipelines release reproducible

.DEFAULT_GOAL := help
.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-19s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The SDK exports callbacks that the filter does not use. Envoy would call them, so they are removed.
.PHONY: build
build: rust-$(WASM) ## Build the module, target/wasm32-wasip1/release/skew_guard.wasm
	cargo build --release --lib --target $(WASM)
	$(XTASK) trim $(TARGET)/$(WASM)/release/skew_guard.wasm

.PHONY: image
image: ## Build the module's image, target/image, the same to the byte on every machine; prints its digest
	$(XTASK) image

.PHONY: push
push: image skopeo ## Push the image: make push IMAGE=registry/name:tag; prints the lines that name it in the chart's values
	$(XTASK) push $(or $(IMAGE),$(error say where: make push IMAGE=registry/name:tag))

.PHONY: demo
demo: build ## Run a rolling update under load: with plain routing, with the filter only watching, and with it on
	cargo run --quiet --example demo -- rollout

# Vite 8 needs 20.19, or 22.12 and later.
NODE := $(shell command -v npm > /dev/null && node --eval 'const [major, minor] = process.versions.node.split(".").map(Number); \
	process.exit(major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19) ? 0 : 1)' 2> /dev/null && echo there)
PAGES := $(TARGET)/demo-pages

.PHONY: up
up: build $(if $(NODE),$(PAGES).built) ## Run the demo: a page that shows skew and ends it (needs Node; without it, only the shop runs)
	@$(if $(NODE),:,echo "Node 20.19 or 22.12 is not installed, so the demo's page cannot be built: the shop has its own.")
	cargo run --quiet --example demo -- up $(if $(NODE),--pages $(PAGES))

# Rebuilt only when a source has changed.
$(PAGES).built: $(shell find envoy/page client/src client/package-lock.json -type f -not -path '*/node_modules/*')
	$(MAKE) client
	npm --prefix envoy/page ci --no-audit --no-fund --loglevel=error
	npm --prefix envoy/page run --silent check
	rm -rf $(PAGES)
	for version in 1.4.2 2.0.0 2.1.0; do \
		VERSION=$$version npm --prefix envoy/page run --silent build -- --outDir $(abspath $(PAGES))/$$version || exit 1; \
	done
	@touch $@

.PHONY: images
images: build rust-$(MUSL) ## Build what envoy/docker-compose.yaml needs
	cargo run --quiet --example demo -- images

.PHONY: test
test: build ## Run all tests in real Envoy, except those with a target of their own
	cargo test --workspace --features skew-guard/cli

.PHONY: release-check
release-check: ## Check that a tag and all files have the same version: make release-check TAG=v1.2.3
	$(XTASK) check-version $(or $(TAG),$(error say which: make release-check TAG=v1.2.3))

.PHONY: release-files
release-files: $(CARGO_SBOM) ## Build the files of a release: the tool, its bill of materials, checksums
	rm -rf $(FILES)
	$(XTASK) tool
	$(CARGO_SBOM) --cargo-package skew-guard --output-format cyclone_dx_json_1_6 > $(FILES)/skew-guard.cdx.json
	cd $(FILES) && sha256sum *.tar.gz *.json > SHA256SUMS

.PHONY: push-chart
push-chart: ## Push the chart with the pushed image as its default: make push-chart IMAGE=registry/name:tag CHARTS=registry/charts
	rm -rf $(CHART)
	$(XTASK) chart $(or $(IMAGE),$(error say which: IMAGE=registry/name:tag))
	$(HELM) package $(CHART)/skew-guard --destination $(CHART)
	$(HELM) push $(HELM_FLAGS) $(CHART)/skew-guard-*.tgz oci://$(or $(CHARTS),$(error say where: CHARTS=registry/charts)) \
		> $(CHART)/pushed 2>&1 || { cat $(CHART)/pushed; exit 1; }
	cat $(CHART)/pushed

# By digest: a tag may be moved before it is signed.
.PHONY: sign
sign: ## Sign the pushed image and chart, the image's bill of materials, and the checksums of the files
	$(COSIGN) sign --yes $(COSIGN_FLAGS) $(IMAGE)@$(IMAGE_DIGEST)
	$(COSIGN) attest --yes $(COSIGN_FLAGS) --type cyclonedx --predicate $(FILES)/skew-guard.cdx.json $(IMAGE)@$(IMAGE_DIGEST)
	$(COSIGN) sign --yes $(COSIGN_FLAGS) $(CHARTS)/skew-guard@$(CHART_DIGEST)
	$(COSIGN) sign-blob --yes $(COSIGN_BLOB_FLAGS) --bundle $(FILES)/SHA256SUMS.sigstore.json $(FILES)/SHA256SUMS

.PHONY: release-dry-run
release-dry-run: lab-commands $(SHELF)/release/.built ## Do on loopback what the release workflow does (builds cosign and actionlint, needs Go)
	$(MAKE) -C tests/istio/tools SHELF=$(SHELF) $(SHELF)/helm/.built $(SHELF)/debian/.unpacked
	cargo test --test release

$(SHELF)/release/.built: tests/release/tools/go.mod tests/release/tools/go.sum
	@mkdir -p $(@D)
	cd $(<D) && nice go build -trimpath -ldflags '-s -w' -o $(@D)/ tool
	@touch $@

.PHONY: test-image
test-image: ## Test that the image is the same if it is built in another folder, with another Cargo home and other flags
	cargo test --package xtask --test reproducible -- --test-threads 1

.PHONY: test-compose
test-compose: build rust-$(MUSL) lab-commands ## Run envoy/docker-compose.yaml with a real Docker engine, and test it (without Compose v2, needs Go)
	$(MAKE) -C tests/istio/tools SHELF=$(SHELF) $(SHELF)/debian/.unpacked
	cargo test --test compose

.PHONY: test-chart
test-chart: ## Test what the Helm chart makes of its values (builds Helm, needs Go)
	$(MAKE) -C tests/istio/tools SHELF=$(SHELF) $(SHELF)/helm/.built
	cargo test --test chart

.PHONY: test-observability
test-observability: build $(PROMETHEUS)/.unpacked ## Test what an operator sees, with a real Prometheus that scrapes a real Envoy (needs Node)
	npm --prefix tests/observability/grafana ci --no-audit --no-fund --loglevel=error
	cargo test --test observability

# Unpacked, not installed: installing would start a service, and needs root.
$(PROMETHEUS)/.unpacked:
	@mkdir -p $(@D)
	cd $(@D) && { apt-get download prometheus || { apt-get update && apt-get download prometheus; }; }
	cd $(@D) && dpkg-deb --extract prometheus_*.deb .
	@touch $@

.PHONY: test-browser
test-browser: build client $(PAGES).built ## Test pages in a real browser, Chromium, during a rolling update and after (needs Node)
	command -v chromedriver > /dev/null || apt-get install --yes --quiet chromium chromium-driver
	cargo test --test browser

# Debian has no driver for its Firefox.
.PHONY: test-firefox
test-firefox: build client $(GECKODRIVER) ## The part of test-browser with every kind of request, in Firefox ESR (needs Node)
	command -v firefox-esr > /dev/null || apt-get install --yes --quiet firefox-esr
	BROWSER=firefox PATH=$(abspath $(dir $(GECKODRIVER))):$$PATH cargo test --test browser -- kinds::

# WebKitGTK needs a display, its driver cannot take it offline, and its cache does not keep what the second skipped test
# needs.
.PHONY: test-webkit
test-webkit: build client ## The part of test-browser with requests, tabs and leaving, in WebKitGTK (needs Node)
	{ command -v WebKitWebDriver && command -v xvfb-run; } > /dev/null || apt-get install --yes --quiet webkit2gtk-driver xvfb
	BROWSER=webkit xvfb-run --auto-servernum cargo test --test browser -- kinds:: tabs:: leaving:: \
		--skip being_offline --skip an_old_page_that_comes_back

.PHONY: client
client: ## Build the client, client/, and check its types (needs Node)
	npm --prefix client ci --no-audit --no-fund --loglevel=error
	npm --prefix client run check
	npm --prefix client run build

.PHONY: test-client
test-client: client ## Test the client, and how much it adds to a page (needs Node)
	npm --prefix client test

.PHONY: test-adopt
test-adopt: ## Test what client/adopting.md says: builds, web server, code (needs Node, and a JDK with Maven)
	command -v nginx > /dev/null || apt-get install --yes --quiet nginx-light
	cargo test --test adopt

.PHONY: istio-tools
istio-tools: ## Build the control planes and clients that test-istio runs (needs Go; a quarter of an hour without a cache)
	$(MAKE) -C tests/istio/tools SHELF=$(SHELF)

.PHONY: lab-commands
lab-commands: skopeo
	@for pair in ip:iproute2 jq:jq openssl:openssl; do \
		command -v $${pair%:*} > /dev/null || apt-get install --yes --quiet $${pair#*:}; \
	done

.PHONY: test-istio
test-istio: build istio-tools lab-commands ## Test the chart with Kubernetes' and Istio's own control planes and real rolling updates (hours; needs Go)
	cargo test --test istio

.PHONY: test-deploy
test-deploy: build istio-tools lab-commands ## The part of test-istio with whole deployments by one command, interrupted in every way (an hour; needs Go)
	cargo test --test istio -- deploy_

.PHONY: test-pipelines
test-pipelines: $(TARGET)/pipelines/actionlint istio-tools lab-commands build ## Test that GitHub, GitLab, Argo CD and Flux accept the files in istio/pipelines (needs Go and Node)
	npm --prefix tests/pipelines/tools ci --no-audit --no-fund --loglevel=error
	cargo test --test pipelines
	cargo test --test istio -- the_pipelines

$(TARGET)/pipelines/actionlint: tests/release/tools/go.mod tests/release/tools/go.sum
	@mkdir -p $(@D)
	cd $(<D) && nice go build -trimpath -ldflags '-s -w' -o $(abspath $@) github.com/rhysd/actionlint/cmd/actionlint

.PHONY: test-istio-main
test-istio-main: build istio-tools lab-commands ## The main part of test-istio: a rolling update, without the plugin and with it (needs Go)
	cargo test --test istio -- a_rolling_update

# Only this needs a nightly compiler, for libFuzzer's instrumentation.
FUZZ := cd fuzz && PATH=$(abspath $(TARGET))/tools/bin:$$PATH RUSTUP_TOOLCHAIN=nightly CARGO_TARGET_DIR=$(abspath $(TARGET))/fuzz nice cargo fuzz

.PHONY: fuzz
fuzz: $(CARGO_FUZZ) ## Fuzz each target for a while: make fuzz SECONDS=60 (FUZZ_TARGET= one of fuzz/targets)
	rustup toolchain list | grep -q '^nightly' || rustup toolchain install nightly --profile minimal
	for target in $(or $(FUZZ_TARGET),$(patsubst fuzz/targets/%.rs,%,$(wildcard fuzz/targets/*.rs))); do \
		mkdir -p $(abspath $(TARGET))/fuzz-corpus/$$target && \
		($(FUZZ) run --fuzz-dir . $$target $(abspath $(TARGET))/fuzz-corpus/$$target corpus/$$target -- \
			-max_total_time=$(or $(filter-out 0,$(SECONDS)),20) -print_final_stats=1 -timeout=10 -rss_limit_mb=4096) || exit 1; \
	done

.PHONY: hostile
hostile: build ## Send hostile requests through real Envoy, next to ordinary visitors: make hostile REQUESTS=100000
	HOSTILE_REQUESTS=$(REQUESTS) cargo test --test envoy -- --ignored endure::hostile

.PHONY: churn
churn: build ## Change configurations under load, valid and invalid ones: make churn CHANGES=200
	CHURN_CHANGES=$(CHANGES) cargo test --test envoy -- --ignored endure::churn

.PHONY: soak
soak: build ## Send requests of all classes, and plot the memory in use: make soak REQUESTS=5000000 (MINUTES= is a limit)
	SOAK_REQUESTS=$(REQUESTS) SOAK_MINUTES=$(MINUTES) cargo test --test envoy -- --ignored endure::soak

.PHONY: test-endure
test-endure: build ## Run hostile, churn and soak at their small sizes
	cargo test --test envoy -- --ignored endure::

.PHONY: roll-outs
roll-outs: build istio-tools lab-commands ## Do one disturbed roll-out after another in a real mesh, continuing after the last: make roll-outs ROLL_OUTS=100
	ROLL_OUTS=$(or $(ROLL_OUTS),1) ROLL_OUT_REQUESTS=$(or $(REQUESTS),10000) \
		cargo test --test istio -- a_rolling_update_with_killed

.PHONY: bench
bench: build ## Measure what the filter costs in real Envoy (QUICK=1, CLASS=, ROUNDS=, REQUESTS=, BESIDE=another.wasm)
	cargo bench --profile dev --bench cost

COUNTS := $(TARGET)/decision-counts.json

.PHONY: bench-decision
bench-decision: $(RUNNER) ## Count the instructions of decisions, and fail if there are too many (SAVE=1 writes the baseline)
	command -v valgrind > /dev/null || apt-get install --yes --quiet valgrind
	GUNGRAUN_RUNNER=$(RUNNER) cargo bench --package count-decisions --bench decision -- --output-format=json > $(COUNTS)
	cargo run --quiet --package count-decisions --example judge -- $(COUNTS)

.PHONY: check
check: rust-$(WASM) $(DENY) ## Check format, lints, licences, bans and sources
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features -- --deny warnings
	cargo clippy --workspace --all-features $(addprefix --test ,$(SET_APART)) -- --deny warnings
	cargo clippy --lib --package skew-guard --package empty-filter --target $(WASM) -- --deny warnings
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	$(DENY) check licenses bans sources
	$(DENY) --manifest-path fuzz/Cargo.toml check licenses bans sources

.PHONY: fmt
fmt: ## Format all code
	cargo fmt --all

.PHONY: clean
clean: ## Remove everything that was built or fetched
	cargo clean

.PHONY: skopeo
skopeo:
	@command -v skopeo > /dev/null || apt-get install --yes --quiet skopeo

rust-%:
	@rustup target list --installed | grep -qx '$*' || rustup target add '$*'

$(DENY) $(CARGO_FUZZ) $(CARGO_SBOM) $(GECKODRIVER):
	cargo install $(@F) --locked --quiet --root $(TARGET)/tools

$(RUNNER):
	cargo install gungraun-runner --locked --quiet --version $(GUNGRAUN) --root $(TARGET)/tools/gungraun-$(GUNGRAUN)
