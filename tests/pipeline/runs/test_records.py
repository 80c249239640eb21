import time

from pipeline.runs import records


def test_runs_in_one_second_sort_by_time():
    """Otherwise "latest" and `prune` would take a run for the newest that is not."""
    run_ids = []
    for _ in range(50):
        run_ids.append(records.new_run_id())
        time.sleep(0.0005)
    assert run_ids == sorted(run_ids)
    assert len(set(run_ids)) == len(run_ids)
