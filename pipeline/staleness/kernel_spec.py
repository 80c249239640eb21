"""Find what starts a kernel: jupyter_core does so too, but takes too long to import for a plan."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from pipeline.runs.digests import json_digest

SYSTEM_FOLDERS = ("/usr/local/share/jupyter", "/usr/share/jupyter")


def kernel_spec_hash(kernel: str, to_portable: Callable[[str], str]) -> str:
    """Return a hash of the command, environment and language of a kernel's specification.

    Empty if there is none, or it cannot be read. to_portable: makes paths independent of where the
    environment is.
    """
    for folder in _data_folders():
        path = Path(folder, "kernels", kernel, "kernel.json")
        if path.is_file():
            try:
                spec = json.loads(path.read_bytes())
                command = [to_portable(str(argument)) for argument in spec["argv"]]
                environment = {
                    name: to_portable(str(value)) for name, value in spec.get("env", {}).items()
                }
                language = spec.get("language")
                return json_digest({"argv": command, "env": environment, "language": language})
            except (OSError, ValueError, LookupError, TypeError, AttributeError):
                return ""
    return ""


def _data_folders() -> list[str]:
    """Return Jupyter's folders of data, in the order in which it looks."""
    user_folder = os.environ.get("JUPYTER_DATA_DIR") or str(Path("~/.local/share/jupyter"))
    environment_folder = str(Path(sys.prefix, "share", "jupyter"))
    own_folders = [os.path.expanduser(user_folder), environment_folder]  # noqa: PTH111
    if sys.prefix != sys.base_prefix:
        own_folders.reverse()
    extra_folders = os.environ.get("JUPYTER_PATH", "").split(os.pathsep)
    return [*filter(None, extra_folders), *own_folders, *SYSTEM_FOLDERS]
