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

State = dict[str, Any]


class States:
    """The states of all steps of a home."""

    def __init__(self, home: Path) -> None:
        self.home, self.folder = home, home / "var" / "steps"

    def load(self, label: str) -> State:
        """What is known of the step; empty if it has never run here."""
        return _read(self._path(label))

    def save(self, label: str, state: State) -> None:
        """Writes it, whole."""
        content = {"label": label, **state}
        atomic_write.write_whole(self._path(label), json.dumps(content, indent=1, default=str))

    def all(self) -> dict[str, State]:
        """All that is known of any step, by the steps' labels."""
        found = [(one.stem, _read(one)) for one in sorted(self.folder.glob("*.json"))]
        return {it.get("label", stem): it for stem, it in found}

    def _path(self, label: str) -> Path:
        return self.folder / f"{atomic_write.slug(label)}.json"

    def reasons(self, task: Task) -> list[str]:
        """Why the task must run; empty if it is up to date."""
        known = self.load(task.label)
        if not known:
            return ["it has never run here"]
        if known.get("status") != "done":
            return [f"it did not finish in run {known.get('run')} ({known.get('status')})"]
        if not (self.home / "var" / "runs" / known["run"] / f"{task.file}.ipynb").exists():
            return [f"its executed notebook of run {known['run']} is gone"]
        now = dependencies.found(task.step, task.values)
        dynamic = known.get("dynamic", {})
        return [
            *change_reasons.code(known["code"], now["code"]),
            *change_reasons.named("parameter", known["parameters"], now["parameters"]),
            *change_reasons.modules(
                known["modules"] | dynamic, now["modules"] | dependencies.hashes(dynamic)
            ),
            *change_reasons.named(
                "package", known["packages"], dependencies.versions(known["packages"])
            ),
            *change_reasons.files("input", self._altered(task.label, known["inputs"])),
            *change_reasons.files("output", known["outputs"]),
            *change_reasons.folders(task.step, known.get("folders", {}), lambda: self._made(task)),
            *change_reasons.named(
                "upstream", known["upstream"], self.upstream(task.needs), "wrote new results"
            ),
            *change_reasons.named("outside", known["watched"], dependencies.watched(task.step)),
            *change_reasons.undone(known.get("undone", {})),
        ]

    def _altered(self, label: str, inputs: State) -> State:
        """The inputs that are not as they were, but for what later steps have made of them."""
        found = {one: it for one, it in inputs.items() if atomic_write.changed(Path(one), it)}
        states = self.all() if found else {}
        return {
            one: it
            for one, it in found.items()
            if not shared_files.is_later_version(label, one, states)
        }

    def upstream(self, needs: Iterable[str]) -> dict[str, str]:
        """Step -> a hash of what it wrote."""
        return {one: self.load(one).get("wrote", "nothing") for one in needs}

    def start(self, task: Task, run: str) -> None:
        """From now on, until `finish`, the step is one that did not finish."""
        self.stop(task, run, "running")

    def stop(self, task: Task, run: str, status: str) -> None:
        """It ended, but not well."""
        kept = {"left": self._left(task.label), "over": self.load(task.label).get("over", {})}
        self.save(task.label, {"run": run, "status": status, **kept})

    def finish(
        self, task: Task, run: str, noted: Path, told: dict[str, Any], began: State
    ) -> list[str]:
        """It is done: remembers all that it was done with; gives sentences about what it has
        written over other steps' files.

        noted: the files its kernel opened. told: what it handed over, which may name files
        (read, wrote) and results that are no files (made).
        began: what `present.found` gave before it ran, as the code may have changed since.
        """
        opened, states = access_log.opened(noted, task.step, self.home), self.all()
        appended = {one for one in opened["a"] if shared_files.owner(str(one), states)}
        inputs, outputs = _data(opened, appended, told)
        listed = self._folders(task, access_log.listed(opened, self.home), outputs)
        earlier = shared_files.earlier_writers(task.label, outputs, states)
        changed = {str(one) for one in (*opened["u"], *appended, *told.get("read", []))}
        over = {
            one: it for one, it in earlier.items() if not shared_files.is_variant(it, task.label)
        }
        over = states.get(task.label, {}).get("over", {}) | over
        state = {
            "run": run,
            "status": "done",
            **began,
            "packages": dependencies.packages(began.pop("installed")),
            "dynamic": {
                str(one): fingerprint.module(one)
                for one in sorted(opened["m"])
                if str(one) not in began["modules"]
            },
            "inputs": inputs,
            "outputs": outputs,
            "left": self._left(task.label),
            "folders": listed,
            "over": {one: it for one, it in over.items() if one in outputs},
            "in_place": sorted(changed & over.keys() & outputs.keys()),
            "upstream": self.upstream(task.needs),
            "watched": dependencies.watched(task.step),
            "wrote": _results(told, outputs, inputs | listed, began),
        }
        self._take_over(task.label, outputs, states)
        self.save(task.label, state)
        return shared_files.told(task.label, earlier, changed, {**states, task.label: state})

    def spoilt(self, task: Task, noted: Path) -> list[str]:
        """Other steps' files that it has changed, though it did not come to its end."""
        opened, states = access_log.opened(noted, task.step, self.home), self.all()
        found = {str(one) for one in (*opened["u"], *opened["a"])}
        owners = {one: shared_files.owner(one, states) for one in sorted(found)}
        known = {one: states[it]["outputs"][one] for one, it in owners.items() if it}
        return [one for one, facts in known.items() if atomic_write.changed(Path(one), facts)]

    def accept(self, task: Task) -> str:
        """Declares an edited step up to date; gives what was accepted, as a sentence.

        Raises ValueError if it has never finished, or its outputs are not as it left them.
        """
        known = self.load(task.label)
        if known.get("status") != "done":
            raise ValueError(f"step {task.label} cannot be accepted: it has not finished yet")
        broken = change_reasons.files("output", known["outputs"])
        if broken:
            raise ValueError(f"step {task.label} cannot be accepted: {'; '.join(broken)}")
        why = self.reasons(task)
        now = dependencies.found(task.step, task.values)
        now.pop("installed")
        inputs = {one: atomic_write.facts(Path(one)) for one in known["inputs"]}
        fresh = {"packages": dependencies.versions(known["packages"]), "inputs": inputs}
        fresh |= {"dynamic": dependencies.hashes(known.get("dynamic", {}))}
        fresh |= {"upstream": self.upstream(task.needs), "watched": dependencies.watched(task.step)}
        fresh |= {"folders": self._folders(task, map(Path, known.get("folders", {})), {})}
        self.save(task.label, {**known, **now, **fresh})
        return "; ".join(why) or "nothing had changed"

    def _folders(self, task: Task, listed: Iterable[Path], outputs: State) -> State:
        made = self._made(task) | outputs.keys()
        return {str(one): folder_listing.facts(one, task.step.ignore, made) for one in listed}

    def _left(self, label: str) -> list[str]:
        """The files that it wrote in earlier runs, and that are still there."""
        known = self.load(label)
        found = {*known.get("outputs", {}), *known.get("left", [])}
        return sorted(one for one in found if Path(one).exists())

    def _made(self, task: Task) -> set[str]:
        """The files that are no news to the step: its own, and those of steps it does not need."""
        states = self.all()
        needed = shared_files.ancestors(task.needs, states)
        others = [it for one, it in states.items() if one not in needed]
        return {name for it in others for name in (*it.get("outputs", {}), *it.get("left", []))}

    def _take_over(self, label: str, outputs: State, states: dict[str, State]) -> None:
        """A file belongs to who wrote it last: no other step misses its own version of it, but
        one that had changed it since must do so again."""
        plain = label.partition("[")[0]
        for name, other in states.items():
            if name == label or (label != plain and name == plain):
                continue  # a sweep's variant has spoilt the plain step's output: it must see that
            undone = shared_files.undone(name, label, outputs, states)
            if undone or other.get("outputs", {}).keys() & outputs.keys():
                kept = {
                    one: it for one, it in other.get("outputs", {}).items() if one not in outputs
                }
                undone = {**other.get("undone", {}), **dict.fromkeys(undone, label)}
                self.save(name, {**other, "outputs": kept, "undone": undone})


