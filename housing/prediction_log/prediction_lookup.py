"""Find the predictions that feedback is about, in the log and its archived months."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from housing.prediction_log import months, table
from housing.prediction_log.feedback_rows import FeedbackError, PredictionReference, quote
from housing.prediction_log.reader import open_table

IDS_PER_QUERY = 500
MAX_CLIENT_REQUESTS = 2  # of one name: more are as ambiguous
NOWHERE = "is neither in the log nor in its archived months"


class LoggedIds(NamedTuple):
    """What the log says of the ids that feedback names."""

    has_prediction: dict[str, bool]  # by id of a row: False if the request was refused
    # by the client's X-Request-ID: the requests with a prediction that had it
    client_requests: dict[str, list[str]]


def find_predictions(
    log: Path, archive_folder: Path, references: Sequence[PredictionReference]
) -> list[str | FeedbackError]:
    """Return the id of the prediction that each reference names, or why there is none.

    A row that is archived meanwhile is found. Raises RuntimeError if a file cannot be read.
    """
    ids = {row_id for reference in references for row_id in _candidate_ids(reference)}
    logged_ids = LoggedIds(_find_rows(log, archive_folder, ids), {})
    client_names = {
        reference.request_id
        for reference in references
        if reference.request_id is not None and not _is_logged(reference, logged_ids)
    }
    if client_names:
        for file in [log, *months.archive_paths(archive_folder)]:
            _add_client_requests(file, sorted(client_names), logged_ids)
        ids = {
            row_id
            for reference in references
            for request_id in logged_ids.client_requests.get(reference.request_id or "", [])
            for row_id in _candidate_ids(replace(reference, request_id=request_id))
        }
        logged_ids.has_prediction.update(_find_rows(log, archive_folder, ids))
    return [_find_prediction(reference, logged_ids) for reference in references]


def _candidate_ids(reference: PredictionReference) -> list[str]:
    """Return the ids of the rows that decide about a reference."""
    if reference.prediction_id is not None:
        return [reference.prediction_id]
    request_id = reference.request_id or ""
    indices = {0, 1, reference.index or 0}  # the second one shows whether there are several
    return [request_id, *(f"{request_id}-{index}" for index in indices)]


def _is_logged(reference: PredictionReference, logged_ids: LoggedIds) -> bool:
    return any(row_id in logged_ids.has_prediction for row_id in _candidate_ids(reference))


def _find_rows(log: Path, archive_folder: Path, ids: Iterable[str]) -> dict[str, bool]:
    """Return by id whether the row has a prediction; an id without a row is absent."""
    sorted_ids = sorted(ids)
    has_prediction: dict[str, bool] = {}
    _add_rows(log, sorted_ids, has_prediction)
    # a row is in its month before it leaves the log, so this order misses none
    archived_ids = [row_id for row_id in sorted_ids if row_id not in has_prediction]
    for month, month_ids in groupby(archived_ids, months.id_month):
        if month is not None:
            _add_rows(months.month_file(archive_folder, month), [*month_ids], has_prediction)
    return has_prediction


def _add_rows(file: Path, ids: Sequence[str], has_prediction: dict[str, bool]) -> None:
    with open_table(file) as connection:
        if connection is None:
            return
        for start in range(0, len(ids), IDS_PER_QUERY):
            chunk = ids[start : start + IDS_PER_QUERY]
            statement = (
                "SELECT id, prediction IS NOT NULL FROM prediction "
                f"WHERE id IN ({', '.join('?' * len(chunk))})"
            )
            for row_id, is_answered in connection.execute(statement, chunk):
                has_prediction[row_id] = bool(is_answered)


def _add_client_requests(file: Path, names: Sequence[str], logged_ids: LoggedIds) -> None:
    """Add what a file has of the requests that clients named so by the header X-Request-ID."""
    with open_table(file) as connection:
        if connection is None or "caller_id" not in table.column_types(connection):
            return
        for name in names:
            answered = connection.execute(
                "SELECT DISTINCT request_id FROM prediction WHERE caller_id = ? "
                "AND prediction IS NOT NULL LIMIT ?",
                (name, MAX_CLIENT_REQUESTS),
            ).fetchall()
            is_refused = (
                not answered
                and connection.execute(
                    "SELECT 1 FROM prediction WHERE caller_id = ? LIMIT 1", (name,)
                ).fetchone()
            )
            if answered or is_refused:
                requests = logged_ids.client_requests.setdefault(name, [])
                requests += [request_id for [request_id] in answered if request_id not in requests]


def _find_prediction(reference: PredictionReference, logged_ids: LoggedIds) -> str | FeedbackError:
    """Return the id of the prediction, or why there is none."""
    if reference.prediction_id is not None:
        return _check_prediction(reference.prediction_id, logged_ids)
    request_id = quoted_id = reference.request_id or ""
    if not _is_logged(reference, logged_ids):
        requests = logged_ids.client_requests.get(request_id)
        if requests is None:
            return _problem(f"{quote(quoted_id)}, which {NOWHERE}")
        if not requests:
            return _problem(f"{quote(quoted_id)}: it was refused and has no prediction")
        if len(requests) > 1:
            return _problem(
                f"{quote(quoted_id)}, the X-Request-ID of several requests: send the ids of the "
                "predictions"
            )
        [request_id] = requests
    return _find_in_request(request_id, quoted_id, reference.index, logged_ids)


def _check_prediction(row_id: str, logged_ids: LoggedIds) -> str | FeedbackError:
    match logged_ids.has_prediction.get(row_id):
        case True:
            return row_id
        case False:
            actual = "was refused and has no prediction"
        case None:
            hint = "" if "-" in row_id else "; the id of a prediction ends with its index, like -0"
            actual = f"{NOWHERE}{hint}"
    return FeedbackError(f"id is {quote(row_id)}, which {actual}", "id")


def _find_in_request(
    request_id: str, quoted_id: str, index: int | None, logged_ids: LoggedIds
) -> str | FeedbackError:
    """Return the id of a prediction of a request that is logged, or why there is none.

    quoted_id: how the sender names the request.
    """
    if request_id in logged_ids.has_prediction:
        if logged_ids.has_prediction[request_id]:
            return _problem(f"{quote(quoted_id)}, the id of a prediction: send it as id")
        return _problem(f"{quote(quoted_id)}: it was refused and has no prediction")
    if index is None and f"{request_id}-1" in logged_ids.has_prediction:
        return _problem(f"{quote(quoted_id)}, which has several predictions: send the index too")
    row_id = f"{request_id}-{index or 0}"
    if row_id in logged_ids.has_prediction:
        return row_id
    return FeedbackError(
        f"index is {index}, and the request {quote(quoted_id)} has no such prediction", "index"
    )


def _problem(description: str) -> FeedbackError:
    return FeedbackError(f"request_id is {description}", "request_id")
