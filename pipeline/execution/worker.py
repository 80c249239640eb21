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
from pipeline.execution.messages import FAILED, NotebookJob  # noqa: E402
from pipeline.execution.parameter_translator import PythonExpression  # noqa: E402


class _JsonLineReader:
    """Lines of a descriptor, waited for or taken as they come."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor, self.buffer = descriptor, b""

    def fill_buffer(self) -> bool:
        """Takes what there is, or waits for it; False at the end."""
        found = os.read(self.descriptor, 1 << 16)
        self.buffer += found
        return bool(found)

    def take_messages(self) -> Iterator[dict[str, Any]]:
        while b"\n" in self.buffer:
            line, _, self.buffer = self.buffer.partition(b"\n")
            yield json.loads(line)


def main() -> None:
    """Serves until stdin closes."""
    out = os.dup(1)
    os.dup2(2, 1)  # what libraries print is no event
    lines = _JsonLineReader(0)

    def send_event(event: str, **fields: Any) -> None:
        text = json.dumps({"event": event, **fields}, default=str)
        with contextlib.suppress(BrokenPipeError):
            os.write(out, text.encode() + b"\n") if len(text) < 4096 else _write_line(out, text)

    while lines.fill_buffer():
        for job in lines.take_messages():
            if "notebook" in job:  # a stop that came too late is none
                send_event("end", **_run_job(job, send_event, lines))


def _write_line(descriptor: int, text: str) -> None:
    rest = text.encode() + b"\n"
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _run_job(
    request: dict[str, Any], send_event: Callable[..., None], reader: _JsonLineReader
) -> dict[str, Any]:
    """Runs one notebook; says how it ended."""

    @contextlib.contextmanager
    def listen_for_stop(stop: Callable[[str, str], None]) -> Iterator[None]:
        def take_stop_requests() -> None:
            for one in reader.take_messages():
                stop(one["stop"], one["why"])

        def on_readable() -> None:
            if not reader.fill_buffer():
                stop("stopped", "the runner has gone")
                loop.remove_reader(reader.descriptor)
            take_stop_requests()

        loop = asyncio.get_running_loop()
        loop.add_reader(reader.descriptor, on_readable)
        take_stop_requests()  # what came together with the job
        try:
            yield
        finally:
            loop.remove_reader(reader.descriptor)

    job = NotebookJob(
        executed_path=Path(request["executed"]),
        working_folder=Path(request["folder"]),
        environment=request["environment"],
        socket_folder=Path(request["sockets"]),
        time_limit=request["time_limit"],
        memory_limit=request["memory_limit"],
        secret_values=[os.environ[one] for one in request["secrets"]],
        send_event=send_event,
        listen_for_stop=listen_for_stop,
    )
    values = {name: _decode_value(one) for name, one in request["values"].items()}
    try:
        papermill.execute_notebook(
            request["notebook"], None, values, engine_name=papermill_engine.ENGINE_NAME, progress_bar=False, job=job,
            kernel_name=parameters.kernel_name(Path(request["notebook"])), language="python",
        )  # fmt: skip
    except PapermillExecutionError:
        pass  # the job says it better
    except Exception as failed:
        job.finish(FAILED, f"{type(failed).__name__}: {failed}".splitlines()[0])
    kept = ("status", "failure", "traceback", "output", "cell_status", "peak_mb", "retryable")
    return {one: getattr(job, one) for one in kept}


def _decode_value(encoded_value: dict[str, Any]) -> Any:
    return (
        PythonExpression(encoded_value["code"])
        if "code" in encoded_value
        else encoded_value["value"]
    )


if __name__ == "__main__":
    main()
