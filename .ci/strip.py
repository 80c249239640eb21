"""Strip notebooks of results as git keeps them, except for the cells that nbval checks.

`python .ci/strip.py [--check] NOTEBOOK...` exits with 1 if it changed a notebook (with --check: if
it would), or if a checked cell has no result to check.
"""

import json
import sys
from pathlib import Path

CHECKED = "NBVAL_CHECK_OUTPUT"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
RUN_METADATA = ("execution", "papermill", "collapsed", "scrolled", "ExecuteTime")


def main(arguments):
    check_only = "--check" in arguments
    messages = []
    for path in [Path(argument) for argument in arguments if argument != "--check"]:
        old_text = path.read_text()
        notebook = json.loads(old_text)
        messages += [f"{path}: {message}" for message in find_unchecked_cells(notebook)]
        new_text = json.dumps(strip_results(notebook), indent=1, ensure_ascii=False) + "\n"
        if new_text == old_text:
            continue
        if check_only:
            messages.append(f"{path}: holds results; `make format` strips them")
        else:
            path.write_text(new_text)
            messages.append(f"{path}: stripped of its results")
    print(*messages, sep="\n", end="\n" if messages else "")
    return bool(messages)


def code_cells(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def is_checked(cell):
    return CHECKED in "".join(cell["source"])


def find_unchecked_cells(notebook):
    """Return a message for each cell that nbval is to check and that has no result to compare."""
    return [
        f"a cell is marked {CHECKED} and has no result: run it, save; {''.join(cell['source'])!r}"
        for cell in code_cells(notebook)
        if is_checked(cell) and not cell["outputs"]
    ]


def strip_results(notebook):
    notebook["metadata"] = METADATA
    for cell in notebook["cells"]:
        for name in RUN_METADATA:
            cell["metadata"].pop(name, None)
    for cell in code_cells(notebook):
        count = 1 if is_checked(cell) else None  # nbval compares nothing where it is null
        cell["execution_count"] = count
        cell["outputs"] = cell["outputs"] if count else []
        for output in cell["outputs"]:
            if "execution_count" in output:
                output["execution_count"] = count
    return notebook


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
