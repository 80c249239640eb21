"""The prediction service: requests predicted together and logged in one transaction.

Free of any web framework: Flask's views call it with one request, the event loop with as many as
arrived while the last batch was answered.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from app.codecs import content_encoding, json_body, mlflow_invocations, predict
from app.codecs.predict import ParsedRequest, PredictionBatch
from app.messages import HttpRequest, HttpResponse
from app.metrics.metrics import Metrics
from app.prediction_log import records
from app.prediction_log.writer import PredictionLog, PredictionLogError
from app.problem_details import RequestError, no_model_error, request_error
from housing.prediction_log.table import LogEntry
from housing.schema import USD_PER_UNIT

if TYPE_CHECKING:
    from app.model.champion import Champion, ChampionLoader

CODECS: Mapping[str, ModuleType] = {"/predict": predict, "/invocations": mlflow_invocations}
LOG_UNAVAILABLE_MESSAGE = (
    "the log cannot be written, and no answer leaves unlogged; try again later"
)

logger = logging.getLogger(__name__)


class PredictionService:
    """The log, champion and metrics of one worker, and what it does with a request."""

    def __init__(
        self,
        prediction_log: PredictionLog,
        champion_loader: ChampionLoader,
        metrics: Metrics,
        config: Mapping[str, Any],
    ) -> None:
        self.prediction_log = prediction_log
        self.champion_loader = champion_loader
        self.metrics = metrics
        self.max_body_bytes: int = config["MAX_CONTENT_LENGTH"]
        self.row_limits = config["MAX_ROWS"], config["MAX_TABLE_ROWS"]
        self.allow_unlogged = config["LOG_POLICY"] == "available"

    def predict_batch(self, requests: list[HttpRequest]) -> list[HttpResponse]:
        """Return a response to each request once its rows are committed; 503 if they cannot be."""
        try:
            responses = self._predict_and_log(requests)
        except Exception:  # the failure of one request must not fail the others
            logger.exception("%d requests failed together", len(requests))
            responses = [self._predict_one(request) for request in requests]
        return self._finalize_responses(requests, responses)

    def reject_request(self, request: HttpRequest, error: RequestError) -> HttpResponse:
        """Return the response to a request that is refused before its body is read.

        It gets a row too, unless the client was not let in: anyone could fill the disk.
        """
        responses = [_encode_error(request, error)]
        if error.status == 429:
            self.metrics.count("housing_shed_requests", "limit")
        if error.status in (401, 429):
            self.prediction_log.write_line(records.request_line(request, error.status))
        else:
            responses = self._log_error(request, error, responses)
        return self._finalize_responses([request], responses)[0]

    def shed_request(self, request: HttpRequest) -> HttpResponse:
        """Return a 503 at once, as too many requests wait; it gets no row, as the log is behind."""
        self.metrics.count("housing_shed_requests", "queue")
        self.prediction_log.write_line(records.request_line(request, 503))
        error = request_error(503, "too many requests wait already; try again in a second")
        return self._finalize_responses([request], [_encode_error(request, error)])[0]

    def _finalize_responses(
        self, requests: list[HttpRequest], responses: list[HttpResponse]
    ) -> list[HttpResponse]:
        """Pack long bodies, add the tracing headers and count the responses."""
        pairs = [*zip(requests, responses, strict=True)]
        for request, response in pairs:
            content_encoding.encode_response(request, response)
            response.headers += request.tracing_headers()
        counts = Counter((request.path, response.status) for request, response in pairs)
        for (path, status), count in counts.items():
            self.metrics.count("housing_requests", path, str(status), amount=count)
        finished_at = time.perf_counter()
        for path in CODECS:
            seconds = [
                finished_at - request.started_at for request in requests if request.path == path
            ]
            if seconds:
                self.metrics.observe_all("housing_request_seconds", seconds, path)
        return responses

    def _predict_one(self, request: HttpRequest) -> HttpResponse:
        try:
            return self._predict_and_log([request])[0]
        except Exception:
            logger.exception("request %s failed", request.id)
            error = request_error(
                500, f"the service failed; its log has the reason under {request.id}"
            )
            return self._log_error(request, error, [_encode_error(request, error)])[0]

    def _predict_and_log(self, requests: list[HttpRequest]) -> list[HttpResponse]:
        champion = self.champion_loader.current()
        decode_results = [self._decode_request(request, champion) for request in requests]
        valid_requests = [
            (request, result)
            for request, result in zip(requests, decode_results, strict=True)
            if isinstance(result, ParsedRequest)
        ]
        batches: list[PredictionBatch] = []
        if champion and valid_requests:
            batches = self._run_model(champion, valid_requests)
        remaining_batches = iter(batches)
        log_entries: list[LogEntry] = []
        json_lines: list[bytes] = []
        responses: list[HttpResponse] = []
        for request, result in zip(requests, decode_results, strict=True):
            if isinstance(result, RequestError):
                log_entries.append(records.error_entry(request, result))
                json_lines.append(records.error_line(request, log_entries[-1]))
                responses.append(_encode_error(request, result))
            else:
                batch = next(remaining_batches)
                log_entries += records.prediction_entries(request, result, batch)
                json_lines.append(records.prediction_line(request, result, batch, log_entries[-1]))
                responses.append(CODECS[request.path].encode_response(result, batch))
        if not self._write_log(log_entries, b"".join(json_lines), len(requests)):
            return self._on_log_failure(requests, responses)
        if champion and batches:
            features = [parsed.features for _, parsed in valid_requests]
            self._record_prediction_metrics(champion, features, batches)
        return responses

    def _decode_request(
        self, request: HttpRequest, champion: Champion | None
    ) -> ParsedRequest | RequestError:
        try:
            content_encoding.decode_body(request, self.max_body_bytes)
            if champion is None:
                raise no_model_error(*self.champion_loader.absence())
            parsed_request = CODECS[request.path].decode_request(request, *self.row_limits)
            if parsed_request.explain and champion.training_domain is None:
                version = champion.model_info.version
                raise request_error(
                    422, f"version {version} was registered without the data that explanations need"
                )
            return parsed_request
        except RequestError as error:
            return error

    def _run_model(
        self, champion: Champion, valid_requests: list[tuple[HttpRequest, ParsedRequest]]
    ) -> list[PredictionBatch]:
        """Predict the rows of all requests at once; return the predictions of each request."""
        feature_batches = [parsed.features for _, parsed in valid_requests]
        # to concatenate a single array would copy it
        features = (
            feature_batches[0] if len(feature_batches) == 1 else np.concatenate(feature_batches)
        )
        predictions, warnings = champion.predict(features), champion.warnings(features)
        predictions_usd = np.round(predictions * USD_PER_UNIT, 2)
        batches = []
        start = 0
        for request, parsed in valid_requests:
            row_count = len(parsed.features)
            rows = slice(start, start + row_count)
            contributions = None
            if parsed.explain:
                explained_rows = parsed.features[: json_body.MAX_EXPLAINED_ROWS]
                contributions = champion.contributions(explained_rows)
            batches.append(
                PredictionBatch(
                    champion.model_info,
                    predictions[rows],
                    predictions_usd[rows],
                    warnings[rows],
                    [f"{request.id}-{index}" for index in range(row_count)],
                    contributions,
                )
            )
            start += row_count
        return batches

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
        """Commit the rows and return whether that succeeded."""
        started_at = time.perf_counter()
        try:
            self.prediction_log.write(log_entries, json_lines)
        except PredictionLogError as error:
            logger.error("the log cannot be written: %s", error)
            self.metrics.count("housing_log_failures")
            return False
        self.metrics.observe("housing_log_commit_seconds", time.perf_counter() - started_at)
        self.metrics.observe("housing_group_requests", request_count)
        return True

    def _on_log_failure(
        self, requests: list[HttpRequest], responses: list[HttpResponse]
    ) -> list[HttpResponse]:
        """Apply LOG_POLICY to responses that could not be logged: replace or mark them."""
        if self.allow_unlogged:
            self.metrics.count("housing_unlogged_answers", amount=len(requests))
            for response in responses:
                response.headers.append(("x-logged", "no"))
        else:
            error = request_error(503, LOG_UNAVAILABLE_MESSAGE)
            responses = [_encode_error(request, error) for request in requests]
        for request, response in zip(requests, responses, strict=True):
            self.prediction_log.write_line(records.request_line(request, response.status))
        return responses

    def _record_prediction_metrics(
        self, champion: Champion, features: list[np.ndarray], batches: list[PredictionBatch]
    ) -> None:
        """Record the values, warnings and feature deciles of the predicted rows."""
        version_labels = champion.model_info.name, champion.model_info.version
        values_usd = [value for batch in batches for value in batch.predictions_usd[:, 0].tolist()]
        self.metrics.observe_all("housing_prediction_usd", values_usd, *version_labels)
        unusual_rows = sum(bool(warnings) for batch in batches for warnings in batch.warnings)
        if unusual_rows:
            self.metrics.count("housing_unusual_rows", amount=unusual_rows)
        domain = champion.training_domain
        if domain is not None and domain.deciles is not None:
            self.metrics.count_input_deciles(features, domain.deciles)


def _encode_error(request: HttpRequest, error: RequestError) -> HttpResponse:
    return CODECS[request.path].encode_error(request, error)
