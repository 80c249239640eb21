"""The servers that are compared: their packages, start commands, request and response formats.

Each peer runs as its own documentation recommends for such a model, with two worker processes, and
a second time with its adaptive batching, where it has that.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.support import peer_environments
from benchmarks.support.peer_environments import InstallError
from housing import paths
from housing.schema import FEATURE_NAMES

BENTOML = """\
import os
import bentoml, mlflow, numpy as np, pandas as pd

@bentoml.service(workers=2)
class Housing:
    def __init__(self):
        self.model = mlflow.pyfunc.load_model(os.environ["MODEL"])
        self.names = self.model.metadata.get_input_schema().input_names()

    @bentoml.api($options)
    def predict(self, input_data: np.ndarray) -> np.ndarray:
        return self.model.predict(pd.DataFrame(input_data, columns=self.names))
"""
LITSERVE = """\
import os
import litserve, mlflow, pandas as pd

class Housing(litserve.LitAPI):
    def setup(self, device):
        self.model = mlflow.pyfunc.load_model(os.environ["MODEL"])
        self.names = self.model.metadata.get_input_schema().input_names()

    def decode_request(self, request):
        return request["input"]

    def predict(self, rows):
        return self.model.predict(pd.DataFrame(rows, columns=self.names)).tolist()

    def encode_response(self, output):
        return {"output": output}

class Batching(Housing):
    def batch(self, requests):
        return requests

    def predict(self, requests):
        answers = iter(super().predict([row for rows in requests for row in rows]))
        return [[next(answers) for _ in rows] for rows in requests]

    def unbatch(self, output):
        return output

if __name__ == "__main__":
    server = litserve.LitServer($options, accelerator="cpu", workers_per_device=2)
    port = int(os.environ["PORT"])
    server.run("127.0.0.1", port, log_level="warning", generate_client_file=False)
"""
MLSERVER = """\
{"host": "127.0.0.1", "http_port": $port, "grpc_port": $second, "metrics_port": $third,
 "parallel_workers": 2, "debug": false}
"""
MLSERVER_MODEL = """\
{"name": "housing", "implementation": "mlserver_mlflow.MLflowRuntime", $options
 "parameters": {"uri": "$model"}}
"""
FLOOR = """\
from flask import Flask

hello = Flask(__name__)

@hello.post("/")
def greet():
    return "Hello!\\n"

def create_asgi_app():
    from a2wsgi import WSGIMiddleware
    return WSGIMiddleware(hello)

