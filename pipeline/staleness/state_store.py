"""What each step last did, and on what; from that, whether it must run again, and why.

One JSON file for each step in var/steps/, written when the step starts and when it has ended.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.definition.steps import Task
from pipeline.runs import atomic_write
from pipeline.staleness import access_log, dependencies, fingerprint, folder_listing, shared_files
from pipeline.staleness import reasons as change_reasons

StepState = dict[str, Any]


class StateStore:
    """The states of all steps of a home."""

    def __init__(self, home: Path) -> None:
        self.home, self.folder = home, home / "var" / "steps"

    def load(self, label: str) -> StepState:
        """What is known of the step; empty if it has never run here."""
        return _read_state(self._state_path(label))

    def save(self, label: str, state: StepState) -> None:
        """Writes it, whole."""
        content = {"label": label, **state}
        atomic_write.atomic_write(
            self._state_path(label), json.dumps(content, indent=1, default=str)
        )

    def load_all(self) -> dict[str, StepState]:
        """All that is known of any step, by the steps' labels."""
        found = [(one.stem, _read_state(one)) for one in sorted(self.folder.glob("*.json"))]
        return {it.get("label", stem): it for stem, it in found}

    def _state_path(self, label: str) -> Path:
        return self.folder / f"{atomic_write.slug(label)}.json"

    def stale_reasons(self, task: Task) -> list[str]:
        """Why the task must run; empty if it is up to date."""
        known = self.load(task.label)
        if not known:
            return ["it has never run here"]
        if known.get("status") != "done":
            return [f"it did not finish in run {known.get('run')} ({known.get('status')})"]
        if not (self.home / "var" / "runs" / known["run"] / f"{task.file_stem}.ipynb").exists():
            return [f"its executed notebook of run {known['run']} is gone"]
        now = dependencies.take_fingerprint(task.step, task.values)
        dynamic = known.get("dynamic", {})
        return [
            *change_reasons.changed_cells(known["code"], now["code"]),
            *change_reasons.changed_values("parameter", known["parameters"], now["parameters"]),
            *change_reasons.changed_modules(
                known["modules"] | dynamic, now["modules"] | dependencies.module_hashes(dynamic)
            ),
            *change_reasons.changed_values(
                "package", known["packages"], dependencies.current_versions(known["packages"])
            ),
            *change_reasons.changed_files(
                "input", self._changed_inputs(task.label, known["inputs"])
            ),
            *change_reasons.changed_files("output", known["outputs"]),
            *change_reasons.changed_folders(
                task.step, known.get("folders", {}), lambda: self._expected_paths(task)
            ),
            *change_reasons.changed_values(
                "upstream",
                known["upstream"],
                self.upstream_digests(task.needs),
                "wrote new results",
            ),
            *change_reasons.changed_values(
                "outside", known["watched"], dependencies.read_external_state(task.step)
            ),
            *change_reasons.reverted_files(known.get("undone", {})),
        ]

    def _changed_inputs(self, label: str, inputs: StepState) -> StepState:
        """The inputs that are not as they were, but for what later steps have made of them."""
        found = {one: it for one, it in inputs.items() if atomic_write.file_change(Path(one), it)}
        states = self.load_all() if found else {}
        return {
            one: it
            for one, it in found.items()
            if not shared_files.is_later_version(label, one, states)
        }

    def upstream_digests(self, needs: Iterable[str]) -> dict[str, str]:
        """Step -> a hash of what it wrote."""
        return {one: self.load(one).get("wrote", "nothing") for one in needs}

    def mark_running(self, task: Task, run_id: str) -> None:
        """From now on, until `finish`, the step is one that did not finish."""
        self.mark_unfinished(task, run_id, "running")

    def mark_unfinished(self, task: Task, run_id: str, status: str) -> None:
        """It ended, but not well."""
        kept = {
            "left": self._previous_outputs(task.label),
            "over": self.load(task.label).get("over", {}),
        }
        self.save(task.label, {"run": run_id, "status": status, **kept})

    def mark_done(
        self,
        task: Task,
        run_id: str,
        access_log_path: Path,
        reported_fields: dict[str, Any],
        start_fingerprint: StepState,
    ) -> list[str]:
        """It is done: remembers all that it was done with; gives sentences about what it has
        written over other steps' files.

        noted: the files its kernel opened. told: what it handed over, which may name files
        (read, wrote) and results that are no files (made).
        began: what `present.found` gave before it ran, as the code may have changed since.
        """
        opened, states = (
            access_log.read_access_log(access_log_path, task.step, self.home),
            self.load_all(),
        )
        appended = {one for one in opened["a"] if shared_files.last_writer(str(one), states)}
        inputs, outputs = _data_signatures(opened, appended, reported_fields)
        listed = self._folder_signatures(
            task, access_log.listed_folders(opened, self.home), outputs
        )
        earlier = shared_files.earlier_writers(task.label, outputs, states)
        changed = {str(one) for one in (*opened["u"], *appended, *reported_fields.get("read", []))}
        over = {
            one: it for one, it in earlier.items() if not shared_files.is_same_step(it, task.label)
        }
        over = states.get(task.label, {}).get("over", {}) | over
        state = {
            "run": run_id,
            "status": "done",
            **start_fingerprint,
            "packages": dependencies.environment_versions(start_fingerprint.pop("installed")),
            "dynamic": {
                str(one): fingerprint.module_hash(one)
                for one in sorted(opened["m"])
                if str(one) not in start_fingerprint["modules"]
            },
            "inputs": inputs,
            "outputs": outputs,
            "left": self._previous_outputs(task.label),
            "folders": listed,
            "over": {one: it for one, it in over.items() if one in outputs},
            "in_place": sorted(changed & over.keys() & outputs.keys()),
            "upstream": self.upstream_digests(task.needs),
            "watched": dependencies.read_external_state(task.step),
            "wrote": _output_digest(reported_fields, outputs, inputs | listed, start_fingerprint),
        }
        self._transfer_ownership(task.label, outputs, states)
        self.save(task.label, state)
        return shared_files.overwrite_warnings(
            task.label, earlier, changed, {**states, task.label: state}
        )

    def modified_foreign_files(self, task: Task, access_log_path: Path) -> list[str]:
        """Other steps' files that it has changed, though it did not come to its end."""
        opened, states = (
            access_log.read_access_log(access_log_path, task.step, self.home),
            self.load_all(),
        )
        found = {str(one) for one in (*opened["u"], *opened["a"])}
        owners = {one: shared_files.last_writer(one, states) for one in sorted(found)}
        known = {one: states[it]["outputs"][one] for one, it in owners.items() if it}
        return [one for one, facts in known.items() if atomic_write.file_change(Path(one), facts)]

    def accept(self, task: Task) -> str:
        """Declares an edited step up to date; gives what was accepted, as a sentence.

        Raises ValueError if it has never finished, or its outputs are not as it left them.
        """
        known = self.load(task.label)
        if known.get("status") != "done":
            raise ValueError(f"step {task.label} cannot be accepted: it has not finished yet")
        broken = change_reasons.changed_files("output", known["outputs"])
        if broken:
            raise ValueError(f"step {task.label} cannot be accepted: {'; '.join(broken)}")
        why = self.stale_reasons(task)
        now = dependencies.take_fingerprint(task.step, task.values)
        now.pop("installed")
        inputs = {one: atomic_write.signature(Path(one)) for one in known["inputs"]}
        fresh = {"packages": dependencies.current_versions(known["packages"]), "inputs": inputs}
        fresh |= {"dynamic": dependencies.module_hashes(known.get("dynamic", {}))}
        fresh |= {
            "upstream": self.upstream_digests(task.needs),
            "watched": dependencies.read_external_state(task.step),
        }
        fresh |= {"folders": self._folder_signatures(task, map(Path, known.get("folders", {})), {})}
        self.save(task.label, {**known, **now, **fresh})
        return "; ".join(why) or "nothing had changed"

    def _folder_signatures(
        self, task: Task, folder_paths: Iterable[Path], outputs: StepState
    ) -> StepState:
        made = self._expected_paths(task) | outputs.keys()
        return {
            str(one): folder_listing.folder_signature(one, task.step.ignore, made)
            for one in folder_paths
        }

    def _previous_outputs(self, label: str) -> list[str]:
        """The files that it wrote in earlier runs, and that are still there."""
        known = self.load(label)
        found = {*known.get("outputs", {}), *known.get("left", [])}
        return sorted(one for one in found if Path(one).exists())

    def _expected_paths(self, task: Task) -> set[str]:
        """The files that are no news to the step: its own, and those of steps it does not need."""
        states = self.load_all()
        needed = shared_files.ancestors(task.needs, states)
        others = [it for one, it in states.items() if one not in needed]
        return {name for it in others for name in (*it.get("outputs", {}), *it.get("left", []))}

    def _transfer_ownership(
        self, label: str, outputs: StepState, states: dict[str, StepState]
    ) -> None:
        """A file belongs to who wrote it last: no other step misses its own version of it, but
        one that had changed it since must do so again."""
        plain = label.partition("[")[0]
        for name, other in states.items():
            if name == label or (label != plain and name == plain):
                continue  # a sweep's variant has spoilt the plain step's output: it must see that
            undone = shared_files.reverted_paths(name, label, outputs, states)
            if undone or other.get("outputs", {}).keys() & outputs.keys():
                kept = {
                    one: it for one, it in other.get("outputs", {}).items() if one not in outputs
                }
                undone = {**other.get("undone", {}), **dict.fromkeys(undone, label)}
                self.save(name, {**other, "outputs": kept, "undone": undone})


