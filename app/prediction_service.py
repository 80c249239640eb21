"""What answers: groups of requests, predicted together and logged in one transaction.

Free of any web framework: Flask's views ask with a group of one, the event loop with as many as
have come while the last group was answered.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

from app.codecs import json_body, mlflow_invocations, predict
from app.codecs.predict import ParsedRequest, PredictionBatch
from app.messages import HttpRequest, HttpResponse
from app.metrics.metrics import Metrics
from app.model.champion import Champion, ChampionLoader
from app.prediction_log import records
from app.prediction_log.access_log import AccessLog
from app.prediction_log.writer import LogEntry, PredictionLog, PredictionLogError
from app.problem_details import RequestError, request_error
from housing.schema import USD_PER_UNIT

CODECS: Mapping[str, ModuleType] = {"/predict": predict, "/invocations": mlflow_invocations}
NO_CHAMPION_MESSAGE = "there is no champion yet: `make run` trains and registers one"
LOG_UNAVAILABLE_MESSAGE = (
    "the log cannot be written, and no answer leaves unlogged; try again later"
)

logger = logging.getLogger(__name__)


class PredictionService:
    """Log, champion and metrics of one worker."""

    def __init__(
        self,
        prediction_log: PredictionLog,
        champion_loader: ChampionLoader,
        metrics: Metrics,
        access_log: AccessLog,
        config: Mapping[str, Any],
    ) -> None:
        self.prediction_log, self.champion_loader, self.metrics, self.access_log = (
            prediction_log,
            champion_loader,
            metrics,
            access_log,
        )
        self.row_limits = config["MAX_ROWS"], config["MAX_TABLE_ROWS"]
        self.allow_unlogged = config["LOG_POLICY"] == "available"

    def predict_batch(self, requests: list[HttpRequest]) -> list[HttpResponse]:
        """A reply for each, once its rows are committed; 503 for all if they cannot be."""
        try:
            replies = self._predict_and_log(requests)
        except Exception:  # one request's failure must not be the others'
            logger.exception("%d requests failed together", len(requests))
            replies = [self._predict_one(one) for one in requests]
        return self._finalize_responses(requests, replies)

    def _finalize_responses(
        self, requests: list[HttpRequest], responses: list[HttpResponse]
    ) -> list[HttpResponse]:
        """The replies with what every one has, counted."""
        self.access_log.write([(asked, made.status, len(made.body))
                           for asked, made in zip(requests, responses, strict=True)])  # fmt: skip
        for asked, made in zip(requests, responses, strict=True):
            made.headers += asked.tracing_headers()
            self.metrics.count("housing_requests", asked.path, str(made.status))
        now = time.perf_counter()
        for path in CODECS:
            taken = [now - one.started_at for one in requests if one.path == path]
            if taken:
                self.metrics.observe_all("housing_request_seconds", taken, path)
        return responses

    def reject_request(self, request: HttpRequest, error: RequestError) -> HttpResponse:
        """The reply to a request that is refused before its body is looked at.

        It is logged too, but for one that nobody was let in with: anyone could fill the disk.
        """
        made = [CODECS[request.path].encode_error(request, error)]
        if error.status == 429:
            self.metrics.count("housing_shed_requests", "limit")
        if error.status not in (401, 429):
            made = self._log_error(request, error, made)
        return self._finalize_responses([request], made)[0]

    def shed_request(self, request: HttpRequest) -> HttpResponse:
        """The reply where too many wait already: at once, and not logged, as the log is behind."""
        self.metrics.count("housing_shed_requests", "queue")
        why = request_error(503, "too many requests wait already; try again in a second")
        return self._finalize_responses(
            [request], [CODECS[request.path].encode_error(request, why)]
        )[0]

    def _predict_one(self, request: HttpRequest) -> HttpResponse:
        try:
            return self._predict_and_log([request])[0]
        except Exception:
            logger.exception("request %s failed", request.id)
            why = request_error(
                500, f"the service failed; its log has the reason under {request.id}"
            )
            made = [CODECS[request.path].encode_error(request, why)]
            return self._log_error(request, why, made)[0]

    def _predict_and_log(self, requests: list[HttpRequest]) -> list[HttpResponse]:
        champion = self.champion_loader.current()
        read = [self._decode_request(one, champion) for one in requests]
        good = [one for one in read if isinstance(one, ParsedRequest)]
        told = self._run_model(champion, good, requests, read) if good else []
        found = iter(told)
        logged: list[LogEntry] = []
        lines: list[bytes] = []
        replies = []
        for asked, rows in zip(requests, read, strict=True):
            protocol = CODECS[asked.path]
            if isinstance(rows, RequestError):
                logged.append(records.error_entry(asked, rows))
                lines.append(records.error_line(asked, logged[-1]))
                replies.append(protocol.encode_error(asked, rows))
            else:
                answers = next(found)
                logged += records.prediction_entries(asked, rows, answers)
                lines.append(records.prediction_line(asked, rows, answers, logged[-1]))
                replies.append(protocol.encode_response(rows, answers))
        if not self._write_log(logged, b"".join(lines), len(requests)):
            return self._on_log_failure(requests, replies)
        if good:
            self._record_prediction_metrics(champion, good, told)
        return replies

    def _decode_request(
        self, request: HttpRequest, champion: Champion | None
    ) -> ParsedRequest | RequestError:
        try:
            if champion is None:
                raise request_error(503, NO_CHAMPION_MESSAGE)
            rows = CODECS[request.path].decode_request(request, *self.row_limits)
            if rows.explain and champion.training_domain is None:
                version = champion.model_info["version"]
                raise request_error(422, f"version {version} was registered without what explains its "
                              "answers")  # fmt: skip
            return rows
        except RequestError as why:
            return why

    def _run_model(
        self,
        champion: Champion,
        parsed_requests: list[ParsedRequest],
        requests: list[HttpRequest],
        decode_results: list[ParsedRequest | RequestError],
    ) -> list[PredictionBatch]:
        """What the model says to all rows at once, and then to each request."""
        values = (
            parsed_requests[0].features
            if len(parsed_requests) == 1
            else np.concatenate([one.features for one in parsed_requests])
        )
        predicted, warnings = champion.predict(values), champion.warnings(values)
        usd = np.round(predicted * USD_PER_UNIT, 2)
        made, at = [], 0
        asked = [
            one
            for one, rows in zip(requests, decode_results, strict=True)
            if isinstance(rows, ParsedRequest)
        ]
        for one, rows in zip(asked, parsed_requests, strict=True):
            end = at + len(rows.features)
            ids = [f"{one.id}-{place}" for place in range(end - at)]
            added = None
            if rows.explain:
                added = champion.contributions(rows.features[: json_body.MAX_EXPLAINED_ROWS])
            some = slice(at, end)
            answers = predicted[some], usd[some], warnings[some]
            made.append(PredictionBatch(champion.model_info, *answers, ids, added))
            at = end
        return made

    def _log_error(
        self, request: HttpRequest, error: RequestError, responses: list[HttpResponse]
    ) -> list[HttpResponse]:
        entry = records.error_entry(request, error)
        if self._write_log([entry], records.error_line(request, entry), 1):
            return responses
        return self._on_log_failure([request], responses)

    def _write_log(
        self, log_entries: list[LogEntry], json_lines: bytes, request_count: int
    ) -> bool:
        """Whether the rows are committed."""
        started = time.perf_counter()
        try:
            self.prediction_log.write(log_entries, json_lines)
        except PredictionLogError as failed:
            logger.error("the log cannot be written: %s", failed)
            self.metrics.count("housing_log_failures")
            return False
        self.metrics.observe("housing_log_commit_seconds", time.perf_counter() - started)
        self.metrics.observe("housing_group_requests", request_count)
        return True

    def _on_log_failure(
        self, requests: list[HttpRequest], responses: list[HttpResponse]
    ) -> list[HttpResponse]:
        """What LOG_POLICY says of replies that could not be logged."""
        if not self.allow_unlogged:
            why = request_error(503, LOG_UNAVAILABLE_MESSAGE)
            return [CODECS[one.path].encode_error(one, why) for one in requests]
        self.metrics.count("housing_unlogged_answers", amount=len(requests))
        for one in responses:
            one.headers.append(("x-logged", "no"))
        return responses

    def _record_prediction_metrics(
        self,
        champion: Champion,
        parsed_requests: list[ParsedRequest],
        batches: list[PredictionBatch],
    ) -> None:
        """Counts the rows that were answered, what they are like and what they are worth."""
        about, ranks = (
            champion.model_info,
            champion.training_domain and champion.training_domain.deciles,
        )
        version = about["name"], about["version"]
        dollars = [value for one in batches for value in one.predictions_usd[:, 0].tolist()]
        self.metrics.observe_all("housing_prediction_usd", dollars, *version)
        unusual = sum(bool(said) for one in batches for said in one.warnings)
        if unusual:
            self.metrics.count("housing_unusual_rows", amount=unusual)
        if ranks is not None:
            self.metrics.count_input_deciles([one.features for one in parsed_requests], ranks)
