"""Store what each step last did and depended on; decide from that whether it must run again.

One JSON file per step in var/steps/, written when the step starts and when it has ended:

- run, status: of its last execution
- code, parameters, modules, installed: the fingerprint when it started
- packages: distribution -> version; dynamic: modules imported at run time only
- inputs, outputs, folders: path -> signature; left: files of earlier runs that still exist
- over, in_place: files of other steps that it has written, those it has changed in place
- undone: its changes of such files that another step has overwritten
- upstream: the digests of the needed steps' results; watched: the external state
- wrote: the digest of its own results
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.definition.steps import Task
from pipeline.runs import atomic_write
from pipeline.staleness import (
    access_log,
    dependencies,
    fingerprint,
    folder_listing,
    reasons,
    shared_files,
)

StepState = dict[str, Any]


class StateStore:
    """The states of all steps, kept in a home folder."""

    def __init__(self, home: Path) -> None:
        self.home, self.folder = home, home / "var" / "steps"

    def load(self, label: str) -> StepState:
        """Return the state of a step; empty if it has never run here."""
        return _read_state(self._state_path(label))

    def save(self, label: str, state: StepState) -> None:
        """Write the state of a step atomically."""
        content = {"label": label, **state}
        atomic_write.atomic_write(
            self._state_path(label), json.dumps(content, indent=1, default=str)
        )

    def load_all(self) -> dict[str, StepState]:
        """Return label -> state of all steps that have ever run here."""
        states = {path.stem: _read_state(path) for path in sorted(self.folder.glob("*.json"))}
        return {state.get("label", stem): state for stem, state in states.items()}

    def _state_path(self, label: str) -> Path:
        return self.folder / f"{atomic_write.slug(label)}.json"

    def stale_reasons(self, task: Task) -> list[str]:
        """Return why the task must run; empty if it is up to date."""
        state = self.load(task.label)
        if not state:
            return ["it has never run here"]
        if state.get("status") != "done":
            return [f"it did not finish in run {state.get('run')} ({state.get('status')})"]
        if not (self.home / "var" / "runs" / state["run"] / f"{task.file_stem}.ipynb").exists():
            return [f"its executed notebook of run {state['run']} is gone"]
        return [
            *self._changed_code_and_packages(task, state),
            *reasons.changed_files("input", self._changed_inputs(task.label, state["inputs"])),
            *reasons.changed_files("output", state["outputs"]),
            *reasons.changed_folders(
                task.step, state.get("folders", {}), lambda: self._expected_paths(task)
            ),
            *reasons.changed_values(
                "upstream",
                state["upstream"],
                self.upstream_digests(task.needs),
                "wrote new results",
            ),
            *reasons.changed_values(
                "external state", state["watched"], dependencies.read_external_state(task.step)
            ),
            *reasons.reverted_files(state.get("undone", {})),
        ]

    def _changed_code_and_packages(self, task: Task, state: StepState) -> list[str]:
        current = dependencies.take_fingerprint(task.step, task.values)
        dynamic_modules = state.get("dynamic", {})
        return [
            *reasons.changed_cells(state["code"], current["code"]),
            *reasons.changed_values("parameter", state["parameters"], current["parameters"]),
            *reasons.changed_modules(
                state["modules"] | dynamic_modules,
                current["modules"] | dependencies.module_hashes(dynamic_modules),
            ),
            *reasons.changed_values(
                "package", state["packages"], dependencies.current_versions(state["packages"])
            ),
        ]

    def _changed_inputs(self, label: str, inputs: StepState) -> StepState:
        """Return the inputs that differ, except those that only a later step has changed."""
        changed_inputs = {
            path: signature
            for path, signature in inputs.items()
            if atomic_write.file_change(Path(path), signature)
        }
        states = self.load_all() if changed_inputs else {}
        return {
            path: signature
            for path, signature in changed_inputs.items()
            if not shared_files.is_later_version(label, path, states)
        }

    def upstream_digests(self, needs: Iterable[str]) -> dict[str, str]:
        """Return label -> digest of the results of each needed step."""
        return {label: self.load(label).get("wrote", "nothing") for label in needs}

    def mark_running(self, task: Task, run_id: str) -> None:
        """Record that the step has started: until `mark_done` it counts as unfinished."""
        self.mark_unfinished(task, run_id, "running")

    def mark_unfinished(self, task: Task, run_id: str, status: str) -> None:
        """Record that the step has not succeeded."""
        state = {
            "run": run_id,
            "status": status,
            "left": self._previous_outputs(task.label),
            "over": self.load(task.label).get("over", {}),
        }
        self.save(task.label, state)

    def mark_done(
        self,
        task: Task,
        run_id: str,
        access_log_path: Path,
        reported_fields: dict[str, Any],
        start_fingerprint: StepState,
    ) -> list[str]:
        """Record that the step has succeeded, with all that it depended on.

        access_log_path: the log of the files its kernel opened. reported_fields: what the notebook
        published, which may name files (read, wrote) and results that are no files (made).
        start_fingerprint: `dependencies.take_fingerprint` before the step ran, as the code may have
        changed since. Returns warnings about files of other steps that the step has written.
        """
        accesses = access_log.read_access_log(access_log_path, task.step, self.home)
        states = self.load_all()
        appended = {
            path for path in accesses.appended if shared_files.last_writer(str(path), states)
        }
        inputs, outputs = _data_signatures(accesses, appended, reported_fields)
        folders = self._folder_signatures(
            task, access_log.listed_folders(accesses, self.home), outputs
        )
        previous_writers = shared_files.earlier_writers(task.label, outputs, states)
        in_place_paths = {
            str(path) for path in (*accesses.updated, *appended, *reported_fields.get("read", []))
        }
        overwritten = states.get(task.label, {}).get("over", {}) | {
            path: writer
            for path, writer in previous_writers.items()
            if not shared_files.is_same_step(writer, task.label)
        }
        state = {
            "run": run_id,
            "status": "done",
            **start_fingerprint,
            "packages": dependencies.environment_versions(start_fingerprint["installed"]),
            "dynamic": {
                str(path): fingerprint.module_hash(path)
                for path in sorted(accesses.modules)
                if str(path) not in start_fingerprint["modules"]
            },
            "inputs": inputs,
            "outputs": outputs,
            "left": self._previous_outputs(task.label),
            "folders": folders,
            "over": {path: writer for path, writer in overwritten.items() if path in outputs},
            "in_place": sorted(in_place_paths & overwritten.keys() & outputs.keys()),
            "upstream": self.upstream_digests(task.needs),
            "watched": dependencies.read_external_state(task.step),
            "wrote": _output_digest(reported_fields, outputs, inputs | folders, start_fingerprint),
        }
        self._transfer_ownership(task.label, outputs, states)
        self.save(task.label, state)
        return shared_files.overwrite_warnings(
            task.label, previous_writers, in_place_paths, {**states, task.label: state}
        )

    def modified_foreign_files(self, task: Task, access_log_path: Path) -> list[str]:
        """Return the files of other steps that an unfinished step has changed."""
        accesses = access_log.read_access_log(access_log_path, task.step, self.home)
        states = self.load_all()
        changed_paths = {str(path) for path in (*accesses.updated, *accesses.appended)}
        modified_paths = []
        for path in sorted(changed_paths):
            writer = shared_files.last_writer(path, states)
            if writer and atomic_write.file_change(Path(path), states[writer]["outputs"][path]):
                modified_paths.append(path)
        return modified_paths

    def accept(self, task: Task) -> str:
        """Declare an edited step up to date without running it; return the accepted changes.

        Raises ValueError if the step has never finished, or its outputs have changed.
        """
        state = self.load(task.label)
        if state.get("status") != "done":
            raise ValueError(f"step {task.label} cannot be accepted: it has not finished yet")
        changed_outputs = reasons.changed_files("output", state["outputs"])
        if changed_outputs:
            raise ValueError(f"step {task.label} cannot be accepted: {'; '.join(changed_outputs)}")
        changes = self.stale_reasons(task)
        current = dependencies.take_fingerprint(task.step, task.values)
        current.pop("installed")
        accepted_state = {
            **state,
            **current,
            "packages": dependencies.current_versions(state["packages"]),
            "inputs": {path: atomic_write.signature(Path(path)) for path in state["inputs"]},
            "dynamic": dependencies.module_hashes(state.get("dynamic", {})),
            "upstream": self.upstream_digests(task.needs),
            "watched": dependencies.read_external_state(task.step),
            "folders": self._folder_signatures(task, map(Path, state.get("folders", {})), {}),
        }
        self.save(task.label, accepted_state)
        return "; ".join(changes) or "nothing had changed"

    def _folder_signatures(
        self, task: Task, folder_paths: Iterable[Path], outputs: StepState
    ) -> StepState:
        expected_paths = self._expected_paths(task) | outputs.keys()
        return {
            str(path): folder_listing.folder_signature(path, task.step.ignore, expected_paths)
            for path in folder_paths
        }

    def _previous_outputs(self, label: str) -> list[str]:
        """Return the files that the step wrote in earlier runs and that still exist."""
        state = self.load(label)
        paths = {*state.get("outputs", {}), *state.get("left", [])}
        return sorted(path for path in paths if Path(path).exists())

    def _expected_paths(self, task: Task) -> set[str]:
        """Return the files that are no news to the step: its own, and those of unneeded steps."""
        states = self.load_all()
        needed_labels = shared_files.ancestors(task.needs, states)
        return {
            path
            for label, state in states.items()
            if label not in needed_labels
            for path in (*state.get("outputs", {}), *state.get("left", []))
        }

    def _transfer_ownership(
        self, label: str, outputs: StepState, states: dict[str, StepState]
    ) -> None:
        """Make the step the owner of all its outputs.

        No other step then misses its own version of a file. A step that had changed the file after
        this one must do so again, which its state notes as undone.
        """
        step_name = label.partition("[")[0]
        for other_label, state in states.items():
            if other_label == label or (label != step_name and other_label == step_name):
                continue  # a sweep's variant overwrites the plain step's output, which must run
            reverted_paths = shared_files.reverted_paths(other_label, label, outputs, states)
            other_outputs = state.get("outputs", {})
            if reverted_paths or other_outputs.keys() & outputs.keys():
                remaining_outputs = {
                    path: signature
                    for path, signature in other_outputs.items()
                    if path not in outputs
                }
                undone = {**state.get("undone", {}), **dict.fromkeys(reverted_paths, label)}
                self.save(other_label, {**state, "outputs": remaining_outputs, "undone": undone})


def _read_state(path: Path) -> StepState:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _data_signatures(
    accesses: access_log.FileAccesses, appended_paths: set[Path], reported_fields: StepState
) -> tuple[StepState, StepState]:
    """Return the signatures of the inputs, and those of the outputs.

    appended_paths: files appended to that count as outputs, because a step wrote them.
    """
    # a log that steps only append to grows with every run: neither input nor output
    logs = set(accesses.appended) - set(accesses.written) - appended_paths
    reported_paths = map(Path, reported_fields.get("wrote", []))
    written_paths = {*accesses.written, *appended_paths, *reported_paths} - logs
    outputs = {
        str(path): atomic_write.signature(path) for path in sorted(written_paths) if path.is_file()
    }
    inputs = {
        str(path): _signature_when_read(path, recorded_stat)
        for path, recorded_stat in sorted(accesses.read.items())
        if path not in written_paths | logs and not path.is_dir()
    }
    reported_inputs = {
        path: atomic_write.signature(Path(path)) for path in reported_fields.get("read", [])
    }
    return inputs | reported_inputs, outputs


def _output_digest(
    reported_fields: StepState, outputs: StepState, inputs: StepState, start_fingerprint: StepState
) -> str:
    """Return a digest of all results that later steps may find new.

    A step without visible results may write what the runner cannot see: its code and inputs stand
    for them.
    """
    has_no_visible_results = not outputs and not reported_fields.get("made")
    input_contents = {
        path: signature and signature.get("sha256", signature.get("names"))
        for path, signature in inputs.items()
    }
    return atomic_write.json_digest(
        {
            "files": {path: signature["sha256"] for path, signature in outputs.items()},
            "made": reported_fields.get("made"),
            "headline": reported_fields.get("headline"),
            "code": [
                start_fingerprint.get(key) if has_no_visible_results else None
                for key in ("code", "parameters", "modules")
            ],
            "read": input_contents if has_no_visible_results else None,
        }
    )


def _signature_when_read(path: Path, recorded_stat: str) -> atomic_write.FileSignature | None:
    """Return the file's signature when it was opened.

    If it has changed since, its content then is unknown: the signature equals no file.
    """
    signature = atomic_write.signature(path)
    if signature and recorded_stat != f"{signature['size']} {signature['mtime_ns']}":
        return {"sha256": "", "size": -1, "mtime_ns": 0}
    return signature
