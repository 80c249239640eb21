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
from app.codecs.predict import Found, Rows
from app.messages import Asked, Reply
from app.metrics.metrics import Metrics
from app.model.champion import Champion, Copy
from app.prediction_log import records
from app.prediction_log.access_log import Access
from app.prediction_log.writer import Entry, Log, Unlogged
from app.problem_details import Refused, refused
from housing.schema import USD

PROTOCOLS: Mapping[str, ModuleType] = {"/predict": predict, "/invocations": mlflow_invocations}
HOW_TO_GET_ONE = "there is no champion yet: `make run` trains and registers one"
UNLOGGED = "the log cannot be written, and no answer leaves unlogged; try again later"

logger = logging.getLogger(__name__)


class Service:
    """Log, champion and metrics of one worker."""

    def __init__(
        self, log: Log, copy: Copy, metrics: Metrics, access: Access, config: Mapping[str, Any]
    ) -> None:
        self.log, self.copy, self.metrics, self.access = log, copy, metrics, access
        self.limits = config["MAX_ROWS"], config["MAX_TABLE_ROWS"]
        self.available = config["LOG_POLICY"] == "available"

    def answer(self, group: list[Asked]) -> list[Reply]:
        """A reply for each, once its rows are committed; 503 for all if they cannot be."""
        try:
            replies = self._answer(group)
        except Exception:  # one request's failure must not be the others'
            logger.exception("%d requests failed together", len(group))
            replies = [self._alone(one) for one in group]
        return self._finish(group, replies)

    def _finish(self, group: list[Asked], replies: list[Reply]) -> list[Reply]:
        """The replies with what every one has, counted."""
        self.access.write([(asked, made.status, len(made.body))
                           for asked, made in zip(group, replies, strict=True)])  # fmt: skip
        for asked, made in zip(group, replies, strict=True):
            made.headers += asked.traces()
            self.metrics.count("housing_requests", asked.path, str(made.status))
        now = time.perf_counter()
        for path in PROTOCOLS:
            taken = [now - one.started for one in group if one.path == path]
            if taken:
                self.metrics.observe_all("housing_request_seconds", taken, path)
        return replies

    def refuse(self, asked: Asked, why: Refused) -> Reply:
        """The reply to a request that is refused before its body is looked at.

        It is logged too, but for one that nobody was let in with: anyone could fill the disk.
        """
        made = [PROTOCOLS[asked.path].refuse(asked, why)]
        if why.status == 429:
            self.metrics.count("housing_shed_requests", "limit")
        if why.status not in (401, 429):
            made = self._logged(asked, why, made)
        return self._finish([asked], made)[0]

    def shed(self, asked: Asked) -> Reply:
        """The reply where too many wait already: at once, and not logged, as the log is behind."""
        self.metrics.count("housing_shed_requests", "queue")
        why = refused(503, "too many requests wait already; try again in a second")
        return self._finish([asked], [PROTOCOLS[asked.path].refuse(asked, why)])[0]

    def _alone(self, asked: Asked) -> Reply:
        try:
            return self._answer([asked])[0]
        except Exception:
            logger.exception("request %s failed", asked.id)
            why = refused(500, f"the service failed; its log has the reason under {asked.id}")
            made = [PROTOCOLS[asked.path].refuse(asked, why)]
            return self._logged(asked, why, made)[0]

    def _answer(self, group: list[Asked]) -> list[Reply]:
        champion = self.copy.current()
        read = [self._read(one, champion) for one in group]
        good = [one for one in read if isinstance(one, Rows)]
        told = self._found(champion, good, group, read) if good else []
        found = iter(told)
        logged: list[Entry] = []
        lines: list[bytes] = []
        replies = []
        for asked, rows in zip(group, read, strict=True):
            protocol = PROTOCOLS[asked.path]
            if isinstance(rows, Refused):
                logged.append(records.refusal(asked, rows))
                lines.append(records.refused_line(asked, logged[-1]))
                replies.append(protocol.refuse(asked, rows))
            else:
                answers = next(found)
                logged += records.answered(asked, rows, answers)
                lines.append(records.answered_line(asked, rows, answers, logged[-1]))
                replies.append(protocol.write(rows, answers))
        if not self._log(logged, b"".join(lines), len(group)):
            return self._unlogged(group, replies)
        if good:
            self._count(champion, good, told)
        return replies

    def _read(self, asked: Asked, champion: Champion | None) -> Rows | Refused:
        try:
            if champion is None:
                raise refused(503, HOW_TO_GET_ONE)
            rows = PROTOCOLS[asked.path].read(asked, *self.limits)
            if rows.explain and champion.domain is None:
                version = champion.about["version"]
                raise refused(422, f"version {version} was registered without what explains its "
                              "answers")  # fmt: skip
            return rows
        except Refused as why:
            return why

    def _found(
        self, champion: Champion, good: list[Rows], group: list[Asked], read: list[Rows | Refused]
    ) -> list[Found]:
        """What the model says to all rows at once, and then to each request."""
        values = good[0].values if len(good) == 1 else np.concatenate([one.values for one in good])
        predicted, warnings = champion.predict(values), champion.warnings(values)
        usd = np.round(predicted * USD, 2)
        made, at = [], 0
        asked = [one for one, rows in zip(group, read, strict=True) if isinstance(rows, Rows)]
        for one, rows in zip(asked, good, strict=True):
            end = at + len(rows.values)
            ids = [f"{one.id}-{place}" for place in range(end - at)]
            added = None
            if rows.explain:
                added = champion.contributions(rows.values[: json_body.MOST_EXPLAINED])
            some = slice(at, end)
            answers = predicted[some], usd[some], warnings[some]
            made.append(Found(champion.about, *answers, ids, added))
            at = end
        return made

    def _logged(self, asked: Asked, why: Refused, made: list[Reply]) -> list[Reply]:
        entry = records.refusal(asked, why)
        if self._log([entry], records.refused_line(asked, entry), 1):
            return made
        return self._unlogged([asked], made)

    def _log(self, rows: list[Entry], lines: bytes, requests: int) -> bool:
        """Whether the rows are committed."""
        started = time.perf_counter()
        try:
            self.log.write(rows, lines)
        except Unlogged as failed:
            logger.error("the log cannot be written: %s", failed)
            self.metrics.count("housing_log_failures")
            return False
        self.metrics.observe("housing_log_commit_seconds", time.perf_counter() - started)
        self.metrics.observe("housing_group_requests", requests)
        return True

    def _unlogged(self, group: list[Asked], replies: list[Reply]) -> list[Reply]:
        """What LOG_POLICY says of replies that could not be logged."""
        if not self.available:
            why = refused(503, UNLOGGED)
            return [PROTOCOLS[one.path].refuse(one, why) for one in group]
        self.metrics.count("housing_unlogged_answers", by=len(group))
        for one in replies:
            one.headers.append(("x-logged", "no"))
        return replies

    def _count(self, champion: Champion, good: list[Rows], found: list[Found]) -> None:
        """Counts the rows that were answered, what they are like and what they are worth."""
        about, ranks = champion.about, champion.domain and champion.domain.deciles
        version = about["name"], about["version"]
        dollars = [value for one in found for value in one.usd[:, 0].tolist()]
        self.metrics.observe_all("housing_prediction_usd", dollars, *version)
        unusual = sum(bool(said) for one in found for said in one.warnings)
        if unusual:
            self.metrics.count("housing_unusual_rows", by=unusual)
        if ranks is not None:
            self.metrics.rank([one.values for one in good], ranks)
