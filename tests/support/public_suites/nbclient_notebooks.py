"""The notebooks of nbclient's tests."""

from functools import partial

from pipeline.runs.status import StepStatus
from tests.support.public_suites.notebooks import PublicNotebook, code, markdown

NbclientNotebook = partial(PublicNotebook, "nbclient")

CIRCLE = '<svg height="100" width="100"><circle cx="50" cy="50" r="40" fill="red" /></svg>'
PNG_BASE64 = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)
STDIN_ERROR = "StdinNotImplementedError: raw_input was called, but this frontend does not support"
WRITE_GREETING = """
import os, time
from pathlib import Path

folder = Path(os.environ["NBEXECUTE_TEST_PARALLEL_TMPDIR"])
(folder / "test_file_{this_notebook}.txt").write_text("Hello")
"""
WAIT_FOR_GREETING = """
end = time.time() + 10
while not (folder / "test_file_{other_notebook}.txt").exists():
    assert time.time() < end, "Timed out"
    time.sleep(0.1)
"""
SEND_DISPLAY = """
kernel = get_ipython().kernel

def display_with_id(text, display_id, message_type="display_data"):
    content = {"data": {"text/plain": text}, "metadata": {}}
    content["transient"] = {"display_id": display_id}
    kernel.session.send(
        kernel.iopub_socket, message_type, content, parent=get_ipython().parent_header
    )
"""


def greet_in_parallel(this_notebook: str, other_notebook: str) -> PublicNotebook:
    """Return a notebook that only succeeds while the other one runs, too."""
    return NbclientNotebook(
        f"Parallel Execute {this_notebook}.ipynb",
        (
            markdown("# Ensure notebooks can execute in parallel"),
            code(WRITE_GREETING.format(this_notebook=this_notebook)),
            code(WAIT_FOR_GREETING.format(other_notebook=other_notebook)),
        ),
        shows=("Ensure notebooks can execute in parallel",),
    )


def capture(source: str, number: int) -> tuple:
    """Return the cells that show an output widget and write into it."""
    create = f"import ipywidgets\noutput{number} = ipywidgets.Output()\noutput{number}"
    return (code(create), code(f"with output{number}:\n{source}"))


