# Each target builds the environment it needs from the lock, once. PYTHON=3.12 picks another interpreter.
PYTHON ?= >=3.11,<3.15
PY := .venv/bin/python
DVC := $(PY) -m dvc
RAW := data/raw/california_housing.csv
export DVC_NO_ANALYTICS := 1

.PHONY: help setup-dev run monitor data-pull data-push data-init no-git serve lab mlflow test slow coverage packages image \
  container smoke push deploy rollback logs accuracy lint format lock audit licences changes clean

help:  ## this list
	@sed -nE 's/^([a-z-]+):.*## /\1\t/p' Makefile | expand -t 11

setup-dev: .venv/dev.done  ## the environment, and git hooks that strip notebooks and lint what is committed
	$(PY) -m pre_commit install

run: no-git  ## prepare, train and register on the real data; reports in reports/latest/
	@$(DVC) pull --quiet $(RAW).dvc </dev/null || echo "DVC brings no data; the pipeline says which it takes."
	$(PY) run_pipeline.py $(ARGS)

data-pull: no-git  ## the data of this commit, from DVC's remote: the raw file and the split
	$(DVC) pull $(RAW).dvc
	@$(DVC) pull --force prep || echo "The raw data is here, the split above is not: \`make run\` makes it again, and" \
	  "\`make data-push\`, by somebody who may write to the remote, brings it there."

# of a changed raw file `dvc repro` makes a new pointer before it runs the stage
data-push: no-git  ## record the data as it is here, with its split, and send both to the remote
	$(DVC) repro prep
	$(DVC) push
	@changed="$$(git status --short $(RAW).dvc dvc.yaml dvc.lock .dvc/config 2>/dev/null)"; [ -z "$$changed" ] || \
	  echo "The data has a new version once git has it: git add $$(echo "$$changed" | cut -c4- | xargs) && git commit"

data-init: .venv/run.done  ## set up DVC, its default remote being REMOTE=a folder, s3://..., ssh://..., https://...
	@[ -n "$(REMOTE)" ] || { echo "make data-init REMOTE=URI: a folder, s3://BUCKET/PATH, ssh://HOST/PATH, https://..."; exit 2; }
	@[ -d .dvc ] || $(DVC) init --quiet $$(git rev-parse --git-dir >/dev/null 2>&1 || echo --no-scm)
	@$(MAKE) --no-print-directory no-git
	@$(DVC) config core.analytics false
	@$(DVC) remote add --quiet --force --default shared "$(REMOTE)"
	@$(DVC) remote list

# DVC works without git if it is told that there is none
no-git: .venv/run.done
	@git rev-parse --git-dir >/dev/null 2>&1 || $(DVC) config --local core.no_scm true

monitor: .venv/run.done  ## watch the model in use: its traffic, and what became of it; report in reports/latest-monitor/
	$(PY) run_pipeline.py monitor $(ARGS)

serve: .venv/run.done  ## the registered champion on http://127.0.0.1:8081
	$(PY) -m app

lab: .venv/run.done  ## JupyterLab on notebooks/
	$(PY) -m jupyterlab notebooks $(ARGS)

mlflow: .venv/run.done  ## MLflow's pages on http://127.0.0.1:5000
	$(PY) -m mlflow ui --backend-store-uri "$$($(PY) -c 'from housing.tracking import store; store.client(); print(store.tracking_uri())')"

test: .venv/dev.done  ## the fast tests
	$(PY) $(COVERAGE) -m pytest -n auto --maxprocesses 8 -p no:nbval $(ARGS)  # nbval takes 2 s to load, in each process

slow: .venv/dev.done  ## the whole-system tests, the real data among them
	$(PY) $(COVERAGE) -m pytest -m slow -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

coverage: .venv/dev.done  ## branch coverage of the fast and the whole-system tests together; at least 90 %
	rm -rf "$${TMPDIR:-/tmp}/california-housing-coverage" && mkdir -p "$${TMPDIR:-/tmp}/california-housing-coverage"
	$(MAKE) test slow COVERAGE="-m coverage run"
	$(PY) -m coverage combine --quiet 2>/dev/null  # a process that a test killed leaves half a file
	$(PY) -m coverage report

image: $(if $(BAKED),.venv/run.done)  ## the image; BAKED=1: with the champion in it; TARGETS="serve pipeline": both
	deploy/image $(TARGETS)

container:  ## that image, on http://127.0.0.1:8081
	deploy/container

smoke:  ## whether that image answers, logs and stops
	deploy/smoke

push:  ## that image to a registry: IMAGE=docker.io/YOU/california-housing
	deploy/push

deploy:  ## IMAGE=… in place of the one that serves on this host, while it answers
	deploy/deploy "$(IMAGE)"

rollback:  ## the one before again
	deploy/rollback

logs:  ## what it was asked and answered, and what its container says; ARGS=--summary
	deploy/logs $(ARGS)

accuracy: .venv/bench.done  ## how good the models are, beside CatBoost and others
	$(PY) -m benchmarks.models.accuracy $(ARGS)

lint: .venv/dev.done  ## code, notebooks, Dockerfile, shell scripts, YAML and workflows; no network
	@.ci/lint

format: .venv/dev.done  ## what `make lint` would complain of, mended
	$(PY) -m ruff check --fix
	$(PY) -m ruff format
	$(PY) .ci/strip.py notebooks/*.ipynb

lock: .uv.done  ## new lock files and environment.yml from pyproject.toml
	UV="$$(cat .uv.done)" .ci/lock $(ARGS)

packages:  ## as root: Chromium, PostgreSQL and Prometheus from Debian, which make slow needs
	@.ci/packages

audit: .venv/dev.done  ## known vulnerabilities in what is locked, from PyPI
	@.ci/audit
	@.ci/audit .ci/build.txt

licences: .venv/dev.done  ## docs/licences.md: the licences of what is locked
	$(PY) .ci/licences.py

changes:  ## what VERSION=0.1.0 brings, from CHANGELOG.md
	@.ci/changes "$$VERSION"

clean:  ## everything generated but the data: runs, reports, models, logs
	rm -rf var .venv .uv .uv.done
	find reports -mindepth 1 -not -name .gitkeep -delete

# uv: the one on the PATH, else one of our own beside the checkout's other generated things
.uv.done:
	@command -v uv >$@.new || { python3 -m pip install --quiet --root-user-action=ignore --target .uv --require-hashes -r .ci/build.txt && echo .uv/bin/uv >$@.new; }
	@mv $@.new $@

.venv/run.done: requirements.txt pyproject.toml housing/inference/native/native.c .uv.done
	@.ci/environment "$(PYTHON)" requirements.txt
	@touch $@

.venv/dev.done: requirements-dev.txt pyproject.toml housing/inference/native/native.c .uv.done
	@.ci/environment "$(PYTHON)" requirements-dev.txt
	@touch $@ .venv/run.done

.venv/bench.done: requirements-bench.txt pyproject.toml housing/inference/native/native.c .uv.done
	@.ci/environment "$(PYTHON)" requirements-bench.txt
	@touch $@ .venv/dev.done .venv/run.done
