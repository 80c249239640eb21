"""What a table's columns must be, whatever kind of table it is."""

from collections import Counter
from collections.abc import Mapping

from app.problem_details import MOST_PROBLEMS, OneProblem, Refused, refused, unknown, unlike
from housing.schema import FEATURES, NAMES

MOST = 1_000  # columns of a table
INDEX = "__index_level_"  # what pandas names an index that it writes along


def check_width(columns: int) -> None:
    """Raises Refused for more columns than anybody has block groups in."""
    if columns > MOST:
        raise refused(422, f"the table has {columns:,} columns, expected at most {MOST:,}")


def check(kinds: list[tuple[str, str]], more: bool) -> None:
    """Raises Refused unless there are the eight columns, of numbers, and no others but if more.

    kinds: the name of each column, and what it holds in words; nothing for numbers.
    """
    check_width(len(kinds))
    counts = Counter(name for name, _ in kinds)
    problems = []
    for name in NAMES:
        if counts[name] != 1:
            found = "there more than once" if counts[name] else "missing"
            sentence = f"the column {name} is {found}, expected {', '.join(NAMES)}"
            problems.append(OneProblem(field=name, row=None, problem=sentence))
    if not more:
        others = [one for one, _ in kinds if one not in NAMES and not one.startswith(INDEX)]
        problems += [unknown(one) for one in others[:MOST_PROBLEMS]]
    problems = problems or [_no_numbers(name, kind) for name, kind in kinds
                            if kind and name in NAMES]  # fmt: skip
    if problems:
        raise Refused(422, problems[:MOST_PROBLEMS])


def check_complete(empty: Mapping[str, int]) -> None:
    """Raises Refused if a column lacks values; empty: its name, and the first row without."""
    if empty:
        raise Refused(422, [unlike(name, row, "missing") for name, row in empty.items()])


def _no_numbers(name: str, kind: str) -> OneProblem:
    sentence = f"{name} is a column of {kind}, expected numbers ({FEATURES[name].unit})"
    return OneProblem(field=name, row=None, problem=sentence)
