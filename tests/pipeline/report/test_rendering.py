import jinja2
import pytest

from pipeline.report import rendering
from pipeline.report.model import PageContext


def test_a_missing_variable_of_a_template_is_named(project):
    with pytest.raises(jinja2.UndefinedError, match="'run' is undefined"):
        rendering.render_template("run.html.j2", **PageContext(project)._asdict())
