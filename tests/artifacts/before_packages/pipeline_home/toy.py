"""What the notebooks of this folder share."""

import json
import os
from pathlib import Path

HERE = Path(__file__).parent


def hand_over(headline, notice="", links=None, results=None, pages=None):
    content = {
        "headline": headline,
        "notice": notice,
        "data": "Generated sample, 3 block groups, sha256 0348fd1903ed",
        "champion": "california-housing-sample version 2",
        "links": links or {},
        "made": results or {},
        "read": [],
        "pages": pages or {},
    }
    # the second is the name of the variable since the packages were split
    for variable in ("PIPELINE_HANDOVER", "PIPELINE_RESULTS"):
        if variable in os.environ:
            Path(os.environ[variable]).write_text(json.dumps(content, indent=2))
