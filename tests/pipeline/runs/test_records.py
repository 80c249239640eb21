import time

from pipeline.runs import records


def test_runs_in_one_second_sort_by_time():
    """Else "latest" and `prune` take one for the newest that is not."""
    ids = []
    for _ in range(50):
        ids.append(records.new_run_id())
        time.sleep(0.0005)
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
