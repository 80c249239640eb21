"""The code that sets parameters in a notebook means what the runner has checked."""

from datetime import date
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from papermill.translators import PythonTranslator

from pipeline.definition.parameter_translator import ParameterTranslator
from pipeline.definition.parameters import Secret

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"))
    | st.dates()
    | st.builds(Path, st.text(st.characters(codec="utf-8", exclude_characters="\0")))
)
KEYS = st.text("abc\"'") | st.integers()
VALUES = st.recursive(SCALARS, lambda items: st.lists(items) | st.dictionaries(KEYS, items))


@given(VALUES)
def test_a_value_evaluates_to_itself(value):
    namespace = {}
    exec(ParameterTranslator.codify({"x": value}), namespace)
    assert namespace["x"] == value
    assert type(namespace["x"]) is type(value)


def test_a_secret_is_looked_up_by_the_kernel(monkeypatch):
    monkeypatch.setenv("TOKEN", "hush")
    code = ParameterTranslator.codify({"x": [Secret("env:TOKEN"), date(2026, 11, 23)]})
    namespace = {}
    exec(code, namespace)
    assert namespace["x"] == ["hush", date(2026, 11, 23)]
    assert "hush" not in code
    assert issubclass(ParameterTranslator, PythonTranslator)
