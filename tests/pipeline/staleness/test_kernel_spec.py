"""The specification of a kernel, whose change is one of the step."""

import json

import pytest

from pipeline.staleness.fingerprint import Fingerprint
from pipeline.staleness.kernel_spec import kernel_spec_hash


@pytest.fixture
def write_spec(tmp_path, monkeypatch):
    """Write a specification into a folder of Jupyter's: `write_spec(argv=[...])`."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    folder = tmp_path / "kernels" / "own"
    folder.mkdir(parents=True)

    def write(**changes):
        spec = {"argv": ["/env/bin/python", "-m", "k"], "env": {}, "language": "python", **changes}
        (folder / "kernel.json").write_text(json.dumps(spec))

    return write


def test_another_command_environment_or_language_is_another_specification(write_spec):
    def spec_hash():
        return kernel_spec_hash("own", lambda text: text.replace("/env/", "<env>/"))

    assert spec_hash() == ""
    hashes = set()
    for changes in ({}, {"argv": ["/other/python"]}, {"env": {"A": "1"}}, {"language": "R"}):
        write_spec(**changes)
        hashes.add(spec_hash())
    assert len(hashes) == 4
    write_spec(display_name="Another name", argv=["<env>/bin/python", "-m", "k"])
    assert spec_hash() in hashes


def test_only_a_known_specification_of_the_same_kernel_is_compared():
    recorded, changed = Fingerprint(kernel_spec={"own": "1"}), Fingerprint(kernel_spec={"own": "2"})
    assert [*map(str, changed.diff(recorded))] == ["the kernel own has another specification"]
    assert not changed.diff(Fingerprint())
    assert not Fingerprint(kernel_spec={"other": "2"}).diff(recorded)
