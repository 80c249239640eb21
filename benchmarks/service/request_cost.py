"""What the response to a batch of requests costs, step by step, without the network.

.venv/bin/python -m benchmarks.service.request_cost [--rounds 300] [--home HOME]

The service's own functions run in this process, with the champion of HOME (`make run` first), on
batches of single rows of the test part, as they form under load, and on a list of 1,000 rows. The
figures are medians, in microseconds per row; each batch has other rows than the one before it.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain, cycle, islice, repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np

from app import create_app, response_headers
from app.messages import JSON_MEDIA_TYPE, HttpRequest
from app.model import registry_sync
from app.prediction_log import records
from app.prediction_service import CODECS, PredictionService
from benchmarks.support.local_service import STATE_FILES
from housing import paths
from housing.data import splitting, synthetic
from housing.schema import FEATURE_NAMES

BATCH_SIZES = 1, 8, 64
LIST_ROWS = 1_000
MIN_LIST_ROUNDS = 10
HEADERS = {"content-type": JSON_MEDIA_TYPE, "host": "127.0.0.1", "content-length": "180"}
T = TypeVar("T")


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--home", type=Path, default=paths.home())
    options = parser.parse_args()
    rows = synthetic.generate_sample(5_000)[FEATURE_NAMES].to_dict("records")
    with suppress(LookupError):
        rows = splitting.read_split().test[FEATURE_NAMES].to_dict("records")
    with TemporaryDirectory(dir=paths.var()) as folder:
        settings = {name: str(Path(folder) / file) for name, file in STATE_FILES.items()}
        registry_sync.sync_once(Path(settings["SERVING"]))
        service = create_app(settings).extensions["service"]
        bodies = cycle(json.dumps(row).encode() for row in rows)
        columns = {
            f"{size} together": measure(service, batches(bodies, size), size, options.rounds)
            for size in BATCH_SIZES
        }
        lists = batches(repeat(json.dumps(rows[:LIST_ROWS]).encode()), 1)
        list_rounds = max(MIN_LIST_ROUNDS, options.rounds // 30)
        columns[f"a list of {LIST_ROWS:,}"] = measure(service, lists, LIST_ROWS, list_rounds)
    print(f"| us a row | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
    for step in next(iter(columns.values())):
        cells = " | ".join(f"{column[step]:.1f}" for column in columns.values())
        print(f"| {step} | {cells} |")


def batches(bodies: Iterator[bytes], size: int) -> Iterator[list[HttpRequest]]:
    """Yield lists of `size` requests."""
    while True:
        yield [build_request(body) for body in islice(bodies, size)]


def build_request(body: bytes) -> HttpRequest:
    """Return a request as the connection builds it."""
    return HttpRequest("POST", "/predict", "", HEADERS, body, "127.0.0.1")


class StepTimer:
    """Durations by step."""

    def __init__(self) -> None:
        self.durations: dict[str, list[float]] = {}

    def __call__(self, step: str, function: Callable[..., T], *arguments: object) -> T:
        """Call a function and note how long it took."""
        start = time.perf_counter()
        result = function(*arguments)
        self.durations.setdefault(step, []).append(time.perf_counter() - start)
        return result


def measure(
    service: PredictionService, batches: Iterator[list[HttpRequest]], size: int, rounds: int
) -> dict[str, float]:
    """Return the median microseconds per row of each step, by its name.

    size: rows in a batch.
    """
    timed, champion = StepTimer(), service.champion_loader.current()
    encode = CODECS["/predict"].encode_response
    for batch in islice(batches, rounds):
        parsed = timed(
            "bodies read and checked", map_all, service._decode_request, batch, repeat(champion)
        )
        values = np.concatenate([request.features for request in parsed])
        timed("the model, with neighbours and intervals", champion.predict, values)
        timed("warnings", champion.warnings, values)
        predictions = service._run_model(champion, [*zip(batch, parsed, strict=True)])
        entries = timed(
            "rows for the log", map_all, records.prediction_entries, batch, parsed, predictions
        )
        first_entries = [request_entries[0] for request_entries in entries]
        lines = timed(
            "its lines",
            map_all,
            records.prediction_line,
            batch,
            parsed,
            predictions,
            first_entries,
        )
        log_rows = [*chain.from_iterable(entries)]
        timed("committed and appended", service.prediction_log.write, log_rows, b"".join(lines))
        features = [request.features for request in parsed]
        timed("counted", service._record_prediction_metrics, champion, features, predictions)
        responses = timed("answers written", map_all, encode, parsed, predictions)
        timed("counted, by status and time", service._finalize_responses, batch, responses)
        timed("headers", map_all, response_headers.encode_headers, responses)
        fresh_batch = [build_request(request.body) for request in batch]
        timed("**all, in one go**", service.predict_batch, fresh_batch)
    return {
        step: float(np.median(durations)) / size * 1e6
        for step, durations in timed.durations.items()
    }


def map_all(function: Callable[..., T], *arguments: Iterable) -> list[T]:
    """Return a list of the function's results."""
    return [*map(function, *arguments)]


if __name__ == "__main__":
    main()