async def bare_app(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-length", b"7"), (b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"Hello!\\n"})
"""
UVICORN = (
    "$bin/python -m uvicorn --host 127.0.0.1 --port $port --loop uvloop --http httptools "
    "--lifespan off --no-access-log"
)
GRANIAN = "$bin/python -m granian --interface wsgi --host 127.0.0.1 --port $port floors:hello"


class Server(NamedTuple):
    """How to run and query a server.

    `$bin`, `$model`, `$port`, `$second`, `$third` and `$options` are replaced in its command and
    in its files when it starts.
    """

    name: str
    command: str
    path: str = "/"
    to_json: Callable[[np.ndarray], Any] = np.ndarray.tolist  # (n, 8) rows -> JSON request
    predictions: Callable[[Any], list[float]] | None = None  # JSON response -> (n,); None: a floor
    packages: tuple[str, ...] = ()  # besides the model's requirements; the first one names it
    files: Mapping[str, str] = {}  # in the folder where it starts
    options: str = ""  # for $options in its files
    threads: str = "1"  # of OpenMP; empty: one for each core
    checkout: Path | None = None  # of this project, for a server of ours


def _records(rows: np.ndarray) -> Any:
    """Return the rows as a list of objects; a single row as one object."""
    records = [dict(zip(FEATURE_NAMES, row, strict=True)) for row in rows.tolist()]
    return records if len(records) > 1 else records[0]


def _tensors(rows: np.ndarray) -> Any:
    """Return the rows as an Open Inference Protocol request, one tensor per column."""
    columns = zip(FEATURE_NAMES, rows.T.tolist(), strict=True)
    tensor_type = {"datatype": "FP64", "shape": [len(rows), 1]}
    return {"inputs": [{"name": name, "data": values, **tensor_type} for name, values in columns]}


def _our_predictions(response: dict[str, Any]) -> list[float]:
    """Return the predictions of a list, or of a single row."""
    return [item["prediction"] for item in response.get("predictions", [response])]


OURS = Server(
    "ours",
    "$bin/python -m app",
    "/predict",
    _records,
    _our_predictions,
    checkout=paths.PROJECT_ROOT,
)
MLFLOW = Server(
    "mlflow models serve",
    "$bin/mlflow models serve -m $model -h 127.0.0.1 -p $port --workers 2 --env-manager local",
    "/invocations",
    lambda rows: {"dataframe_split": {"columns": FEATURE_NAMES, "data": rows.tolist()}},
    lambda response: response["predictions"],
    packages=("mlflow", "uvloop", "httptools"),
)
_BENTOML = Server(
    "BentoML",
    "$bin/bentoml serve service:Housing --host 127.0.0.1 -p $port",
    "/predict",
    lambda rows: {"input_data": rows.tolist()},
    list,
    packages=("bentoml", "uvloop", "httptools"),
    files={"service.py": BENTOML},
)
_MLSERVER = Server(
    "MLServer",
    "$bin/mlserver start .",
    "/v2/models/housing/infer",
    _tensors,
    lambda response: response["outputs"][0]["data"],
    # from 0.22 on, uvloop creates no event loop implicitly, and MLServer's workers end at start
    packages=("mlserver", "mlserver-mlflow", "uvloop<0.22"),
    files={"settings.json": MLSERVER, "model-settings.json": MLSERVER_MODEL},
)
_LITSERVE = Server(
    "LitServe",
    "$bin/python service.py",
    "/predict",
    lambda rows: {"input": rows.tolist()},
    lambda response: response["output"],
    packages=("litserve",),
    files={"service.py": LITSERVE},
    options="Housing()",
)
PEERS = (
    MLFLOW,
    MLFLOW._replace(name="mlflow models serve, all threads", threads=""),
    _BENTOML,
    _BENTOML._replace(name="BentoML, batching", options="batchable=True, max_batch_size=10_000"),
    _MLSERVER,
    _MLSERVER._replace(
        name="MLServer, batching", options='"max_batch_size": 64, "max_batch_time": 0.001,'
    ),
    _LITSERVE,
    _LITSERVE._replace(
        name="LitServe, batching", options="Batching(max_batch_size=64, batch_timeout=0.001)"
    ),
)
_BARE_ASGI = Server(
    "bare ASGI, uvicorn",
    f"{UVICORN} floors:bare_app",
    to_json=_records,
    packages=("granian", "uvicorn", "uvloop", "httptools", "flask", "a2wsgi"),
    files={"floors.py": FLOOR},
)
_FLASK_COMMAND = f"{UVICORN} --factory floors:create_asgi_app"
# the fastest that a server without a model can be
FLOORS = (
    _BARE_ASGI,
    _BARE_ASGI._replace(name="Flask hello, uvicorn", command=_FLASK_COMMAND),
    _BARE_ASGI._replace(name="Flask hello, Granian", command=GRANIAN),
)


def ours_of_checkout(checkout: Path) -> Server:
    """Return the service of another checkout of this project, which has its own environment."""
    checkout = checkout.resolve()
    command = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True)
    return OURS._replace(name=f"ours at {commit.stdout.strip()}", checkout=checkout)


class ServerError(Exception):
    """Raised for a server that cannot be measured, with the reason."""


def install(server: Server, model: Path) -> Path:
    """Return the bin folder of a server's environment.

    The environment is created at the first use, and again when the model's requirements change.
    Raises ServerError with the installer's last words.
    """
    if server.checkout not in (None, paths.PROJECT_ROOT):
        return server.checkout / ".venv" / "bin"
    if not server.packages:
        return Path(sys.executable).parent
    requirements = json.dumps([(model / "requirements.txt").read_text(), *server.packages])
    arguments = ["-r", "requirements.txt", *server.packages]
    try:
        return peer_environments.install(server.packages[0], requirements, arguments, model)
    except InstallError as error:
        raise ServerError(str(error)) from error


def versioned_name(server: Server, programs: Path) -> str:
    """Return a server's name with the version of its package.

    programs: the bin folder of its environment.
    """
    if not server.packages:
        return server.name
    code = f"from importlib.metadata import version; print(version({server.packages[0]!r}))"
    result = subprocess.run(
        [programs / "python", "-c", code], capture_output=True, text=True, check=True
    )
    return f"{server.name} {result.stdout.strip()}"
