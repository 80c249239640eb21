"""The file of a reference: kept with its version, verified, and computed again where it is not."""

import json

import numpy as np
import pandas as pd
import pytest

from housing import paths
from housing.data import loading, splitting
from housing.export import onnx_export
from housing.monitoring.quantities import HistogramKey
from housing.monitoring.reference import reference_file
from housing.registry import artifacts, registration, versions
from housing.schema import TARGET
from housing.tracking import experiments


def assert_equal(first, second):
    """Assert that two references count rows alike."""
    assert list(first.counts.histograms) == list(second.counts.histograms)
    for key, histogram in first.counts.histograms.items():
        assert second.counts.histograms[key] == pytest.approx(histogram), key
    pd.testing.assert_frame_equal(first.sample, second.sample)


def test_a_written_reference_is_read_again(held_out):
    content = reference_file.to_bytes(held_out.reference)
    reference = reference_file.from_bytes(content)
    assert_equal(reference, held_out.reference)
    assert len(content) < 500_000
    assert reference_file.to_bytes(reference) == content  # so nothing is lost
    assert reference.row_count == len(held_out.test)
    assert reference.distances_km(held_out.test) == pytest.approx(
        held_out.reference.distances_km(held_out.test)
    )


def test_a_damaged_file_is_refused(held_out):
    content = reference_file.to_bytes(held_out.reference)
    for damaged in (b"", b"PK\3\4", content[:1_000], content[:-50], b"[]", b"\x93NUMPY"):
        with pytest.raises(ValueError, match="the monitoring's reference cannot be read"):
            reference_file.from_bytes(damaged)


def test_a_file_of_a_later_format_is_refused(held_out, monkeypatch):
    monkeypatch.setattr(reference_file, "FORMAT_VERSION", 2)
    content = reference_file.to_bytes(held_out.reference)
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"it has the format 2, .* reads format 1"):
        reference_file.from_bytes(content)


def test_the_reference_of_an_older_version_is_computed_again(champion_home):
    version = versions.current_champion()
    reference = reference_file.load_reference(version)
    split = splitting.read_split()
    assert (reference.model_name, reference.model_version) == version[:2]
    assert reference.row_count == len(split.test)
    errors = (
        versions.load_model(version).predict(split.test.drop(columns=TARGET)) - split.test[TARGET]
    )
    n_rows, _, squares = reference.counts.moments[HistogramKey("error")]
    assert np.sqrt(squares / n_rows) == pytest.approx(np.sqrt(np.mean(errors**2)) * 1e5)
    assert HistogramKey("missed") in reference.counts.histograms


def test_without_the_split_of_an_older_version_the_ways_out_are_named(champion_home):
    version = versions.current_champion()
    splitting.write_split(loading.load_dataset("sample", n_rows=1_000))
    with pytest.raises(ValueError, match=r"another than the one .* `run_pipeline\.py` to register"):
        reference_file.load_reference(version)
    (paths.processed_data() / "manifest.json").unlink()
    with pytest.raises(ValueError, match=r"version 1 .* 01_prep .* \(`make data-pull`"):
        reference_file.load_reference(version)


def test_a_version_keeps_the_reference_it_was_registered_with(champion_home, held_out):
    split = splitting.read_split()
    candidate = experiments.find_candidates(split.manifest)[0]
    onnx_model = onnx_export.to_onnx(experiments.load_model(candidate))
    version = registration.register(
        candidate, split, onnx_model, np.zeros(1), False, "a try",
        reference=reference_file.to_bytes(held_out.reference),
    )  # fmt: skip
    splitting.write_split(loading.load_dataset("sample", n_rows=1_000))
    reference = reference_file.load_reference(versions.get_version(version.name, version.version))
    assert_equal(reference, held_out.reference)
    assert reference.model_version == version.version == "2"
    versions.load_model(version)  # the file does not disturb the others


def test_a_changed_reference_is_named(champion_home):
    version = versions.current_champion()
    split = splitting.read_split()
    [candidate] = [
        candidate
        for candidate in experiments.find_candidates(split.manifest)
        if candidate.run_id == version.run_id
    ]
    tags = artifacts.add_reference(candidate, b"a reference")
    version = version._replace(tags=version.tags | tags)
    assert artifacts.read_reference(version) == b"a reference"
    (experiments.model_folder(candidate) / tags["reference"]).write_bytes(b"another")
    with pytest.raises(ValueError, match=r"expected .* as registered: the file was changed"):
        reference_file.load_reference(version)
    (experiments.model_folder(candidate) / tags["reference"]).unlink()
    with pytest.raises(ValueError, match=r"the files of .* version 1 are gone"):
        reference_file.load_reference(version)


def test_the_header_says_what_the_arrays_are(held_out):
    """Another program can read the file with numpy alone."""
    from io import BytesIO

    with np.load(BytesIO(reference_file.to_bytes(held_out.reference))) as archive:
        header = json.loads(archive["header"].tobytes())
        assert header["row_count"] == len(held_out.test)
        assert len(header["histograms"]) == len(archive["histogram_lengths"])
