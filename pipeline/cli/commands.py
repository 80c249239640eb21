"""The runner's commands: run, explain, list, accept, runs, show, compare, render and prune.

What a command needs is imported by it: a run with nothing to do does not wait for the rest.
"""

import os
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipeline import startup
from pipeline.cli import execute, history, on_demand, parser
from pipeline.cli.parser import CommandLine, Option
from pipeline.cli.selection import select_tasks
from pipeline.definition import steps
from pipeline.definition.project import Project
from pipeline.definition.steps import Step
from pipeline.execution import run_lock
from pipeline.kernels import kernel_choice
from pipeline.kernels.slow_imports import skip_rfc3987_syntax
from pipeline.runs import records
from pipeline.runs.os_errors import describe_error
from pipeline.staleness import plan
from pipeline.staleness.state_store import StateStore

RUN_HELP = "the id of a run, the start of an id, latest, or the name of an on-demand step"


@dataclass(frozen=True)
class RunnerCommands:
    """The commands of one project; the first line of each docstring is its help.

    options: the project's own, "--name" -> the variable it sets in the kernels' environment.
    """

    project: Project
    steps: list[Step]
    options: Mapping[str, Option]

    def add_to(self, command_line: CommandLine) -> None:
        """Add the commands, in the order of the help."""
        add = command_line.add_command
        parser.add_run_options(add("run", self.run), self.options)
        parser.add_run_options(command_line.help_parser, self.options)  # run is the default
        parser.add_selection_options(add("explain", self.explain))
        add("list", self.list_steps)
        accept = add("accept", self.accept)
        accept.add_argument("step", metavar="STEP", help="the name of the step")
        parser.add_parameter_options(accept)
        add("runs", self.runs).add_argument(
            "--last", type=int, default=20, metavar="N", help="list the newest N (default: 20)"
        )
        add("show", self.show).add_argument("run", metavar="RUN", help=RUN_HELP)
        compare = add("compare", self.compare)
        compare.add_argument("old_run", nargs="?", metavar="RUN", help=RUN_HELP)
        compare.add_argument(
            "new_run", nargs="?", default="latest", metavar="RUN", help="the run to compare with it"
        )
        render = add("render", self.render)
        render.add_argument("run", nargs="?", default="latest", metavar="RUN", help=RUN_HELP)
        for page_command in (compare, render):
            page_command.add_argument(
                "--single-file", action="store_true", help="embed style and script in each page"
            )
        prune = add("prune", self.prune)
        prune.add_argument("--keep", type=int, required=True, metavar="N", help="keep the newest N")
        prune.add_argument("--dry-run", action="store_true", help="only say what would be deleted")
        for step in steps.split_on_demand(self.steps)[1]:
            step_parser = command_line.add_command(
                step.name, partial(self.run_on_demand, step), on_demand.summary(step)
            )
            parser.add_on_demand_options(step_parser, step, self.options)

    def _resolve_steps(self, kernels: list[str]) -> list[Step]:
        return kernel_choice.apply(steps.resolve_dependencies(self.steps), kernels)

    def run(
        self,
        jobs: int | None,
        cold: bool,
        single_file: bool,
        kernels: list[str],
        quiet: bool,
        json: bool,
        **selection_options: Any,
    ) -> int:
        """Run the notebooks of the steps for which something has changed; the default.

        selection_options: those that select steps, and the project's by their variables, if given.
        """
        startup.require_packages()
        environment = self._environment(selection_options)
        pipeline = self._resolve_steps(kernels)
        selection = select_tasks(pipeline, jobs=jobs, **selection_options)
        args = Namespace(jobs=jobs, cold=cold, single_file=single_file, quiet=quiet, json=json)
        return execute.run_tasks(self.project, pipeline, selection, environment, args).exit_code

    def _environment(self, options: dict[str, Any]) -> dict[str, str]:
        """Return the variables of the kernels; takes the project's own out of the options."""
        environment = {**self.project.environment, **os.environ}
        for option in self.options.values():
            if option.variable in options:
                environment[option.variable] = options.pop(option.variable)
        return environment

    def run_on_demand(
        self,
        step: Step,
        kernels: list[str],
        parameters: list[str],
        params: list[Path],
        cold: bool,
        single_file: bool,
        quiet: bool,
        json: bool,
        fail_on: str | None = None,
        follow_up_on: str | None = None,
        **options: str,
    ) -> int:
        """Run an on-demand step, and the pipeline if its verdict asks for it.

        options: the project's, by their variables, if given.
        """
        startup.require_packages()
        environment = self._environment(options)
        pipeline = self._resolve_steps([])
        step = kernel_choice.apply(steps.resolve_dependencies([step]), kernels)[0]
        selection = select_tasks(pipeline, parameters, params, [], on_demand_step=step)
        follow_up = step.follow_up if follow_up_on else None
        follow_up_selection = on_demand.select_follow_up(pipeline, follow_up)
        args = Namespace(jobs=None, cold=cold, single_file=single_file, quiet=quiet, json=json)
        outcome = execute.run_tasks(self.project, pipeline, selection, environment, args)
        exit_code = on_demand.exit_code(step, outcome, fail_on)
        is_due = on_demand.has_verdict(step, outcome, follow_up_on)
        if follow_up and follow_up_selection and is_due:
            project = on_demand.follow_up_project(self.project, follow_up)
            follow_up_outcome = execute.run_tasks(
                project, pipeline, follow_up_selection, environment, args
            )
            return follow_up_outcome.exit_code or exit_code
        return exit_code

    def explain(self, kernels: list[str], **selection: Any) -> int:
        """Say which steps would run, and why."""
        pipeline = self._resolve_steps(kernels)
        tasks, forced_steps = select_tasks(pipeline, **selection)
        planned_tasks = plan.plan_tasks(tasks, StateStore(self.project.workspace), forced_steps)
        print("\n".join(plan.explain(planned_tasks)))
        for step in steps.split_on_demand(pipeline)[1]:
            print(
                f"{step.name:10} on demand, by its own command: {self.project.script} {step.name}"
            )
        return 0

    def list_steps(self) -> int:
        """List the steps and their parameters."""
        print(parser.describe_steps(self.steps))
        return 0

    def accept(self, step: str, kernels: list[str], **parameters: Any) -> int:
        """Declare an edited step up to date, without running it."""
        pipeline = self._resolve_steps(kernels)
        steps.select_steps(pipeline, only_step=step)  # raises an error for an unknown name
        tasks = select_tasks(pipeline, **parameters).tasks
        workspace = self.project.workspace
        state_store = StateStore(workspace)
        with run_lock.hold(workspace.lock_file, "accept", execute.print_waiting):
            for task in tasks:
                if task.step.name == step:
                    changes = plan.accept(task, state_store)
                    print(f"{task.label} is accepted as up to date: {changes}")
        return 0

    def runs(self, last: int) -> int:
        """List the runs, newest first."""
        if last < 1:
            raise ValueError(f"--last is {last}, expected at least 1")
        history.print_runs(self.project.workspace, last)
        return 0

    def show(self, run: str) -> int:
        """Show one run in detail."""
        history.print_run(self.project.workspace, run)
        return 0

    def compare(self, old_run: str | None, new_run: str, single_file: bool) -> int:
        """Compare two runs on one page; by default the newest and the one before it."""
        skip_rfc3987_syntax()
        from pipeline.report.pages.comparison import write_comparison
        from pipeline.report.pages.index import RunIndex

        project = self.project
        new_folder = history.find_run_folder(project.workspace, new_run)
        new_record = records.load(new_folder)
        old_run = old_run or RunIndex(project).previous_comparable_run(new_record)
        if not old_run:
            raise LookupError(f"there is no finished run before {new_record.id} to compare it with")
        old_folder = history.find_run_folder(project.workspace, old_run)
        path = write_comparison(project, old_folder.name, new_folder.name, single_file)
        RunIndex(project).write_page(project.pinned_runs())
        print(path)
        return 0

    def render(self, run: str, single_file: bool) -> int:
        """Write the pages of a run again; with --single-file each is self-contained."""
        from pipeline.report.live import ReportWriter

        record = records.load(history.find_run_folder(self.project.workspace, run))
        if not record.ended:
            raise ValueError(f"run {record.id} has not ended yet")
        error = ReportWriter(self.project, record, single_file).rewrite_pages()
        if error:
            raise ValueError(f"some pages could not be written: {describe_error(error)}")
        print(self.project.workspace.report_folder(record.id))
        return 0

    def prune(self, keep: int, dry_run: bool) -> int:
        """Delete old runs, except those whose results are in use or needed by the next run."""
        from pipeline.report.pages.index import RunIndex
        from pipeline.runs.prune import delete_runs, plan_pruning

        project = self.project
        with run_lock.hold(project.workspace.lock_file, "prune", lambda _holder: None):
            prune_plan = plan_pruning(project.workspace, keep, project.pinned_runs)
            for run_id, reason in sorted(prune_plan.retained_runs.items()):
                print(f"kept: {run_id}, as {reason}")
            run_ids = prune_plan.deletable_runs
            if dry_run:
                for run_id in run_ids:
                    print(f"would be deleted: {run_id}")
                return 0
            freed_bytes = delete_runs(project.workspace, run_ids)
            RunIndex(project).write_page(project.pinned_runs())
        print(f"{len(run_ids)} runs deleted, {freed_bytes / 1e6:,.1f} MB freed")
        return 0
