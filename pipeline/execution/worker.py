"""A process that runs one notebook after the other, each as papermill would, as the runner says.

    python -P -m pipeline.execution.worker

Reads JSON lines on stdin: a job, or {"stop": STATUS, "why": SENTENCE} for the one that is running;
the end of stdin stops it too. Writes JSON lines on stdout: each cell's start and end, then how
the notebook ended.
"""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# The grammar of internationalised web addresses: two seconds of import, for a check of formats
# that no notebook needs. jsonschema goes on without it.
sys.modules["rfc3987_syntax"] = None

import papermill  # noqa: E402
from papermill.exceptions import PapermillExecutionError  # noqa: E402

from pipeline.definition import parameters  # noqa: E402
from pipeline.execution import papermill_engine  # noqa: E402
from pipeline.execution.messages import FAILED, Job  # noqa: E402
from pipeline.execution.parameter_translator import Code  # noqa: E402


class _Lines:
    """Lines of a descriptor, waited for or taken as they come."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor, self.rest = descriptor, b""

    def read(self) -> bool:
        """Takes what there is, or waits for it; False at the end."""
        found = os.read(self.descriptor, 1 << 16)
        self.rest += found
        return bool(found)

    def take(self) -> Iterator[dict[str, Any]]:
        while b"\n" in self.rest:
            line, _, self.rest = self.rest.partition(b"\n")
            yield json.loads(line)


def main() -> None:
    """Serves until stdin closes."""
    out = os.dup(1)
    os.dup2(2, 1)  # what libraries print is no event
    lines = _Lines(0)

    def tell(event: str, **facts: Any) -> None:
        text = json.dumps({"event": event, **facts}, default=str)
        with contextlib.suppress(BrokenPipeError):
            os.write(out, text.encode() + b"\n") if len(text) < 4096 else _write(out, text)

    while lines.read():
        for job in lines.take():
            if "notebook" in job:  # a stop that came too late is none
                tell("end", **_run(job, tell, lines))


def _write(out: int, text: str) -> None:
    rest = text.encode() + b"\n"
    while rest:
        rest = rest[os.write(out, rest) :]


def _run(told: dict[str, Any], tell: Callable[..., None], lines: _Lines) -> dict[str, Any]:
    """Runs one notebook; says how it ended."""

    @contextlib.contextmanager
    def listen(stop: Callable[[str, str], None]) -> Iterator[None]:
        def heed() -> None:
            for one in lines.take():
                stop(one["stop"], one["why"])

        def heard() -> None:
            if not lines.read():
                stop("stopped", "the runner has gone")
                loop.remove_reader(lines.descriptor)
            heed()

        loop = asyncio.get_running_loop()
        loop.add_reader(lines.descriptor, heard)
        heed()  # what came together with the job
        try:
            yield
        finally:
            loop.remove_reader(lines.descriptor)

    job = Job(
        executed=Path(told["executed"]),
        folder=Path(told["folder"]),
        environment=told["environment"],
        sockets=Path(told["sockets"]),
        time_limit=told["time_limit"],
        memory_limit=told["memory_limit"],
        secrets=[os.environ[one] for one in told["secrets"]],
        tell=tell,
        listen=listen,
    )
    values = {name: _value(one) for name, one in told["values"].items()}
    try:
        papermill.execute_notebook(
            told["notebook"], None, values, engine_name=papermill_engine.NAME, progress_bar=False, job=job,
            kernel_name=parameters.kernel(Path(told["notebook"])), language="python",
        )  # fmt: skip
    except PapermillExecutionError:
        pass  # the job says it better
    except Exception as failed:
        job.ends(FAILED, f"{type(failed).__name__}: {failed}".splitlines()[0])
    kept = ("status", "failure", "traceback", "output", "cells", "peak_mb", "may_pass")
    return {one: getattr(job, one) for one in kept}


def _value(told: dict[str, Any]) -> Any:
    return Code(told["code"]) if "code" in told else told["value"]


if __name__ == "__main__":
    main()