def _read(path: Path) -> State:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _data(opened: access_log.Opened, appended: set[Path], told: State) -> tuple[State, State]:
    """The facts of the files that are inputs, and of those that are outputs."""
    # what steps only append to grows for ever: neither input nor output
    logs = set(opened["a"]) - set(opened["w"]) - appended
    wrote = {*opened["w"], *appended, *map(Path, told.get("wrote", []))} - logs
    outputs = {str(one): atomic_write.facts(one) for one in sorted(wrote) if one.is_file()}
    inputs = {
        str(one): _as_read(one, then)
        for one, then in sorted(opened["r"].items())
        if one not in wrote | logs and not one.is_dir()
    }
    return inputs | {one: atomic_write.facts(Path(one)) for one in told.get("read", [])}, outputs


def _results(told: State, outputs: State, inputs: State, began: State) -> str:
    """A hash of all that later steps may find new."""
    unseen = not outputs and not told.get("made")  # it may write what nobody sees
    sources = {
        name: facts and facts.get("sha256", facts.get("names")) for name, facts in inputs.items()
    }
    return atomic_write.digest(
        {
            "files": {name: facts["sha256"] for name, facts in outputs.items()},
            "made": told.get("made"),
            "headline": told.get("headline"),
            "code": [
                began.get(one) if unseen else None for one in ("code", "parameters", "modules")
            ],
            "read": sources if unseen else None,
        }
    )


def _as_read(path: Path, then: str) -> atomic_write.Facts | None:
    """What the file was when it was opened: unknown, if it has changed since."""
    facts = atomic_write.facts(path)
    if facts and then != f"{facts['size']} {facts['mtime_ns']}":
        return {"sha256": "", "size": -1, "mtime_ns": 0}
    return facts
