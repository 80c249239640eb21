"""Messages about runs of the monitoring: the runner, a notebook's verdict, and a real receiver."""

import nbformat
import pytest

from housing.monitoring.notification.notifier import notify_finished_step
from housing.monitoring.verdict import Verdict
from pipeline import Step, main
from tests.support.alert_receivers import WebhookReceiver, serving
from tests.support.monitoring_verdicts import FINE, LOOK

pytestmark = pytest.mark.slow
PARAMETERS = 'content: str = ""  # the verdict as JSON'
WRITE_VERDICT = """
from dataclasses import replace

from housing.monitoring.verdict import from_json, verdict_path, write_verdict
from pipeline.notebook import publish, run_id

verdict = replace(from_json(content), run=run_id())
write_verdict(verdict_path(), verdict)
publish({"verdict": verdict.verdict}, verdict=verdict.verdict)
"""


@pytest.fixture
def monitor(home, tmp_path, monkeypatch):
    """Return a function that runs the monitoring, and the messages that came."""
    monkeypatch.setenv("HOUSING_REPORTS_URL", "https://housing.example/reports/")
    parameters = nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
    cells = [parameters, nbformat.v4.new_code_cell(WRITE_VERDICT)]
    notebook = tmp_path / "04_monitor.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), notebook)
    step = Step(
        "monitor",
        notebook,
        on_demand=True,
        verdicts=tuple(Verdict),
        on_finish=notify_finished_step,
    )
    with serving(WebhookReceiver()) as webhook:
        monkeypatch.setenv("HOUSING_ALERT_URL", webhook.url)

        def run(content, *arguments):
            return main([step], home, ["monitor", "-p", f"content={content}", *arguments])

        yield run, webhook.bodies


def test_a_worse_verdict_and_a_failure_are_sent_with_links_to_their_reports(monitor, home, capfd):
    run, bodies = monitor
    assert run(FINE.to_json()) == 0
    assert bodies == []
    assert run(LOOK.to_json(), "--fail-on", "look", "--quiet") != 0
    assert run("no verdict", "--quiet") == 1
    assert [body["verdict"] for body in bodies] == ["look", "failed"]
    assert "this is no verdict of the monitoring" in bodies[1]["sentence"]
    for body in bodies:
        path = body["report"].removeprefix("https://housing.example/")
        assert (home / path).is_file()
    written = [file for file in home.rglob("*") if file.is_file()]
    assert not any(b"s3cret" in file.read_bytes() for file in written)  # of the address
    output = capfd.readouterr()
    assert "s3cret" not in output.out + output.err
