"""A step's report, and the page of the run it belongs to."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pipeline.report import rendering
from pipeline.runs.records import ENDED_BADLY, RunRecord, StepRecord, duration, verb

FEW = 12  # with more steps a page names its neighbours only
MANY = 100  # steps that a run's page tells of


@dataclass
class Body:
    """What a notebook gives to its page."""

    title: str = ""
    question: str = ""  # HTML: what stands below the title
    answer: str = ""  # HTML
    html: str = ""
    contents: list[tuple[int, str, str]] = field(default_factory=list)  # level, anchor, words
    source: str = ""  # the notebook it was made from, as papermill was told it
    cells: dict[int, Any] = field(default_factory=dict)  # those shown, by their number


class Place(NamedTuple):
    """What a page knows of the pages around it."""

    single: bool = False  # it is to stand alone: no links to others
    live: bool = False  # the run goes on
    earlier: str = ""  # the run of the step's last report that was finished, if there is one
    comparison: str = ""  # the address of the comparison with that run, from reports/


class Fact(NamedTuple):
    """A line of the facts on top."""

    name: str
    text: str
    href: str = ""
    kind: str = ""


def step_page(run: RunRecord, step: StepRecord, body: Body, place: Place) -> str:
    """The HTML of a step's report."""
    number = run.steps.index(step)
    around, there = neighbours(run, step, place.single)
    return rendering.render(
        "page.html.j2",
        "../",
        place.single,
        run=run,
        around=around,
        there=there,
        step=step,
        body=body,
        notice=step.notice or run.notice,
        live=place.live,
        waiting=_waiting(run, step, place),
        failure=_failure(run, step, body, place),
        facts=_facts(run, step, place),
        before=next((one for one in there if one is _at(run, number - 1)), None),
        after=next((one for one in there if one is _at(run, number + 1)), None),
    )


def neighbours(
    run: RunRecord, step: StepRecord, single: bool
) -> tuple[list[StepRecord], list[StepRecord]]:
    """The steps that a page of this one names, and those of them that it can lead to."""
    number, few = run.steps.index(step), len(run.steps) <= FEW
    around = run.steps if few else run.steps[max(0, number - 1) : number + 2]
    # of a long run's steps only those that ran have a page
    return around, [one for one in around if not single and (few or one.status != "not run")]


def _failure(run: RunRecord, step: StepRecord, body: Body, place: Place) -> dict[str, Any] | None:
    if step.status not in ENDED_BADLY:
        return None
    from pipeline.report.pages import failure  # colours code, which takes half a second to learn

    return failure.of(run, step, body, place)


def _at(run: RunRecord, number: int) -> StepRecord | None:
    return run.steps[number] if 0 <= number < len(run.steps) else None


def _waiting(run: RunRecord, step: StepRecord, place: Place) -> str:
    """What a page says whose step has not ended."""
    if step.status == "running":
        where = f", in the part “{step.heading}”" if step.heading else ""
        return f"It is running: {step.cells_done} of {step.cells or '?'} cells are done{where}."
    if step.status != "not run":
        return ""
    if place.live:
        return "It has not started yet: it waits for the steps before it."
    bad = [one for one in run.steps if one.status in ENDED_BADLY]
    why = f", as {bad[0].name} {verb(bad[0].status)}" if bad else ""
    return f"It did not run{why}."


def _facts(run: RunRecord, step: StepRecord, place: Place) -> list[Fact]:
    here = not place.single
    found = [Fact("status", step.status, kind=f"status {step.status.replace(' ', '-')}")]
    if step.data or run.data:
        found.append(Fact("data", step.data or run.data))
    if step.started or step.status != "not run":
        found.append(Fact("when", rendering.moment(step.started or run.started)))
        found.append(Fact("took", duration(step.seconds)))
    if step.reused:
        href = f"../{step.reused}/{step.report}" if here else ""
        found.append(Fact("made by run", step.reused, href))
    found += [Fact(name, str(value), kind="set") for name, value in step.parameters.items()]
    if step.champion:
        found.append(Fact("champion", step.champion))
    found += further(step, here)
    found += links(run, step.links)
    if here and place.earlier and place.earlier != step.reused:
        href = f"../{place.earlier}/{step.report}"
        found.append(Fact("the same step before", f"run {place.earlier}", href))
    if here and place.comparison:
        found.append(Fact("what is different", "compare the two", f"../{place.comparison}"))
    if step.peak_mb:
        found.append(Fact("peak memory", f"{step.peak_mb:,} MB"))
    return found


def further(step: StepRecord, here: bool) -> list[Fact]:
    """To the pages that it handed over. here: they can be led to."""
    found = []
    for name, title in step.pages.items():
        label, (head, _, rest) = name.replace("_", " "), title.partition(": ")
        text = rest if rest and head.lower() == label else title
        found.append(Fact(label, text, step.page(name) if here else ""))
    return found


def links(run: RunRecord, elsewhere: dict[str, str]) -> list[Fact]:
    """To what was left in other places, and to the code."""
    found = []
    for name, told in elsewhere.items():
        label, _, text = name.rpartition(": ")
        found.append(Fact(label or "see", text, told if told.startswith("http") else ""))
    if run.commit:
        short, dirty = run.commit.removesuffix("-dirty"), run.commit.endswith("-dirty")
        text = short[:12] + (" and files that differ from it" if dirty else "")
        found.append(Fact("commit", text, run.commit_link))
    return found


def run_page(run: RunRecord, answers: dict[str, str], place: Place, keeps: str) -> str:
    """The HTML of a run's page. answers: step -> HTML. keeps: why the run matters, if it does."""
    facts = [
        Fact("status", run.status, kind=f"status {run.status.replace(' ', '-')}"),
        Fact("run", run.id),
        Fact("took" if run.ended else "so far", duration(run.seconds)),
    ]
    if keeps:
        facts.append(Fact("serves as", keeps))
    if run.data:
        facts.append(Fact("data", run.data))
    elsewhere = {name: it for one in run.steps for name, it in one.links.items()}
    facts += links(run, elsewhere)
    if place.comparison and not place.single:
        facts.append(
            Fact("what is different", "compare with the run before", f"../{place.comparison}")
        )
    steps = [
        {
            "step": one,
            "answer": answers.get(one.name, ""),
            "about": _about(one),
            "pages": further(one, not place.single),
            "there": not place.single and (len(run.steps) <= FEW or one.status != "not run"),
        }
        for one in run.steps[:MANY]
    ]
    return rendering.render(
        "run.html.j2", "../", place.single, run=run, steps=steps, facts=facts, live=place.live,
        left=max(0, len(run.steps) - MANY),
    )  # fmt: skip


def _about(step: StepRecord) -> str:
    said: list[str] = []
    if step.started:
        said.append(duration(step.seconds))
    if step.cells:
        said.append(f"{step.cells_done} of {step.cells} cells")
    if step.reused:
        said.append(f"made by run {step.reused}")
    said += [f"{name} = {value}" for name, value in step.parameters.items()]
    return ", ".join(said)


def empty(step: StepRecord) -> Body:
    """Of a step that has shown nothing yet."""
    return Body(title=step.name)
