"""The commands of on-demand steps: what their verdicts mean for the exit code, and what follows.

An on-demand step is a command of its own name, which runs it alone, whether or not something has
changed; it is no part of a run of the pipeline.
"""

from dataclasses import replace

from pipeline.cli.execute import RunOutcome
from pipeline.cli.selection import Selection, select_tasks
from pipeline.definition.project import Project
from pipeline.definition.steps import FollowUp, Step

FAILED_VERDICT_EXIT_CODE = 3


def summary(step: Step) -> str:
    """Return the help of a step's command."""
    return f"Run the notebook {step.notebook.name}, which is no part of run."


def select_follow_up(pipeline: list[Step], follow_up: FollowUp | None) -> Selection | None:
    """Return the tasks of the run that may follow; None if none may.

    Raises ValueError for a parameter that no step has: better before the step has run than after.
    """
    if follow_up is None:
        return None
    return select_tasks(pipeline, _parameter_texts(follow_up), [], [])


def follow_up_project(project: Project, follow_up: FollowUp) -> Project:
    """Return the project with the command line by which a user would start the run that follows."""
    if project.invocation is None:
        return project
    words = [word for text in _parameter_texts(follow_up) for word in ("-p", text)]
    return project._replace(invocation=replace(project.invocation, arguments=["run", *words]))


def _parameter_texts(follow_up: FollowUp) -> list[str]:
    return [f"{name}={value}" for name, value in follow_up.parameters.items()]


def has_verdict(step: Step, outcome: RunOutcome, limit: str | None) -> bool:
    """Return whether the step has succeeded with a verdict that is the limit or a worse one."""
    if limit is None or outcome.exit_code or not outcome.run:
        return False
    return step.verdicts.index(outcome.run.verdict) >= step.verdicts.index(limit)


def exit_code(step: Step, outcome: RunOutcome, fail_on: str | None) -> int:
    """Return the exit code of a step's command.

    That of the run if it failed, else 3 if the verdict is `fail_on` or worse.
    """
    is_bad = has_verdict(step, outcome, fail_on)
    return FAILED_VERDICT_EXIT_CODE if is_bad else outcome.exit_code
