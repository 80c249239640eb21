"""papermill's engine: records how each cell really ended, enforces limits, saves outputs early.

    papermill --engine pipeline in.ipynb out.ipynb

papermill finds it by its entry point and imports this module then: import papermill, not this
module, before the others that use papermill. What only an execution needs is imported by it.
"""

import asyncio
from typing import TYPE_CHECKING, Any

from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.engines import NBClientEngine

from pipeline.runs.status import StepStatus

if TYPE_CHECKING:
    from pipeline.execution.execution_manager import ExecutionManager
    from pipeline.execution.notebook_job import NotebookJob

ENGINE_NAME = "pipeline"  # in pyproject.toml


class PipelineEngine(NBClientEngine):
    """papermill's own engine, with a record that stays true when a kernel dies or is stopped."""

    @classmethod
    def execute_notebook(
        cls,
        nb: Any,
        kernel_name: str,
        output_path: str | None = None,
        progress_bar: bool | dict = True,
        log_output: bool = False,
        job: "NotebookJob | None" = None,
        **options: Any,
    ) -> Any:
        """Execute the notebook in place and return it.

        job: the runner's, which tells how it ended; without it the notebook runs as papermill's
        command line says. options: papermill's; autosave_cell_every has no effect, as outputs are
        saved within seconds.
        """
        from pipeline.execution import notebook_job
        from pipeline.execution.execution_manager import ExecutionManager
        from pipeline.kernels.socket_folder import temporary_socket_folder

        with temporary_socket_folder() as folder:
            job = job or notebook_job.build_plain_job(kernel_name, output_path, folder)
            manager = ExecutionManager(nb, job, progress_bar=progress_bar, log_output=log_output)
            manager.notebook_start()
            try:
                cls.execute_managed_notebook(manager, kernel_name, log_output=log_output, **options)
            finally:
                manager.notebook_complete()
        return nb

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: "ExecutionManager",
        kernel_name: str,
        log_output: bool = False,
        stdout_file: Any = None,
        stderr_file: Any = None,
        start_timeout: int = 60,
        execution_timeout: int | None = None,
        **_options: Any,
    ) -> None:
        """Execute the cells.

        Raises what ended the notebook; an error in a cell papermill finds in the outputs itself.
        """
        from pipeline.execution.kernel_session import KernelSession

        session = KernelSession(
            nb_man,
            kernel_name=kernel_name,
            log_output=log_output,
            stdout_file=stdout_file,
            stderr_file=stderr_file,
            startup_timeout=start_timeout,
            timeout=execution_timeout,
        )
        asyncio.run(session.run())
        failure = nb_man.job.result.failure
        match nb_man.job.result.status:
            case StepStatus.STOPPED:
                raise KeyboardInterrupt(failure)
            case StepStatus.KILLED:
                raise DeadKernelError(failure)
            case StepStatus.TIMED_OUT:
                raise CellTimeoutError(failure)
