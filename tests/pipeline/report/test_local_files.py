import base64

import pytest

from pipeline.report.local_files import LocalFiles, page_url
from pipeline.report.markdown import markdown_to_html
from pipeline.report.outputs import render_html
from tests.pipeline.report.conftest import encode_png


@pytest.fixture
def files(tmp_path):
    """The files of a notebook in a project, beside pictures with unusual names."""
    folder = tmp_path / "notebooks"
    (tmp_path / "figures").mkdir()
    folder.mkdir()
    for name in ("my pic.png", "Übersicht.png", "50% #1.png", "../figures/up.png"):
        (folder / name).write_bytes(base64.b64decode(encode_png()))
    (folder / "secret.txt").write_text("secret")
    reports = {folder / "02 train.ipynb": "02%20train.html", folder / "50% #2.ipynb": "50.html"}
    (folder / "50% #2.ipynb").touch()
    return LocalFiles(folder, tmp_path, lambda path: reports.get(path, ""))


@pytest.mark.parametrize(
    "source",
    [
        "![a](<my pic.png>)", "![a](my%20pic.png)", "![a](Übersicht.png)", "![a](./Übersicht.png)",
        "![a](%C3%9Cbersicht.png)", "![a](50%25%20%231.png)", "![a](<50% #1.png>)",
        "<img src='my pic.png'>", '<img alt="x" src="Übersicht.png" width=100>',
        "![a](../figures/up.png)", "![a](my%20pic.png?raw=true)",
    ],
)  # fmt: skip
def test_images_of_any_name_are_embedded_in_markdown_and_outputs(files, source):
    assert 'src="data:image/png;base64,' in markdown_to_html(source, files)
    if source.startswith("<img"):
        assert 'src="data:image/png;base64,' in render_html(source, files)
        assert "data:image/png;base64," in render_html(f"<svg></svg>{source}", files)


@pytest.mark.parametrize("name", ["gone.png", "secret.txt", "../../up.png", "/etc/hostname"])
def test_other_files_are_named_and_not_embedded(files, name):
    page = markdown_to_html(f"![a picture]({name}) <img src='{name}'>", files)
    assert "<img" not in page
    assert "a picture" in page
    assert name in page


@pytest.mark.parametrize("link", ["02%20train.ipynb", "./02%20train.ipynb", "<02 train.ipynb>"])
def test_a_link_to_a_notebook_leads_to_its_report(files, link):
    assert 'href="02%20train.html"' in markdown_to_html(f"[x]({link})", files)
    assert 'href="02%20train.html"' in render_html("<a href='02%20train.ipynb'>x</a>", files)


@pytest.mark.parametrize("link", ["<50% #2.ipynb#a b>", "50%25%20%232.ipynb#a-b"])
def test_the_name_of_a_linked_notebook_may_hold_what_urls_encode(files, link):
    assert 'href="50.html#a-b"' in markdown_to_html(f"[x]({link})", files)


def test_a_link_keeps_its_anchor_and_one_to_no_page_is_text(files):
    assert 'href="02%20train.html#My-Data"' in markdown_to_html(
        "[x](../notebooks/02%20train.ipynb#My-Data)", files
    )
    assert 'href="02%20train.html#My-Data"' in markdown_to_html(
        "[x](02%20train.ipynb#My%20Data)", files
    )
    page = markdown_to_html("[gone](03.ipynb) [data](../x.csv) [web](https://x.org/a.ipynb)", files)
    assert page.count("href=") == 1
    assert "https://x.org/a.ipynb" in page


def test_attachments_with_blanks_and_svg_are_shown():
    attachments = {"a b.png": {"image/png": encode_png()}, "c.svg": {"image/svg+xml": "<svg/>"}}
    page = markdown_to_html(
        "![](attachment:a%20b.png) ![](attachment:c.svg)", attachments=attachments
    )
    assert page.count("<img") == 2


def test_every_part_of_a_page_url_is_encoded():
    assert page_url("..", "run 1", "100% #1?.html") == "../run%201/100%25%20%231%3F.html"
