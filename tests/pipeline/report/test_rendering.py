import jinja2
import pytest

from pipeline.report import rendering


def test_a_missing_variable_of_a_template_is_named():
    with pytest.raises(jinja2.UndefinedError, match="'run' is undefined"):
        rendering.render_fragment("row.html.j2")
