"""What a cell does to its own process keeps no later cell from running, in a real kernel."""

from pipeline.runs.status import StepStatus

FORK = """
import os, sys
pid = os.fork()
if pid == 0:
    sys.exit({code})
print("the child's code:", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_a_cell_may_fork_or_drop_its_streams_or_raise_what_utf8_does_not_know(
    make_project, make_step
):
    steps = [
        make_step("forked", FORK.format(code=0), FORK.format(code=3), needs=(), time_limit=20),
        make_step(
            "silent",
            "import sys; sys.stdout = sys.stderr = None",
            "print('lost'); 'shown'",
            needs=(),
            time_limit=20,
        ),
        make_step("surrogate", "raise ValueError('\\ud800 bad')", needs=()),
    ]
    project = make_project(*steps)
    exit_code, output = project.run("--jobs", "2")
    assert exit_code == 1
    records = {step.name: step for step in project.latest_record.steps}
    assert records["forked"].status is StepStatus.DONE, output
    printed = str(project.executed_notebook("forked").cells)
    assert "the child's code: 0" in printed
    assert "the child's code: 3" in printed
    assert records["silent"].status is StepStatus.DONE
    assert records["surrogate"].failure == "ValueError: \\ud800 bad"
