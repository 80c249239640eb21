"""File names made of labels, and hashes of content."""

import json
import os
from pathlib import PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.runs.digests import json_digest, slug

LABELS = st.text(min_size=1, max_size=300)
JSON_KEYS = st.text(max_size=5)
JSON_VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)


@given(LABELS)
def test_a_slug_is_a_file_name(label):
    name = slug(label)
    assert PurePath(f"{name}.html").name == f"{name}.html"
    assert 1 <= len(os.fsencode(f"{name}.stderr")) <= 255 or not label.isascii()
    assert not set(name) & set('/\\:*?"<>| \n')


@given(st.sets(LABELS, min_size=2, max_size=8))
def test_no_two_labels_share_a_slug(labels):
    assert len({slug(label) for label in labels}) == len(labels)


@given(st.sampled_from(["", "x" * 120]), st.sets(st.integers(), min_size=2, max_size=5))
def test_long_values_of_a_sweep_have_slugs_of_their_own(value, seeds):
    labels = [f"train[seed={seed},name={value}]" for seed in seeds]
    assert len({slug(label) for label in labels}) == len(labels)


@pytest.mark.parametrize(
    ("label", "name"), [("train", "train"), ("train[seed=1]", "train-seed=1"), ("a.b+c", "a.b+c")]
)
def test_a_slug_reads_like_its_label(label, name):
    assert slug(label) == name


@given(st.dictionaries(JSON_KEYS, JSON_VALUES, max_size=5))
def test_a_digest_does_not_depend_on_the_order_of_entries(content):
    reversed_content = dict(reversed(content.items()))
    assert json_digest(reversed_content) == json_digest(content)
    assert json_digest(json.loads(json.dumps(content))) == json_digest(content)


@given(st.dictionaries(JSON_KEYS, JSON_VALUES, max_size=5), JSON_KEYS)
def test_another_entry_gives_another_digest(content, key):
    changed = {**content, key: [content.get(key)]}
    assert json_digest(changed) != json_digest(content)
