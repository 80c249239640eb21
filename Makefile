# Each target builds the environment it needs from the lock, once. PYTHON=3.12 picks another interpreter.
PYTHON ?= >=3.11,<3.14
PY := .venv/bin/python
export DVC_NO_ANALYTICS := 1

.PHONY: help setup-dev run serve lab mlflow test slow packages image container smoke push deploy rollback logs accuracy \
  lint format lock audit licences changes clean

help:  ## this list
	@sed -nE 's/^([a-z-]+):.*## /\1\t/p' Makefile | expand -t 11

setup-dev: .venv/dev.done  ## the environment, and git hooks that strip notebooks and lint what is committed
	$(PY) -m pre_commit install

run: .venv/run.done  ## prepare, train and register on the real data; reports in reports/latest/
	@$(PY) -m dvc pull --quiet || echo "No DVC remote answers; the pipeline looks elsewhere and says where it found the data."
	$(PY) run_pipeline.py $(ARGS)

serve: .venv/run.done  ## the registered champion on http://127.0.0.1:8081
	$(PY) -m app

lab: .venv/run.done  ## JupyterLab on notebooks/
	$(PY) -m jupyterlab notebooks $(ARGS)

mlflow: .venv/run.done  ## MLflow's pages on http://127.0.0.1:5000
	$(PY) -m mlflow ui --backend-store-uri "$$($(PY) -c 'from housing import store; print(store.tracking_uri())')"

test: .venv/dev.done  ## the fast tests
	$(PY) -m pytest -n auto --maxprocesses 8 $(ARGS)

slow: .venv/dev.done  ## the whole-system tests, the real data among them
	$(PY) -m pytest -m slow -n auto --maxprocesses 2 --dist loadfile --no-loadscope-reorder $(ARGS)

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
	$(PY) benchmarks/accuracy.py $(ARGS)

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

.venv/run.done: requirements.txt pyproject.toml housing/native.c .uv.done
	@.ci/environment "$(PYTHON)" requirements.txt
	@touch $@

.venv/dev.done: requirements-dev.txt pyproject.toml housing/native.c .uv.done
	@.ci/environment "$(PYTHON)" requirements-dev.txt
	@touch $@ .venv/run.done

.venv/bench.done: requirements-bench.txt pyproject.toml housing/native.c .uv.done
	@.ci/environment "$(PYTHON)" requirements-bench.txt
	@touch $@ .venv/dev.done .venv/run.done