def _read_state(path: Path) -> StepState:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _data_signatures(
    accesses: access_log.AccessedPaths, appended_paths: set[Path], reported_fields: StepState
) -> tuple[StepState, StepState]:
    """The facts of the files that are inputs, and of those that are outputs."""
    # what steps only append to grows for ever: neither input nor output
    logs = set(accesses["a"]) - set(accesses["w"]) - appended_paths
    wrote = {*accesses["w"], *appended_paths, *map(Path, reported_fields.get("wrote", []))} - logs
    outputs = {str(one): atomic_write.signature(one) for one in sorted(wrote) if one.is_file()}
    inputs = {
        str(one): _signature_when_read(one, then)
        for one, then in sorted(accesses["r"].items())
        if one not in wrote | logs and not one.is_dir()
    }
    return inputs | {
        one: atomic_write.signature(Path(one)) for one in reported_fields.get("read", [])
    }, outputs


def _output_digest(
    reported_fields: StepState, outputs: StepState, inputs: StepState, start_fingerprint: StepState
) -> str:
    """A hash of all that later steps may find new."""
    unseen = not outputs and not reported_fields.get("made")  # it may write what nobody sees
    sources = {
        name: facts and facts.get("sha256", facts.get("names")) for name, facts in inputs.items()
    }
    return atomic_write.json_digest(
        {
            "files": {name: facts["sha256"] for name, facts in outputs.items()},
            "made": reported_fields.get("made"),
            "headline": reported_fields.get("headline"),
            "code": [
                start_fingerprint.get(one) if unseen else None
                for one in ("code", "parameters", "modules")
            ],
            "read": sources if unseen else None,
        }
    )


def _signature_when_read(path: Path, recorded_stat: str) -> atomic_write.FileSignature | None:
    """What the file was when it was opened: unknown, if it has changed since."""
    facts = atomic_write.signature(path)
    if facts and recorded_stat != f"{facts['size']} {facts['mtime_ns']}":
        return {"sha256": "", "size": -1, "mtime_ns": 0}
    return facts
