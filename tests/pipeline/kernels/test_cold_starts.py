"""What a notebook's code tells of the kernel it needs, before it runs."""

import pytest

from pipeline.definition.tasks import Task
from pipeline.kernels.cold_starts import ColdStarts, find_reason
from pipeline.staleness.fingerprint import Fingerprint
from pipeline.workspace import Workspace


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (
            ["import os\nos.environ['OPENBLAS_NUM_THREADS'] = '1'", "import numpy as np"],
            "it sets OPENBLAS_NUM_THREADS before it imports numpy",
        ),
        (
            ["%env MPLBACKEND=svg", "from matplotlib import pyplot"],
            "it sets MPLBACKEND before it imports matplotlib",
        ),
        (
            ["import os\nif True:\n    os.putenv('OMP_NUM_THREADS', '1')\n    import numpy"],
            "it sets OMP_NUM_THREADS before it imports numpy",
        ),
        (
            ["import os\nos.environ.update(JAX_ENABLE_X64='1', A='2')", "import numpy.linalg"],
            "it sets JAX_ENABLE_X64 before it imports numpy",
        ),
        (
            ["from gevent import monkey; monkey.patch_all()", "import numpy"],
            "it patches the standard library before it imports numpy",
        ),
        (["import numpy", "import os\nos.environ['OMP_NUM_THREADS'] = '1'", "import numpy"], ""),
        (["import os\nprint(os.environ['OMP_NUM_THREADS'])", "import numpy"], ""),
        (["import os\nos.environ['OMP_NUM_THREADS'] = '1'", "import json"], ""),
        (["import os\nos.environ['MLFLOW_TRACKING_URI'] = 'x'", "import numpy"], ""),
    ],
)
def test_what_is_set_before_an_import_is_seen(make_notebook, cells, reason):
    assert find_reason(make_notebook("one", *cells)) == reason


def test_what_a_run_found_out_holds_as_long_as_the_code_is_the_same(make_step, tmp_path):
    task, workspace = (
        Task(make_step("one", "import numpy"), "one", {}, (), "one"),
        Workspace(tmp_path),
    )
    fingerprint, other_fingerprint = Fingerprint(code={"0": "a"}), Fingerprint(code={"0": "b"})
    workspace.var_folder.mkdir()
    ColdStarts(workspace).remember(task, fingerprint, "it sets A before it imports numpy")
    cold_starts = ColdStarts(workspace)
    assert cold_starts.find_reason(task, fingerprint) == "it sets A before it imports numpy"
    assert cold_starts.find_reason(task, other_fingerprint) == ""
    workspace.cold_starts_file.write_text("[]")
    assert ColdStarts(workspace).find_reason(task, fingerprint) == ""
