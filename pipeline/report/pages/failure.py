"""What a report says of a step that did not end well: what, where, why, and what to do."""

import html
from typing import Any

from pipeline.report import markdown
from pipeline.report.pages.step import Body, Place
from pipeline.runs.records import RunRecord, StepRecord, verb

LONG = 40  # lines of a traceback that is folded


def of(run: RunRecord, step: StepRecord, body: Body, place: Place) -> dict[str, Any]:
    """What the page's box of the failure shows."""
    number = _cell(step)
    cell = body.cells.get(number) if number is not None else None
    done = f"after {step.cells_done} of {step.cells} cells" if step.cells else "before its start"
    where = f"In cell {number + 1}" if number is not None else ""
    if step.heading:
        where += f"{', in' if where else 'In'} the part “{step.heading}”"
    earlier = place.earlier if not place.single else ""
    return {
        "what": f"This step {verb(step.status)} {done}",
        "error": step.failure,
        "where": f"{where}." if where else "",
        "cell": number + 1 if cell else None,
        "source": markdown.code(cell.source, cell.marked) if cell else "",
        "traceback": markdown.printed(step.traceback),
        "long": step.traceback.count("\n") > LONG,
        "output": markdown.printed(step.output),
        "stderr": markdown.printed(step.stderr),
        "changed": [one for one in step.why if one != "it was forced"],
        "good": {"run": earlier, "href": f"../{earlier}/{step.report}"} if earlier else None,
        "left": _left(run, step),
        "advice": list(_advice(step, body)),
    }


def _cell(step: StepRecord) -> int | None:
    """The number of the cell that did not end well."""
    bad = [n for n, one in enumerate(step.cell_status) if one not in ("ran", "not run")]
    return bad[-1] if bad else None


def _left(run: RunRecord, step: StepRecord) -> str:
    cells = step.cell_status.count("not run")
    said = f"{cells} more cell{'s' if cells > 1 else ''} of this notebook" if cells else ""
    later = [one.name for one in run.steps if one.status == "not run"]
    if later:
        names = ", ".join(later[:8]) + (f" and {len(later) - 8} more" if len(later) > 8 else "")
        steps = f"the step{'s' if len(later) > 1 else ''} {names}"
        said = f"{said}, and {steps}" if said else steps
    return (
        f"{said[0].upper()}{said[1:]}."
        if said
        else "Nothing: it was the last cell of the last step."
    )


def _advice(step: StepRecord, body: Body) -> Any:
    """HTML: one sentence a way out, the likeliest first."""
    again = (
        "<code>python run_pipeline.py</code>: it goes on at this step, what was finished is kept"
    )
    name = html.escape(body.source.rpartition("/")[2] or "its notebook")
    base = html.escape(step.name.partition("[")[0])
    if step.status == "timed out":
        yield (
            f"If it needs more time, raise <code>time_limit</code> of the step {base} in "
            "<code>run_pipeline.py</code>."
        )
    if step.status == "killed" and "memory" in step.failure:
        yield (
            f"If it needs more memory, raise <code>memory_limit</code> of the step {base} in "
            "<code>run_pipeline.py</code>, or give it less to hold."
        )
    if step.status in ("killed", "stopped"):
        yield f"If nothing is wrong with it, type it again. {again}."
    else:
        values = ", ".join(f"{name} = {value}" for name, value in step.parameters.items())
        told = f" (set {html.escape(values)} in its first cell)" if values else ""
        yield f"Open <code>{name}</code> in JupyterLab and run it to the cell above{told}."
        yield f"Mend the notebook, the module or the input, then type {again}."
    yield "<code>python run_pipeline.py show latest</code> tells it all in the terminal."
