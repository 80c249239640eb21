"""Write the pages of one run below reports/: its steps, the run itself, the index, a comparison."""

from functools import cached_property
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pipeline.definition.project import Project
from pipeline.kernels.slow_imports import skip_rfc3987_syntax
from pipeline.report.local_files import LocalFiles, page_url
from pipeline.report.model import PageContext, RenderedNotebook
from pipeline.report.pages.index import RunIndex, find_comparisons
from pipeline.report.pages.step import navigation_steps, run_page, step_page
from pipeline.runs import records
from pipeline.runs.atomic_write import atomic_write
from pipeline.runs.records import RunRecord, StepRecord
from pipeline.runs.results import PublishedResults
from pipeline.runs.status import CellStatus, StepStatus
from pipeline.workspace import RUN_PAGE_NAME


class RunPages:
    """The pages of one run; each method writes one, or raises what went wrong.

    What imports nbconvert is imported when a notebook is rendered: the first pages do not wait.

    single_file: each page contains its style sheet and script and links to no other page.
    """

    def __init__(self, project: Project, run: RunRecord, single_file: bool) -> None:
        self.project, self.workspace, self.run = project, project.workspace, run
        self.single_file = single_file
        self.summaries: dict[str, Markup] = {}  # by step name
        self.written_steps: set[str] = set()  # names of those that have a page, or soon will
        self.live = True  # the run goes on
        self.can_render_notebooks = False  # what it needs has been imported
        self._pin_reasons: dict[str, str] | None = None
        self._source_paths: dict[str, Path] = {}  # step name -> the notebook that it executed

    def preload(self) -> None:
        """Import what rendering a notebook needs."""
        skip_rfc3987_syntax()
        import pipeline.report.exporter  # noqa: F401

        self.can_render_notebooks = True

    def finish(self) -> None:
        """Make the pages that are written from now on final: the run has ended."""
        self.live = False
        folder = self.workspace.report_folder(self.run.id)  # another runner may have begun it
        self.written_steps |= {
            step.name for step in self.run.steps if (folder / step.report).exists()
        }
        self._pin_reasons = None  # the run may have changed what is in use

    def executed_notebook(self, step: StepRecord) -> Path:
        """Return the path of the step's notebook, in the run that executed it."""
        return self.workspace.executed_notebook(step.reused or self.run.id, step.executed_stem)

    def write_step(self, step: StepRecord) -> None:
        """Write the report of the step, and the pages that it has published.

        The report links to the steps beside it, so that these get a page, too.
        """
        self.written_steps.add(step.name)
        if not self.single_file:
            for neighbor in navigation_steps(self.run, step):
                self._ensure_page(neighbor)
        try:  # first, as the report links to them
            for page_name in step.pages:
                self._write_extra_page(step, page_name)
        finally:
            try:
                notebook = self._render_notebook(step)
            except Exception as error:  # the page says at least how the step ended
                sentence = Markup('<p class="failed">Its notebook cannot be shown: {}.</p>')
                self._write_report(step, RenderedNotebook(step.name, html=sentence.format(error)))
                raise
            self.summaries[step.name] = notebook.summary
            self._write_report(step, notebook)

    def _ensure_page(self, step: StepRecord) -> None:
        """Write a page without a notebook for a step that has none yet, as another links to it."""
        if step.name not in self.written_steps:
            self.written_steps.add(step.name)
            self._write_report(step, RenderedNotebook(step.name))

    def _write_report(self, step: StepRecord, notebook: RenderedNotebook) -> None:
        self._write(step.report, step_page(self.run, step, notebook, self._context(step)))

    def _render_notebook(self, step: StepRecord) -> RenderedNotebook:
        """Render the step's notebook, or an empty one if it has no outputs yet.

        The page of a running step does not wait for `preload`: that takes a second.
        """
        path = self.executed_notebook(step)
        must_wait = step.status is StepStatus.RUNNING and not self.can_render_notebooks
        if step.status is StepStatus.NOT_RUN or must_wait or not path.exists():
            return RenderedNotebook(step.name)
        self.preload()
        from pipeline.report import exporter

        executed_notebook = exporter.read_notebook(path)
        is_running = step.status is StepStatus.RUNNING
        if not is_running:
            _mark_killed_cell(executed_notebook)
        # a function, and no method, as nbconvert copies what it is given
        files = LocalFiles(root=self.workspace.project, report_url=lambda path: self._url_of(path))
        return exporter.render_notebook(executed_notebook, step.name, files, is_running)

    def _url_of(self, notebook_path: Path) -> str:
        """Return the URL of the report of a notebook in this run; empty if it has none."""
        if self.single_file:
            return ""
        for step in self.run.steps:
            if self._has_executed(step, notebook_path):
                self._ensure_page(step)
                return page_url(step.report)
        return ""

    def _has_executed(self, step: StepRecord, notebook_path: Path) -> bool:
        """Return whether the step has executed the notebook, or will, as far as its name tells."""
        source = self._source_path(step)
        if source == notebook_path:
            return True
        if source is not None and source.exists():
            return False
        # it has not started yet, or the project was moved since
        stem, is_variant = notebook_path.stem, "[" in step.name
        return step.file_stem == stem or (is_variant and step.file_stem.startswith(f"{stem}-"))

    def _source_path(self, step: StepRecord) -> Path | None:
        """Return the notebook that the step has executed; None before its start."""
        if step.name not in self._source_paths:
            from pipeline.report import exporter

            try:
                notebook = exporter.read_notebook(self.executed_notebook(step))
                source = Path(notebook.metadata["papermill"]["input_path"])
            except (OSError, ValueError, KeyError):
                return None
            self._source_paths[step.name] = source.resolve()
        return self._source_paths[step.name]

    def _write_extra_page(self, step: StepRecord, page_name: str) -> None:
        """Write a page that the step has published. Raises LookupError if it is gone."""
        self.preload()
        from pipeline.report.pages.extra import render_extra_page

        run_id = step.reused or self.run.id
        results_file = self.workspace.task_files(run_id, step.executed_stem).results
        pages = PublishedResults.load(results_file).pages
        if page_name not in pages:
            raise LookupError(f"{results_file} has no page {page_name}")
        page = render_extra_page(self.run, step, pages[page_name], self._context(step))
        self._write(step.page_filename(page_name), page)

    def write_run(self) -> None:
        """Write the page of the run."""
        pin_reason = self._load_pin_reasons().get(self.run.id, "")
        page = run_page(self.run, self.summaries, self._context(), pin_reason)
        self._write(RUN_PAGE_NAME, page)

    def write_index(self) -> None:
        """Write the page of all runs."""
        self.index.update(self.run)
        self.index.write_page(self._load_pin_reasons())

    def write_comparison(self) -> None:
        """Write the comparison with the run before, if there is one."""
        self.preload()
        from pipeline.report.pages.comparison import write_comparison

        previous_run_id = self.index.previous_comparable_run(self.run)
        if previous_run_id:
            write_comparison(self.project, previous_run_id, self.run.id)

    def update_latest_link(self) -> None:
        """Make reports/latest a symbolic link to this run's folder, replaced atomically.

        An on-demand step has a link of its own: it does not hide the last run of the pipeline.
        """
        latest = self.workspace.latest_report_of(self.run.on_demand_step)
        new_link = latest.with_name(f".latest.{self.run.id}")
        try:
            new_link.symlink_to(self.run.id, target_is_directory=True)
            new_link.replace(latest)
        except OSError:  # the file system has no links: write a page that redirects
            new_link.unlink(missing_ok=True)
            url = f"../{self.run.id}/{RUN_PAGE_NAME}"
            page = f'<meta http-equiv="refresh" content="0;url={url}"><a href="{url}">here</a>'
            atomic_write(latest / RUN_PAGE_NAME, page, durable=False)

    def _context(self, step: StepRecord | None = None) -> PageContext:
        """Return the context of the step's page, or of the run's page without a step."""
        comparison = find_comparisons(self.workspace).get(self.run.id)
        may_change = step is None or not step.status.is_success
        return PageContext(
            project=self.project,
            single_file=self.single_file,
            live=self.live and may_change,
            written_at=records.utc_now(),
            linked_steps=frozenset() if self.single_file else frozenset(self.written_steps),
            previous_run_id=self.index.previous_run_of_step(self.run, step.name) if step else "",
            comparison_href=comparison.href if comparison else "",
        )

    @cached_property
    def index(self) -> RunIndex:
        """All recorded runs."""
        return RunIndex(self.project)

    def _load_pin_reasons(self) -> dict[str, str]:
        """Return what the project's pinned_runs does; asked once, as it may query a server."""
        if self._pin_reasons is None:
            try:
                self._pin_reasons = self.project.pinned_runs()
            except Exception:  # whatever it queries: a page without them is better than none
                self._pin_reasons = {}
        return self._pin_reasons

    def _write(self, name: str, content: str) -> None:
        path = self.workspace.report_folder(self.run.id) / name
        atomic_write(path, content, durable=not self.live)


def _mark_killed_cell(executed_notebook: Any) -> None:
    """Mark the cell that was running when the notebook's worker was killed: it runs no longer."""
    for cell in executed_notebook.cells:
        state = cell.metadata.get("papermill", {})
        status = CellStatus.from_papermill(state.get("status")).after_kernel_death()
        if state and status is CellStatus.KILLED:
            state["status"] = status.papermill
