"""The errors of data that cannot be used: sentences for a user, shown without a traceback."""

from collections.abc import Sequence
from typing import Any

from housing.text import omission_text

MAX_LISTED_PROBLEMS = 30


class DataError(ValueError):
    """Data cannot be used. Its text is one line; a notebook shows all problems below each other."""

    def __init__(self, summary: str, problems: Sequence[str] = (), advice: str = "") -> None:
        """Describe the data in `summary`, and each problem in a sentence without a period."""
        self.summary, self.problems, self.advice = summary, list(problems), advice
        super().__init__(self._one_line())

    def _one_line(self) -> str:
        """Return the summary, the first problem, and how many more there are."""
        if not self.problems:
            return self.summary
        omission = f"; and {len(self.problems) - 1} more" if len(self.problems) > 1 else ""
        text = f"{self.summary}: {self.problems[0]}{omission}"
        return f"{text}. {self.advice}" if self.advice else text

    def _render_traceback_(self, *_args: Any, **_options: Any) -> list[str]:
        """Return the lines that IPython shows of this error instead of the stack."""
        if len(self.problems) <= 1:
            return [str(self)]
        problems = [f"- {problem}" for problem in self.problems[:MAX_LISTED_PROBLEMS]]
        omission = omission_text(len(self.problems), MAX_LISTED_PROBLEMS, "problems")
        return list(filter(None, [f"{self.summary}:", *problems, omission, self.advice]))


class MissingDataError(DataError, LookupError):
    """There is no data where it was looked for."""
