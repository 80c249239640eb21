"""The code of a notebook's cells, as hashes."""

import nbformat
import pytest

from pipeline.staleness import source_code


def hashes_of(make_notebook, *cells):
    """Return the hashes of a notebook with these cells."""
    return list(source_code.cell_hashes(make_notebook("one", *cells)).values())


@pytest.mark.parametrize(
    ("old_source", "new_source"),
    [
        ("%matplotlib inline\nx = 1", "# why\n%matplotlib inline\n\nx = (1)  # as ever"),
        ("!ls\nx = 1", "!ls\n# a comment\nx = 1"),
        ("files = !ls\nprint(files)", "files = !ls\nprint( files )  # all"),
        ("for n in y:\n    %time f(n)", "for n in y:  # each\n    %time f(n)"),
        ("!ls \\\n -l\nx = 1", "!ls \\\n -l\n# a comment\nx = 1"),
        ("%%time\nf(1)", "%%time\n# long\nf( 1 )"),
        ("f?\nx = 1", "f?\nx = 1  # one"),
    ],
)
def test_comments_beside_a_magic_do_not_count(make_notebook, old_source, new_source):
    assert hashes_of(make_notebook, old_source) == hashes_of(make_notebook, new_source)


@pytest.mark.parametrize(
    ("old_source", "new_source"),
    [
        ("%matplotlib inline\nx = 1", "%matplotlib agg\nx = 1"),
        ("%matplotlib inline\nx = 1", "%matplotlib inline\nx = 2"),
        ("!ls\nx = 1", "x = 1\n!ls"),
        ("!ls\nx = 1", "'!ls'\nx = 1"),
        ("files = !ls", "files = !ls -a"),
        ("files = !ls", "other = !ls"),
        ("%%time\nf(1)", "%%time\nf(2)"),
        ("%%time\nf(1)", "%%timeit\nf(1)"),
        ("%%time\nf(1)", "f(1)"),
        ("%%bash\necho 1", "%%bash\necho 2"),
        (
            "%%bash\n# 1\nls",
            "%%bash\n# 2\nls",
        ),  # the shell's grammar, which the runner does not parse
        ("!ls \\\n -l", "!ls \\\n -a"),
        ("if a:\n    %time f()\n    g()", "if a:\n    %time f()\ng()"),
        ("s = '''\n%a\n'''\n!ls", "s = '''\n%b\n'''\n!ls"),
        ("s = '''\n# a\n'''\n!ls", "s = '''\n# b\n'''\n!ls"),
    ],
)
def test_magics_and_the_code_beside_them_count(make_notebook, old_source, new_source):
    assert hashes_of(make_notebook, old_source) != hashes_of(make_notebook, new_source)


def details_of(make_notebook, *cells):
    """Return what else counts of a notebook with these cells."""
    return list(source_code.cell_details(make_notebook("one", *cells)).values())[1:]


@pytest.mark.parametrize(
    ("source", "details"),
    [
        ("x;", "silent"),
        ("x", ""),
        ("x; y", ""),
        ("plot(x);  # the picture only\n\n# as ever", "silent"),
        ("print('a;')", ""),
        ("# no value;", ""),
        ("%matplotlib inline\nplot(\n    x\n);", "silent"),
        ("%%time\nf(1);", "silent"),
        ("files = !ls;", ""),  # the shell's semicolon, in the text of the command
        ("if x:\n    f();", "silent"),
        ("x = '''a\n%b\n''';\n!ls\ny;", "silent"),
    ],
)
def test_a_semicolon_at_the_end_hides_the_last_value(make_notebook, source, details):
    assert details_of(make_notebook, source) == [details]


def test_tags_count_that_change_how_a_cell_is_run(make_notebook):
    path = make_notebook("one", "x", "y", "z")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].metadata.tags = ["raises-exception", "skip-execution"]
    notebook.cells[2].metadata.tags = ["remove-input", "mine"]
    nbformat.write(notebook, path)
    details = source_code.cell_details(path)
    assert list(details.values()) == ["python", "raises-exception skip-execution", "", ""]


def test_a_comment_in_a_cell_of_another_language_counts(make_notebook):
    """Python reads `#include <vector>` as a comment."""
    details = []
    for source in ("#include <vector>", "#include <list>"):
        path = make_notebook("one", source)
        notebook = nbformat.read(path, as_version=4)
        notebook.metadata.kernelspec = {"name": "xcpp17", "display_name": "", "language": "C++17"}
        nbformat.write(notebook, path)
        assert list(source_code.cell_hashes(path)) == [
            "the kernel's name",
            "cell 2 (The one report)",
        ]
        details.append(source_code.cell_details(path))
    assert details[0] != details[1]


def test_cells_without_code_have_no_hash(make_notebook):
    cells = ("# a comment", "  \n", "x = 1", "%%bash\n# a comment", "# one\n\n# two")
    locations = list(source_code.cell_hashes(make_notebook("one", *cells)))[1:]
    assert [location.partition(" (")[0] for location in locations] == ["cell 4", "cell 5"]
