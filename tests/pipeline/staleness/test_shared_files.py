"""Steps that change or overwrite a file of an earlier step: the result is never silently wrong."""

import json

import pytest

from pipeline import main
from pipeline.runs.records import load_all

WRITE = "open('f', 'w').write('a')"
APPEND = "x = open('f').read(); open('f', 'w').write(x + {!r})"


@pytest.fixture
def run_steps(home, capsys, tmp_path, monkeypatch):
    """Return a function that runs steps: exit code, output, content of the file all steps write."""
    monkeypatch.chdir(tmp_path)

    def run(steps, *arguments):
        capsys.readouterr()
        code = main(steps, home, list(arguments))
        return code, "".join(capsys.readouterr()), (tmp_path / "f").read_text()

    return run


@pytest.fixture
def chain(make_step):
    """Return three steps: the first writes a file, the two others change it in place."""
    return [
        make_step("one", WRITE),
        make_step("two", APPEND.format("b")),
        make_step("three", APPEND.format("c")),
    ]


def edit_step(step, source):
    """Replace the source of the first code cell."""
    content = json.loads(step.notebook.read_text())
    content["cells"][1]["source"] = source
    step.notebook.write_text(json.dumps(content))


def test_a_change_in_place_is_a_warning_and_makes_no_step_stale(run_steps, chain, home):
    code, output, content = run_steps(chain)
    assert (code, content) == (0, "abc")
    assert (
        "step two has changed f, which step one wrote: whenever it runs again, one must" in output
    )
    assert "step three has changed f, which step two wrote" in output
    [run] = load_all(home / "var" / "runs")
    assert len(run.problems) == 2
    assert "nothing to do" in run_steps(chain)[1]


@pytest.mark.parametrize("name", ["one", "two", "three"])
def test_forcing_any_step_gives_the_result_of_a_full_run(run_steps, chain, name):
    run_steps(chain)
    code, output, content = run_steps(chain, "--force", name)
    assert (code, content) == (0, "abc")
    if name != "one":
        assert "one        starts: two needs f as it was written here" in output
    assert "nothing to do" in run_steps(chain)[1]


def test_an_edited_step_starts_the_chain_at_its_first_writer(run_steps, chain):
    run_steps(chain)
    edit_step(chain[1], APPEND.format("B"))
    _, output, _ = run_steps(chain, "explain")
    first_line, second_line, third_line = output.strip().splitlines()
    assert "run   two needs f as it was written here" in first_line
    assert "run   cell 2 (The two report) was edited" in second_line
    assert "run   if two writes something new" in third_line
    assert run_steps(chain)[2] == "aBc"
    assert "nothing to do" in run_steps(chain)[1]


def test_a_changing_step_alone_is_refused_before_anything_starts(run_steps, chain, home):
    run_steps(chain)
    code, output, content = run_steps(chain, "--only", "two", "--force")
    assert (code, content) == (2, "abc")
    assert "step two needs f as step one wrote it, but step three has changed it since" in output
    assert "--from one" in output
    assert len(load_all(home / "var" / "runs")) == 1
    assert "two must run too (--from one)" in run_steps(chain, "--from", "three", "--force")[1]


def test_a_file_altered_from_outside_is_written_again_from_the_start(run_steps, chain, tmp_path):
    run_steps(chain)
    (tmp_path / "f").write_text("altered")
    assert run_steps(chain)[2] == "abc"


def test_a_change_is_not_applied_twice_after_a_failure(run_steps, chain):
    run_steps(chain)
    edit_step(chain[1], APPEND.format("B") + "; 1 / 0")
    assert run_steps(chain)[0] == 1
    edit_step(chain[1], APPEND.format("B"))
    assert run_steps(chain)[2] == "aBc"


def test_a_step_that_reads_between_two_writers_finds_the_earlier_version(
    run_steps, make_step, home
):
    steps = [
        make_step("one", WRITE),
        make_step("look", "print('seen', open('f').read())"),
        make_step("two", APPEND.format("b")),
    ]
    assert run_steps(steps)[2] == "ab"
    assert "nothing to do" in run_steps(steps)[1]
    run_steps(steps, "--force", "look")
    assert "seen a\n" in (home / "reports" / "latest" / "look.html").read_text()
    assert run_steps(steps)[2] == "ab"


def test_overwriting_without_reading_is_a_warning_and_the_last_writer_wins(run_steps, make_step):
    steps = [make_step("one", WRITE), make_step("two", "open('f', 'w').write('b')")]
    code, output, _ = run_steps(steps)
    assert code == 0
    assert "step two has overwritten f, which step one wrote" in output
    assert "one        up to date" in run_steps(steps, "--force", "two")[1]
    _, output, content = run_steps(steps, "--force", "one")
    assert content == "b"
    assert "two        starts: one has written f again, which it changes" in output


def test_appending_to_a_file_of_another_step_changes_it(run_steps, make_step):
    steps = [make_step("one", WRITE), make_step("two", "open('f', 'a').write('b')")]
    assert run_steps(steps)[2] == "ab"
    assert "nothing to do" in run_steps(steps)[1]
    assert run_steps(steps, "--force", "two")[2] == "ab"


def test_a_file_opened_for_reading_and_writing_is_changed(run_steps, make_step):
    update = "with open('f', 'r+') as f:\n    x = f.read()\n    f.write('b')"
    steps = [make_step("one", WRITE), make_step("two", update)]
    assert run_steps(steps)[2] == "ab"
    assert run_steps(steps, "--force", "two")[2] == "ab"


def test_two_writers_that_do_not_need_each_other_are_a_warning(run_steps, make_step):
    steps = [make_step("one", WRITE), make_step("two", "open('f', 'w').write('b')", needs=())]
    code, output, _ = run_steps(steps, "--jobs", "1")
    assert code == 0
    assert "step two has overwritten f, which step one wrote; neither needs the other" in output
    assert "nothing to do" in run_steps(steps)[1]


def test_a_writer_that_is_no_longer_a_step_is_not_required(run_steps, chain):
    run_steps(chain[:2])
    _, two, _ = chain
    assert run_steps([two], "--force")[0] == 0


def test_a_step_that_has_changed_a_file_is_not_retried(run_steps, make_step):
    killed = APPEND.format("b") + "; import os; os.kill(os.getpid(), 9)"
    steps = [make_step("one", WRITE), make_step("two", killed, retries=1, backoff=0.1)]
    code, output, content = run_steps(steps)
    assert (code, content) == (1, "ab")
    assert "not tried again, as it had changed f already" in output
    edit_step(steps[1], APPEND.format("b"))
    assert run_steps(steps)[2] == "ab"
