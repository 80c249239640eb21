"""What the runner, the fork server and the kernels agree on: names and messages."""

from typing import NamedTuple

FORK_SERVER_SOCKET_NAME = "fork"  # in the run's folder of sockets
# variables of a kernel's environment, which notebooks do not see
ACCESS_LOG_VARIABLE = "PIPELINE_TRACE"  # the file that gets a line for each access: file_tracer
SECRETS_VARIABLE = "PIPELINE_SECRETS"  # names of variables whose values are secret, joined by "="
# of the Python processes that a notebook starts: version of Python, access log, secret variables
CHILD_TRACE_VARIABLE = "PIPELINE_CHILD_TRACE"
OUTPUT_FOLDER_VARIABLE = "PIPELINE_TEE"  # of the files stdout and stderr, written at once


class KernelRequest(NamedTuple):
    """Client to fork server: start a kernel. Its process id is the answer."""

    arguments: list[str]  # of kernel_main
    environment: dict[str, str]
    working_folder: str
    stderr_path: str  # the file that gets what the kernel process prints
    reason_path: str = ""  # the file that gets the reason why the kernel must be started cold


class KernelEnded(NamedTuple):
    """Fork server to client: the kernel has ended."""

    exit_code: int  # negative for a signal
    peak_mb: int = 0  # its largest memory
