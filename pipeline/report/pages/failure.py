"""What a report says of a step that did not end well: what, where, why, and what to do."""

import html
from typing import Any

from pipeline.report import markdown
from pipeline.report.pages.step import PageContext, RenderedNotebook
from pipeline.runs.records import RunRecord, StepRecord, status_phrase

MAX_OPEN_TRACEBACK_LINES = 40  # lines of a traceback that is folded


def describe(
    run: RunRecord, step: StepRecord, notebook: RenderedNotebook, context: PageContext
) -> dict[str, Any]:
    """What the page's box of the failure shows."""
    number = _failed_cell_index(step)
    cell = notebook.cells.get(number) if number is not None else None
    done = f"after {step.cells_done} of {step.cells} cells" if step.cells else "before its start"
    where = f"In cell {number + 1}" if number is not None else ""
    if step.heading:
        where += f"{', in' if where else 'In'} the part “{step.heading}”"
    earlier = context.previous_run_id if not context.single_file else ""
    return {
        "what": f"This step {status_phrase(step.status)} {done}",
        "error": step.failure,
        "where": f"{where}." if where else "",
        "cell": number + 1 if cell else None,
        "source": markdown.highlight_code(cell.source, cell.failing_line) if cell else "",
        "traceback": markdown.ansi_to_html(step.traceback),
        "long": step.traceback.count("\n") > MAX_OPEN_TRACEBACK_LINES,
        "output": markdown.ansi_to_html(step.output),
        "stderr": markdown.ansi_to_html(step.stderr),
        "changed": [one for one in step.why if one != "it was forced"],
        "good": {"run": earlier, "href": f"../{earlier}/{step.report}"} if earlier else None,
        "left": _describe_not_run(run, step),
        "advice": list(_suggestions(step, notebook)),
    }


def _failed_cell_index(step: StepRecord) -> int | None:
    """The number of the cell that did not end well."""
    bad = [n for n, one in enumerate(step.cell_status) if one not in ("ran", "not run")]
    return bad[-1] if bad else None


def _describe_not_run(run: RunRecord, step: StepRecord) -> str:
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


def _suggestions(step: StepRecord, notebook: RenderedNotebook) -> Any:
    """HTML: one sentence a way out, the likeliest first."""
    again = (
        "<code>python run_pipeline.py</code>: it goes on at this step, what was finished is kept"
    )
    name = html.escape(notebook.source_path.rpartition("/")[2] or "its notebook")
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
