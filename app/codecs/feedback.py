"""POST /feedback: decoding a body into rows of feedback, and encoding what became of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from app.codecs import columns, csv_text, json_body, json_text, sandbox, tables
from app.codecs.columns import TableColumns
from app.codecs.feedback_models import FeedbackResult
from app.codecs.tables import CSV_MEDIA_TYPE, PARQUET_MEDIA_TYPE
from app.codecs.value_checks import with_line_number
from app.messages import JSON_MEDIA_TYPE, HttpRequest
from app.problem_details import (
    FieldError,
    RequestError,
    check_row_count,
    field_error,
    request_error,
    truncate_errors,
)
from housing.prediction_log.feedback import FeedbackOutcome, FeedbackReport
from housing.prediction_log.feedback_rows import (
    FEEDBACK_FIELDS,
    TEXT_FIELDS,
    TRUTH_UNITS,
    FeedbackError,
    describe_missing_columns,
    describe_unknown_field,
    parse_json,
    parse_texts,
)

# every row of a JSON request; of a longer table the first ones, and the number of the others
MAX_LISTED_PROBLEMS = json_body.MAX_JSON_ROWS
MAX_PARSER_MESSAGE_CHARS = 200
FEEDBACK_COLUMNS = TableColumns(
    expected_kinds={
        "id": "text (the ids of predictions)",
        "request_id": "text (the ids of requests)",
        "index": "numbers (of the predictions in their requests)",
        **{name: f"numbers ({unit})" for name, unit in TRUTH_UNITS.items()},
        "observed_at": "times, or text in ISO 8601",
    },
    text_names=TEXT_FIELDS,
    required_names=(),
    describe_unknown=describe_unknown_field,
    extra_way_out="leave such columns out",
)


class ParsedFeedback(NamedTuple):
    """The rows of a body, for `feedback.take_feedback`, and how to name them in a problem."""

    rows: list[Any]
    as_list: bool = True  # whether rows are named by their number
    line_numbers: Sequence[int] = ()  # from 1: where each row of a text begins


def decode_request(request: HttpRequest, max_rows: int, max_table_rows: int) -> ParsedFeedback:
    """Return the rows of a request, whose values are not yet checked. Raises RequestError."""
    media_type = tables.supported_media_type(request.headers.get("content-type", ""))
    if media_type == JSON_MEDIA_TYPE:
        json_text.convert_to_utf8(request)
        return _decode_json(request.body, max_rows)
    with tables.readable_table(media_type, request.body):
        if media_type == CSV_MEDIA_TYPE:
            return _decode_csv(request.body, max_table_rows)
        is_parquet = media_type == PARQUET_MEDIA_TYPE
        table = sandbox.read_table(request.body, is_parquet, max_table_rows, FEEDBACK_COLUMNS)
    values_by_name = table.texts | {
        name: [None if math.isnan(value) else value for value in values.tolist()]
        for name, values in table.numbers.items()
    }
    _check_columns(list(values_by_name))
    rows = zip(*values_by_name.values(), strict=True)
    return ParsedFeedback([dict(zip(values_by_name, row, strict=True)) for row in rows])


def _decode_json(body: bytes, max_rows: int) -> ParsedFeedback:
    as_list = json_body.starts_as_list(body)
    try:
        rows = parse_json(body.decode())
    except ValueError as error:
        message = str(error)[:MAX_PARSER_MESSAGE_CHARS]
        raise request_error(400, f"the body is not JSON: {message}") from None
    check_row_count(len(rows), max_rows)
    return ParsedFeedback(rows, as_list)


def _decode_csv(body: bytes, max_rows: int) -> ParsedFeedback:
    body = csv_text.convert_to_utf8(body)
    header = csv_text.read_header(body, FEEDBACK_FIELDS)
    columns.check_columns([(name, "") for name in header.names], FEEDBACK_COLUMNS)
    _check_columns(header.names)
    csv_text.check_line_count(body, header, max_rows)
    decimal_mark = "." if header.delimiter == "," else ","  # a point is understood too
    rows: list[Any] = []
    line_numbers: list[int] = []
    for row in csv_text.read_rows(body, header, max_rows):
        line_numbers.append(row.line_number)
        if row.problem:
            rows.append(FeedbackError(row.problem))
            continue
        cells = zip(header.names, row.cells, strict=True)
        # an index without a name is no field
        fields = {name: cell for name, cell in cells if name in FEEDBACK_FIELDS}
        rows.append(parse_texts(fields, decimal_mark))
    check_row_count(len(rows), max_rows)
    return ParsedFeedback(rows, line_numbers=line_numbers)


def _check_columns(names: Sequence[str]) -> None:
    """Raise RequestError unless a table can say which predictions it is about, and their truth."""
    problems = describe_missing_columns(names)
    if problems:
        raise RequestError(422, [field_error(problem, name) for name, problem in problems])


def encode_report(report: FeedbackReport, parsed: ParsedFeedback) -> FeedbackResult:
    """Return the answer to a request of which something was taken."""
    counts = {outcome.value: count for outcome, count in report.counts.items()}
    return FeedbackResult(**counts, errors=_field_errors(report, parsed))


def refusal(report: FeedbackReport, parsed: ParsedFeedback) -> RequestError | None:
    """Return the error of a request of which nothing could be taken."""
    if report.counts[FeedbackOutcome.REFUSED] < len(parsed.rows):
        return None
    return RequestError(422, _field_errors(report, parsed))


def _field_errors(report: FeedbackReport, parsed: ParsedFeedback) -> list[FieldError]:
    errors = [
        field_error(
            str(problem.error), problem.error.field, problem.row if parsed.as_list else None
        )
        for problem in report.problems[:MAX_LISTED_PROBLEMS]
    ]
    if parsed.line_numbers:
        errors = [with_line_number(error, parsed.line_numbers) for error in errors]
    return truncate_errors(errors, len(report.problems), MAX_LISTED_PROBLEMS)
