# Two images of one checkout: `serve` (the last, so the default) answers, `pipeline` runs the notebooks
# and MLflow's server. Build them with `make image`. Both hold /srv/housing (the code) and /opt/venv
# (what the lock names), and run as a user that owns nothing but var/, reports/ and its data.
FROM python:3.11-slim AS build
ENV UV_NO_CACHE=1 UV_LINK_MODE=copy UV_SYSTEM_CERTS=1
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /srv/housing
COPY .ci/build.txt .ci/
RUN pip install --no-cache-dir --root-user-action=ignore --require-hashes -r .ci/build.txt && python -m venv --without-pip /opt/venv

FROM build AS build-serve
COPY requirements-serve.txt ./
RUN uv pip install --quiet --python /opt/venv/bin/python --require-hashes -r requirements-serve.txt \
  && find /opt/venv -type d -name tests -prune -exec rm -rf {} +
COPY pyproject.toml ./
COPY housing housing
COPY app app
# native.c is optional elsewhere; here nothing else could answer. What a start imports leaves its
# bytecode, as the running container cannot write any: all modules' would be 50 MB more
RUN python -W ignore -c "import setuptools; setuptools.setup()" --quiet build_ext --inplace \
  && HOUSING_HOME=/tmp /opt/venv/bin/python -c \
  "from app import __main__, create_app; from app.model import registry_sync; \
  from housing.inference.native import bindings; assert bindings.load_library(); \
  create_app(); registry_sync.sync_once(__import__('pathlib').Path('/tmp/serving'))" \
  && chmod -R a+rX app housing

FROM build AS build-pipeline
COPY requirements.txt ./
RUN uv pip install --quiet --python /opt/venv/bin/python --require-hashes -r requirements.txt
COPY pyproject.toml README.md run_pipeline.py ./
COPY housing housing
COPY pipeline pipeline
COPY app app
COPY notebooks notebooks
COPY .dvc .dvc
COPY dvc.lock dvc.yaml ./
COPY data data
RUN uv pip install --quiet --python /opt/venv/bin/python --no-deps --no-build-isolation \
  --config-setting editable_mode=compat -e . && rm -rf build && /opt/venv/bin/python -c \
  "import importlib, pkgutil; from housing.inference.native import bindings; assert bindings.load_library(); \
  [importlib.import_module(it.name) for one in ('housing', 'pipeline') for it in pkgutil.walk_packages([one], one + '.') \
  if '._' not in it.name]"

FROM python:3.11-slim AS run
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/srv/housing PYTHONUNBUFFERED=1 HOME=/tmp GIT_PYTHON_REFRESH=quiet
WORKDIR /srv/housing
# served: where the monitoring finds the volume of the service
RUN install -d -o 10001 -g 10001 var reports served
USER 10001:10001

FROM run AS pipeline
COPY --from=build-pipeline /opt/venv /opt/venv
COPY --from=build-pipeline --chown=10001:10001 /srv/housing ./
ARG SOURCE_COMMIT=""
ENV SOURCE_COMMIT=$SOURCE_COMMIT
# whether native.c's library came along; and podman's cache knows the commit only by a command after it
RUN python -c "from housing.inference.native import bindings; assert bindings.load_library()"
ENTRYPOINT ["python", "run_pipeline.py"]

FROM run AS serve
# counts are this container's own: two may share the volume while one takes over from the other
ENV HOUSING_HOST=0.0.0.0 HOUSING_BAKED=/srv/housing/model HOUSING_COUNTS=/tmp/counts
COPY --from=build-serve /opt/venv /opt/venv
COPY --from=build-serve /srv/housing/housing housing
COPY --from=build-serve /srv/housing/app app
# empty, but for an image that is to need no tracking server: `make image BAKED=1`
COPY deploy/model model
ARG SOURCE_COMMIT=""
ENV SOURCE_COMMIT=$SOURCE_COMMIT
RUN python -c "from housing.inference.native import bindings; assert bindings.load_library()"
EXPOSE 8081
VOLUME ["/srv/housing/var"]
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["python", "-m", "app.cli.health"]
CMD ["python", "-m", "app"]
