"""How a kernel's end is told, without a kernel."""

import papermill  # noqa: F401 - loads our engine, which the module below must not do first
import pytest
from nbclient.exceptions import CellExecutionError

from pipeline.execution.kernel_session import describe_kernel_exit, refuse_exit


@pytest.mark.parametrize(
    ("exit_code", "sentence"),
    [
        (7, "the kernel exited with code 7"),
        (0, "the kernel exited with code 0"),
        (-11, "the kernel was killed by SIGSEGV"),
        (-9, "the kernel was killed by SIGKILL; often the machine has run out of memory"),
    ],
)
def test_a_dead_kernel_s_exit_code_becomes_a_sentence(exit_code, sentence):
    assert describe_kernel_exit(exit_code) == sentence


def test_a_cell_that_asked_for_the_kernel_s_exit_has_failed():
    refuse_exit({"content": {"status": "ok", "payload": []}}, cell=None, cell_index=0)
    refuse_exit({"content": {"status": "ok"}})
    payload = [{"source": "page"}, {"source": "ask_exit", "keepkernel": False}]
    with pytest.raises(CellExecutionError) as raised:
        refuse_exit({"content": {"status": "ok", "payload": payload}}, cell=None)
    assert raised.value.ename == "SystemExit"
