"""Notebooks as git keeps them: no results, but those of the cells that nbval checks.

`python .ci/strip.py [--check] NOTEBOOK...` ends with 1 if it changed one (--check: would), or if a
checked cell has no result to check.
"""

import json
import sys
from pathlib import Path

CHECKED = "NBVAL_CHECK_OUTPUT"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
OF_A_RUN = ("execution", "papermill", "collapsed", "scrolled", "ExecuteTime")


def main(arguments):
    check = "--check" in arguments
    complaints = []
    for path in [Path(one) for one in arguments if one != "--check"]:
        before = path.read_text()
        notebook = json.loads(before)
        complaints += [f"{path}: {one}" for one in unchecked(notebook)]
        after = json.dumps(stripped(notebook), indent=1, ensure_ascii=False) + "\n"
        if after == before:
            continue
        if not check:
            path.write_text(after)
        said = "holds results; `make format` strips it" if check else "stripped of its results"
        complaints.append(f"{path}: {said}")
    print(*complaints, sep="\n", end="\n" if complaints else "")
    return bool(complaints)


def code_cells(notebook):
    return [one for one in notebook["cells"] if one["cell_type"] == "code"]


def is_checked(cell):
    return CHECKED in "".join(cell["source"])


def unchecked(notebook):
    """A sentence for each cell that is to be checked, and has nothing to be checked against."""
    return [
        f"a cell is marked {CHECKED} and has no result: run it, save; {''.join(cell['source'])!r}"
        for cell in code_cells(notebook)
        if is_checked(cell) and not cell["outputs"]
    ]


def stripped(notebook):
    notebook["metadata"] = METADATA
    for cell in notebook["cells"]:
        for name in OF_A_RUN:
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
