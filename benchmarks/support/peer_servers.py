"""The servers that are compared: what each needs, how it is started, asked and understood.

Each peer runs as its own documentation has it for such a model, with two worker processes, and
once more with its adaptive batching, where it has that.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

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

    @bentoml.api($how)
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
    server = litserve.LitServer($how, accelerator="cpu", workers_per_device=2)
    port = int(os.environ["PORT"])
    server.run("127.0.0.1", port, log_level="warning", generate_client_file=False)
"""
MLSERVER = """\
{"host": "127.0.0.1", "http_port": $port, "grpc_port": $second, "metrics_port": $third,
 "parallel_workers": 2, "debug": false}
"""
MLSERVER_MODEL = """\
{"name": "housing", "implementation": "mlserver_mlflow.MLflowRuntime", $how
 "parameters": {"uri": "$model"}}
"""
FLOOR = """\
from flask import Flask

hello = Flask(__name__)

@hello.post("/")
def say():
    return "Hello!\\n"

def adapted():
    from a2wsgi import WSGIMiddleware
    return WSGIMiddleware(hello)

async def bare(scope, receive, send):
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
    """A server. `$bin`, `$model`, `$port` and the like are put in where it starts."""

    name: str
    command: str
    path: str = "/"
    content: Callable[[np.ndarray], Any] = np.ndarray.tolist  # (n, 8) rows -> what is sent as JSON
    values: Callable[[Any], list[float]] | None = None  # what comes back as JSON -> predictions
    packages: tuple[str, ...] = ()  # besides what the model requires; the first names it
    files: Mapping[str, str] = {}  # in the folder where it starts
    how: str = ""  # a part of the files
    threads: str = "1"  # of OpenMP; empty: as many as it finds cores


def _records(rows: np.ndarray) -> Any:
    """An object, or a list of them."""
    found = [dict(zip(FEATURE_NAMES, row, strict=True)) for row in rows.tolist()]
    return found if len(found) > 1 else found[0]


def _tensors(rows: np.ndarray) -> Any:
    """As the Open Inference Protocol has it, a tensor a column."""
    columns = zip(FEATURE_NAMES, rows.T.tolist(), strict=True)
    told = {"datatype": "FP64", "shape": [len(rows), 1]}
    return {"inputs": [{"name": name, "data": values, **told} for name, values in columns]}


OURS = Server(
    "ours", "$bin/python -m app", "/predict",
    _records, lambda said: [one["prediction"] for one in said.get("predictions", [said])],
)  # fmt: skip
MLFLOW = Server(
    "mlflow models serve",
    "$bin/mlflow models serve -m $model -h 127.0.0.1 -p $port --workers 2 --env-manager local",
    "/invocations",
    lambda rows: {"dataframe_split": {"columns": FEATURE_NAMES, "data": rows.tolist()}},
    lambda said: said["predictions"],
    packages=("mlflow", "uvloop", "httptools"),
)
_BENTOML = Server(
    "BentoML", "$bin/bentoml serve service:Housing --host 127.0.0.1 -p $port", "/predict",
    lambda rows: {"input_data": rows.tolist()}, list,
    ("bentoml", "uvloop", "httptools"), {"service.py": BENTOML},
)  # fmt: skip
_MLSERVER = Server(
    "MLServer", "$bin/mlserver start .", "/v2/models/housing/infer",
    _tensors, lambda said: said["outputs"][0]["data"],
    # from 0.22 on uvloop makes no event loop by itself, and MLServer's workers end as they start
    ("mlserver", "mlserver-mlflow", "uvloop<0.22"),
    {"settings.json": MLSERVER, "model-settings.json": MLSERVER_MODEL},
)  # fmt: skip
_LITSERVE = Server(
    "LitServe", "$bin/python service.py", "/predict",
    lambda rows: {"input": rows.tolist()}, lambda said: said["output"],
    ("litserve",), {"service.py": LITSERVE}, "Housing()",
)  # fmt: skip
ALL_THREADS = MLFLOW._replace(name="mlflow models serve, all threads", threads="")
PEERS = (
    MLFLOW,
    ALL_THREADS,
    _BENTOML,
    _BENTOML._replace(name="BentoML, batching", how="batchable=True, max_batch_size=10_000"),
    _MLSERVER,
    _MLSERVER._replace(
        name="MLServer, batching", how='"max_batch_size": 64, "max_batch_time": 0.001,'
    ),
    _LITSERVE,
    _LITSERVE._replace(
        name="LitServe, batching", how="Batching(max_batch_size=64, batch_timeout=0.001)"
    ),
)
_BARE = Server(
    "bare ASGI, uvicorn", f"{UVICORN} floors:bare", content=_records,
    packages=("granian", "uvicorn", "uvloop", "httptools", "flask", "a2wsgi"),
    files={"floors.py": FLOOR},
)  # fmt: skip
FLOORS = (
    _BARE,
    _BARE._replace(name="Flask hello, uvicorn", command=f"{UVICORN} --factory floors:adapted"),
    _BARE._replace(name="Flask hello, Granian", command=GRANIAN),
)


class Left(Exception):
    """Raised for a server that cannot be measured, with the reason."""


def programs(server: Server, model: Path) -> Path:
    """Its environment's programs, made at the first use or when the model requires others.

    Raises Left with the installer's last word.
    """
    if not server.packages:
        return Path(sys.executable).parent
    folder = paths.PROJECT_ROOT / "var" / "peers" / server.packages[0]
    needs = json.dumps([(model / "requirements.txt").read_text(), *server.packages])
    stamp = folder / "installed.json"
    if not stamp.exists() or stamp.read_text() != needs:
        print(f"installing {server.packages[0]} in var/peers/", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        _install(folder, model, server.packages)
        stamp.write_text(needs)
    return folder / "bin"


def _install(folder: Path, model: Path, packages: Sequence[str]) -> None:
    """By uv where `make` has found one."""
    known, python = paths.PROJECT_ROOT / ".uv.done", folder / "bin" / "python"
    if known.exists():
        uv = str(paths.PROJECT_ROOT / known.read_text().strip())
        make = [uv, "venv", "-q", "-p", sys.executable]
        fill = [uv, "pip", "install", "-q", "-p", python, "--compile-bytecode"]
    else:
        make = [sys.executable, "-m", "venv"]
        fill = [python, "-m", "pip", "install", "-q"]
    for command in ([*make, folder], [*fill, "-r", "requirements.txt", *packages]):
        done = subprocess.run(command, cwd=model, capture_output=True, text=True)
        if done.returncode:
            raise Left(f"cannot be installed: {' '.join(done.stderr.split())[-300:]}")


def version(server: Server, folder: Path) -> str:
    """Of the package that gives a peer its name, in the folder of its programs."""
    if not server.packages:
        return server.name
    ask = f"import importlib.metadata as it; print(it.version({server.packages[0]!r}))"
    command = [folder / "python", "-c", ask]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return f"{server.name} {said.strip()}"
