"""Steps that change or overwrite what an earlier one wrote: never silently wrong."""

import json

import pytest

from pipeline import main
from pipeline.runs.records import load_all

FIRST = "open('f', 'w').write('a')"
CHANGE = "x = open('f').read(); open('f', 'w').write(x + {!r})"


@pytest.fixture
def go(home, capsys, tmp_path, monkeypatch):
    """What `main` gives and says, and the file that all write."""
    monkeypatch.chdir(tmp_path)

    def run(steps, *arguments):
        capsys.readouterr()
        code = main(steps, home, list(arguments))
        return code, "".join(capsys.readouterr()), (tmp_path / "f").read_text()

    return run


@pytest.fixture
def chain(make_step):
    """The first writes a file, the two others change it in place."""
    return [
        make_step("one", FIRST),
        make_step("two", CHANGE.format("b")),
        make_step("three", CHANGE.format("c")),
    ]


def edited(step, source):
    content = json.loads(step.notebook.read_text())
    content["cells"][1]["source"] = source
    step.notebook.write_text(json.dumps(content))


def test_it_is_said_and_nothing_runs_for_ever(go, chain, home):
    code, said, content = go(chain)
    assert (code, content) == (0, "abc")
    assert "step two has changed f, which step one wrote: whenever it runs again, one must" in said
    assert "step three has changed f, which step two wrote" in said
    [run] = load_all(home / "var" / "runs")
    assert len(run.problems) == 2
    assert "nothing to do" in go(chain)[1]


@pytest.mark.parametrize("name", ["one", "two", "three"])
def test_whichever_is_forced_the_result_is_that_of_a_whole_run(go, chain, name):
    go(chain)
    code, said, content = go(chain, "--force", name)
    assert (code, content) == (0, "abc")
    if name != "one":
        assert "one        starts: two needs f as it was written here" in said
    assert "nothing to do" in go(chain)[1]


def test_an_edit_in_the_middle_starts_at_the_beginning(go, chain):
    go(chain)
    edited(chain[1], CHANGE.format("B"))
    _, said, _ = go(chain, "--explain")
    one, two, three = said.strip().splitlines()
    assert "run   two needs f as it was written here" in one
    assert "run   cell 2 (The two report) was edited" in two
    assert "run   if two writes something new" in three
    assert go(chain)[2] == "aBc"
    assert "nothing to do" in go(chain)[1]


def test_alone_it_is_refused_before_anything_starts(go, chain, home):
    go(chain)
    code, said, content = go(chain, "--only", "two", "--force")
    assert (code, content) == (2, "abc")
    assert "step two needs f as step one wrote it, but step three has changed it since" in said
    assert "--from one" in said
    assert len(load_all(home / "var" / "runs")) == 1
    assert "two must run too (--from one)" in go(chain, "--from", "three", "--force")[1]


def test_a_spoilt_file_is_made_anew_from_the_start(go, chain, tmp_path):
    go(chain)
    (tmp_path / "f").write_text("spoilt")
    assert go(chain)[2] == "abc"


def test_a_change_that_failed_half_way_is_not_changed_again(go, chain):
    go(chain)
    edited(chain[1], CHANGE.format("B") + "; 1 / 0")
    assert go(chain)[0] == 1
    edited(chain[1], CHANGE.format("B"))
    assert go(chain)[2] == "aBc"


def test_who_only_reads_it_between_finds_it_as_it_was_then(go, make_step, home):
    steps = [
        make_step("one", FIRST),
        make_step("look", "print('seen', open('f').read())"),
        make_step("two", CHANGE.format("b")),
    ]
    assert go(steps)[2] == "ab"
    assert "nothing to do" in go(steps)[1]
    go(steps, "--force", "look")
    assert "seen a\n" in (home / "reports" / "latest" / "look.html").read_text()
    assert go(steps)[2] == "ab"


def test_overwriting_without_reading_is_said_and_the_last_word_stays(go, make_step):
    steps = [make_step("one", FIRST), make_step("two", "open('f', 'w').write('b')")]
    code, said, _ = go(steps)
    assert code == 0
    assert "step two has overwritten f, which step one wrote" in said
    assert "one        up to date" in go(steps, "--force", "two")[1]
    _, said, content = go(steps, "--force", "one")
    assert content == "b"
    assert "two        starts: one has written f again, which it changes" in said


def test_appending_to_another_s_file_is_a_change_of_it(go, make_step):
    steps = [make_step("one", FIRST), make_step("two", "open('f', 'a').write('b')")]
    assert go(steps)[2] == "ab"
    assert "nothing to do" in go(steps)[1]
    assert go(steps, "--force", "two")[2] == "ab"


def test_a_file_opened_for_both_is_changed(go, make_step):
    update = "with open('f', 'r+') as f:\n    x = f.read()\n    f.write('b')"
    steps = [make_step("one", FIRST), make_step("two", update)]
    assert go(steps)[2] == "ab"
    assert go(steps, "--force", "two")[2] == "ab"


def test_two_that_do_not_need_each_other_are_told_of(go, make_step):
    steps = [make_step("one", FIRST), make_step("two", "open('f', 'w').write('b')", needs=())]
    code, said, _ = go(steps, "--jobs", "1")
    assert code == 0
    assert "step two has overwritten f, which step one wrote; neither needs the other" in said
    assert "nothing to do" in go(steps)[1]


def test_a_writer_that_has_left_the_pipeline_is_not_asked_for(go, chain):
    go(chain[:2])
    _, two, _ = chain
    assert go([two], "--force")[0] == 0


def test_what_was_changed_already_is_not_tried_again(go, make_step):
    killed = CHANGE.format("b") + "; import os; os.kill(os.getpid(), 9)"
    steps = [make_step("one", FIRST), make_step("two", killed, retries=1, backoff=0.1)]
    code, said, content = go(steps)
    assert (code, content) == (1, "ab")
    assert "not tried again, as it had changed f already" in said
    edited(steps[1], CHANGE.format("b"))
    assert go(steps)[2] == "ab"
