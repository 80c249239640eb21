import nbformat
import pytest

from pipeline.kernels.mime_bundle import normalize_mime_bundle


@pytest.mark.parametrize(
    ("name", "content", "valid_name"),
    [
        ("application/vnd.vegalite.v6.json", {"mark": "bar"}, "application/vnd.vegalite.v6+json"),
        ("application/vnd.vegalite.v5+json", {"mark": "bar"}, "application/vnd.vegalite.v5+json"),
        ("application/json", [1], "application/json"),
        ("text/plain", "x", "text/plain"),
        ("text/html", ["<b>", "</b>"], "text/html"),
        ("application/vnd.text.json", "{}", "application/vnd.text.json"),
    ],
)
def test_an_application_s_data_gets_a_format_that_a_notebook_can_hold(name, content, valid_name):
    bundle = normalize_mime_bundle({name: content})
    assert bundle == {valid_name: content}
    nbformat.v4.new_output("display_data", bundle)  # validates it


@pytest.mark.parametrize("bundle", [{"text/plain": 3}, {"image/png": 5}, {"odd": None}])
def test_what_is_no_text_of_a_text_format_stays_invalid_so_that_the_page_says_so(bundle):
    assert normalize_mime_bundle(bundle) == bundle
    with pytest.raises(nbformat.ValidationError):
        nbformat.v4.new_output("display_data", bundle)
