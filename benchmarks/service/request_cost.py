"""What the answer to a group of requests costs, part by part, without the network.

.venv/bin/python -m benchmarks.service.request_cost [--rounds 300] [--home HOME]

The service's own parts, in this process, on the champion of HOME (`make run` first): groups of
single rows of the test part, as they come together under load, and a list of 1,000. Medians, in
microseconds a row; each group has other rows than the one before it.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain, cycle, islice, repeat
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from app import create_app, response_headers
from app.messages import JSON_MEDIA_TYPE, HttpRequest
from app.model import registry_sync
from app.prediction_log import records
from app.prediction_service import CODECS, PredictionService
from benchmarks.support.local_service import PLACES
from housing import paths
from housing.data import splitting, synthetic
from housing.schema import FEATURE_NAMES

GROUPS = 1, 8, 64
LIST = 1_000  # rows
HEADERS = {"content-type": JSON_MEDIA_TYPE, "host": "127.0.0.1", "content-length": "180"}
WRITE = CODECS["/predict"].encode_response


def main() -> None:
    """Prints a Markdown table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--home", type=Path, default=paths.home())
    options = parser.parse_args()
    rows = synthetic.generate_sample(5_000)[FEATURE_NAMES].to_dict("records")
    with suppress(LookupError):
        rows = splitting.read_split().test[FEATURE_NAMES].to_dict("records")
    with TemporaryDirectory(dir=paths.var()) as folder:
        told = {name: str(Path(folder) / file) for name, file in PLACES.items()}
        registry_sync.sync_once(Path(told["SERVING"]))
        service = create_app(told).extensions["service"]
        asks = cycle(json.dumps(one).encode() for one in rows)
        found = {f"{size} together": measured(service, groups(asks, size), size, options.rounds)
                 for size in GROUPS}  # fmt: skip
        long = iter(lambda: [asked(json.dumps(rows[:LIST]).encode())], None)
        found[f"a list of {LIST:,}"] = measured(service, long, LIST, max(10, options.rounds // 30))
    print(f"| us a row | {' | '.join(found)} |\n|{'---|' * (len(found) + 1)}")
    for part in next(iter(found.values())):
        print(f"| {part} | {' | '.join(f'{one[part]:.1f}' for one in found.values())} |")


def groups(asks: Iterator[bytes], size: int) -> Iterator[list[HttpRequest]]:
    """So many requests at a time."""
    while True:
        yield [asked(one) for one in islice(asks, size)]


def asked(body: bytes) -> HttpRequest:
    """A request, as the connection makes it."""
    return HttpRequest("POST", "/predict", "", HEADERS, body, "127.0.0.1")


def measured(
    service: PredictionService, given: Iterator[list[HttpRequest]], size: int, rounds: int
) -> dict[str, float]:
    """Part -> median microseconds a row."""
    taken: dict[str, list[float]] = {}

    def timed(part: str, work: Callable, *given: object) -> object:
        begun = time.perf_counter()
        made = work(*given)
        taken.setdefault(part, []).append(time.perf_counter() - begun)
        return made

    champion = service.champion_loader.current()
    for group in islice(given, rounds):
        read = timed(
            "bodies read and checked", each, service._decode_request, group, repeat(champion)
        )
        values = np.concatenate([one.values for one in read])
        timed("the model, with neighbours and intervals", champion.predict, values)
        timed("warnings", champion.warnings, values)
        told = service._run_model(champion, read, group, read)
        kept = timed("rows for the log", each, records.prediction_entries, group, read, told)
        first = [one[0] for one in kept]
        lines = timed("its lines", each, records.prediction_line, group, read, told, first)
        kept = [*chain.from_iterable(kept)]
        timed("committed and appended", service.prediction_log.write, kept, b"".join(lines))
        timed("counted", service._record_prediction_metrics, champion, read, told)
        replies = timed("answers written", each, WRITE, read, told)
        timed("access log, times", service._finalize_responses, group, replies)
        timed("headers", each, response_headers.encode_message, replies, repeat(True))
        timed("**all, in one go**", service.predict_batch, [asked(one.body) for one in group])
    return {part: float(np.median(times)) / size * 1e6 for part, times in taken.items()}


def each(work: Callable, *given: Iterable) -> list:
    """What it makes of each."""
    return [*map(work, *given)]


if __name__ == "__main__":
    main()