NOTEBOOKS = [
    greet_in_parallel("A", "B"),  # these two first, so that they start together
    greet_in_parallel("B", "A"),
    NbclientNotebook(
        "Autokill.ipynb",
        (code("import os, signal\nos.kill(os.getpid(), signal.SIGTERM)"),),
        StepStatus.KILLED,
        stops_at="os.kill",
        failure="the kernel was killed by SIGTERM",
    ),
    NbclientNotebook(
        "Check History in Memory.ipynb",
        (code('assert get_ipython().history_manager.hist_file == ":memory:"'),),
        kernelspec=None,
    ),
    NbclientNotebook(
        "Clear Output.ipynb",
        (
            code("from IPython.display import clear_output"),
            code("for i in range(10):\n    clear_output()\n    print(i)"),
            code('print("Hello world")\nclear_output()'),
            code('print("Hello", end="")\nclear_output(wait=True)\nprint("world", end="")'),
            code('handle = display("Hello", display_id="id1")'),
            code('handle.update("world")'),
        ),
        shows=("9", "world"),
        hides=("0\n", "8\n"),
    ),
    NbclientNotebook(
        "Disable Stdin.ipynb",
        (code('name = input("name: ")'),),
        StepStatus.FAILED,
        stops_at="input",
        failure=STDIN_ERROR,
        kernelspec=None,
    ),
    NbclientNotebook(
        "Empty Cell.ipynb",
        (
            markdown("Test that executing skips over an empty cell."),
            code('"Code 1"'),
            code(""),
            code('"Code 2"'),
        ),
        shows=("skips over an empty cell", "'Code 1'", "'Code 2'"),
    ),
    NbclientNotebook(
        "Error.ipynb",
        (code("0 / 0"),),
        StepStatus.FAILED,
        stops_at="0 / 0",
        failure="ZeroDivisionError: division by zero",
        shows=("ZeroDivisionError",),
    ),
    NbclientNotebook(
        "Factorials.ipynb",
        (code("i, j = 1, 1"), code("for m in range(10):\n    i, j = j, i + j\n    print(j)")),
        shows=("2\n3\n5\n8\n13\n21\n34\n55\n89\n144",),
        kernelspec=None,
    ),
    NbclientNotebook(
        "HelloWorld.ipynb", (code('print("Hello World")'),), shows=("Hello World",), kernelspec=None
    ),
    NbclientNotebook(
        "Inline Image.ipynb",
        (
            code("import base64\nfrom IPython.display import Image"),
            code(f'Image(base64.b64decode("{PNG_BASE64}"))'),
        ),
        elements=("main img[src^='data:image/png']",),
        kernelspec=None,
    ),
    NbclientNotebook(
        "Interrupt.ipynb",
        (code("while True: continue"), code('print("done")')),
        StepStatus.TIMED_OUT,
        stops_at="while True",
        failure="took longer than its limit of 5 s",
        hides=("done\n",),
        kernelspec=None,
        time_limit=5,
    ),
    NbclientNotebook(
        "JupyterWidgets.ipynb",
        (
            code('import ipywidgets\n\nlabel = ipywidgets.Label("Hello World")\ndisplay(label)'),
            code('label.send({"msg": "Hello"})'),
        ),
        shows=("Hello World",),
    ),
    NbclientNotebook(
        "Other Comms.ipynb",
        (
            code("from comm import create_comm"),
            code('comm = create_comm("this-comm-tests-a-missing-handler", data={"id": "foo"})'),
            code('comm.send(data={"id": "bar"})'),
        ),
    ),
    NbclientNotebook(
        "Output.ipynb",
        (
            *capture('    print("in output")', 1),
            *capture('    raise ValueError("trigger msg_type=error")', 2),
            *capture('    print("hello")\n    output3.clear_output()\n    print("world")', 3),
            *capture('    display("hello world")', 4),
        ),
        shows=("in output", "trigger msg_type=error", "world"),
        kernelspec={"language": "python"},
    ),
    NbclientNotebook(
        "SVG.ipynb",
        (code("from IPython.display import SVG"), code(f"SVG(data='{CIRCLE}')")),
        elements=("main svg circle, main img[src^='data:image/svg']",),
        kernelspec=None,
    ),
    NbclientNotebook(
        "Skip Exceptions with Cell Tags.ipynb",
        (
            code(
                'import sys\nprint("hello")\nprint("errorred", file=sys.stderr)\n# üñîçø∂é\n'
                'raise Exception("message")',
                "raises-exception",
            ),
            code("print('ok')"),
        ),
        shows=("hello", "errorred", "Exception: message", "ok\n"),
    ),
    NbclientNotebook(
        "Skip Exceptions.ipynb",
        (code('# üñîçø∂é\nraise Exception("message")'), code('print("ok")')),
        StepStatus.FAILED,
        stops_at="üñîçø∂é",
        failure="Exception: message",
        shows=("Exception: message",),
        hides=("ok\n",),
        kernelspec=None,
    ),
    NbclientNotebook(
        "Skip Execution with Cell Tag.ipynb",
        (code('print("a long running cell")', "skip-execution"), code('print("ok")')),
        shows=("ok\n",),
        hides=("a long running cell",),
        kernelspec=None,
    ),
    NbclientNotebook(
        "Sleep1s.ipynb",
        (code("import time"), code("time.sleep(1)"), code("print(f'{time.time():.0f}', end='')")),
        elements=("main .cell pre",),
    ),
    NbclientNotebook("Unicode.ipynb", (code('print("☃")'),), shows=("☃",), kernelspec=None),
    NbclientNotebook("UnicodePy3.ipynb", (code('print("☃")'),), shows=("☃",)),
    NbclientNotebook(
        "update-display-id.ipynb",
        (
            code(SEND_DISPLAY),
            code('display("above")\ndisplay_with_id("1", "here")\ndisplay("below")'),
            code('display_with_id("5", "there")'),
            code('display_with_id("8", "here", "update_display_data")'),
        ),
        shows=("'above'", "8", "'below'"),
        hides=("1\n",),
        kernelspec=None,
    ),
]
