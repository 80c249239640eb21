from housing.text import count_text, omission_text


def test_a_count_has_its_noun_in_singular_or_plural():
    assert [count_text(count, "row") for count in (0, 1, 2_000)] == [
        "0 rows",
        "1 row",
        "2,000 rows",
    ]


def test_a_list_counts_what_it_leaves_out():
    assert omission_text(1_025, 20, "problems") == "and 1,005 more problems"
    assert omission_text(20, 20, "problems") == ""
