"""What each step last did, and on what; from that, whether it must run again, and why.

One JSON file for each step in var/steps/, written when the step starts and when it has ended.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline import changes, files, fingerprint, folders, present, trace
from pipeline.steps import Task

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
        files.write_whole(self._path(label), json.dumps(state, indent=1, default=str))

    def _path(self, label: str) -> Path:
        return self.folder / f"{files.slug(label)}.json"

    def reasons(self, task: Task) -> list[str]:
        """Why the task must run; empty if it is up to date."""
        known = self.load(task.label)
        if not known:
            return ["it has never run here"]
        if known.get("status") != "done":
            return [f"it did not finish in run {known.get('run')} ({known.get('status')})"]
        if not (self.home / "var" / "runs" / known["run"] / f"{task.file}.ipynb").exists():
            return [f"its executed notebook of run {known['run']} is gone"]
        now = present.found(task.step, task.values)
        dynamic = known.get("dynamic", {})
        return [
            *changes.code(known["code"], now["code"]),
            *changes.named("parameter", known["parameters"], now["parameters"]),
            *changes.modules(known["modules"] | dynamic, now["modules"] | present.hashes(dynamic)),
            *changes.named("package", known["packages"], present.versions(known["packages"])),
            *changes.files("input", known["inputs"]),
            *changes.files("output", known["outputs"]),
            *changes.folders(task.step, known.get("folders", {}), lambda: self._made(task)),
            *changes.named(
                "upstream", known["upstream"], self.upstream(task.needs), "wrote new results"
            ),
            *changes.named("outside", known["watched"], present.watched(task.step)),
        ]

    def upstream(self, needs: Iterable[str]) -> dict[str, str]:
        """Step -> a hash of what it wrote."""
        return {one: self.load(one).get("wrote", "nothing") for one in needs}

    def start(self, task: Task, run: str) -> None:
        """From now on, until `finish`, the step is one that did not finish."""
        self.save(task.label, {"run": run, "status": "running", "left": self._left(task.label)})

    def stop(self, task: Task, run: str, status: str) -> None:
        """It ended, but not well."""
        self.save(task.label, {"run": run, "status": status, "left": self._left(task.label)})

    def finish(self, task: Task, run: str, noted: Path, told: dict[str, Any], began: State) -> None:
        """It is done: remembers all that it was done with.

        noted: the files its kernel opened. told: what it handed over, which may name files
        (read, wrote) and results that are no files (made).
        began: what `present.found` gave before it ran, as the code may have changed since.
        """
        opened = trace.opened(noted, task.step, self.home)
        # what steps only append to grows for ever: neither input nor output
        logs = set(opened["a"]) - set(opened["w"])
        wrote = (set(opened["w"]) | {Path(one) for one in told.get("wrote", [])}) - logs
        outputs = {str(one): files.facts(one) for one in sorted(wrote) if one.is_file()}
        inputs = {
            str(one): _as_read(one, then)
            for one, then in sorted(opened["r"].items())
            if one not in wrote | logs and not one.is_dir()
        }
        inputs |= {one: files.facts(Path(one)) for one in told.get("read", [])}
        made = self._made(task) | set(outputs)
        listed = {
            str(one): folders.facts(one, task.step.ignore, made)
            for one in trace.listed(opened, self.home)
        }
        state = {
            "run": run,
            "status": "done",
            **began,
            "packages": present.packages(began.pop("installed")),
            "dynamic": {
                str(one): fingerprint.module(one)
                for one in sorted(opened["m"])
                if str(one) not in began["modules"]
            },
            "inputs": inputs,
            "outputs": outputs,
            "left": self._left(task.label),
            "folders": listed,
            "upstream": self.upstream(task.needs),
            "watched": present.watched(task.step),
            "wrote": _results(told, outputs, inputs | listed, began),
        }
        self._take_over(task.label, outputs)
        self.save(task.label, state)

    def accept(self, task: Task) -> str:
        """Declares an edited step up to date; gives what was accepted, as a sentence.

        Raises ValueError if it has never finished, or its outputs are not as it left them.
        """
        known = self.load(task.label)
        if known.get("status") != "done":
            raise ValueError(f"step {task.label} cannot be accepted: it has not finished yet")
        broken = changes.files("output", known["outputs"])
        if broken:
            raise ValueError(f"step {task.label} cannot be accepted: {'; '.join(broken)}")
        why = self.reasons(task)
        now = present.found(task.step, task.values)
        now.pop("installed")
        inputs = {one: files.facts(Path(one)) for one in known["inputs"]}
        fresh = {"packages": present.versions(known["packages"]), "inputs": inputs}
        fresh |= {"dynamic": present.hashes(known.get("dynamic", {}))}
        fresh |= {"upstream": self.upstream(task.needs), "watched": present.watched(task.step)}
        made = self._made(task)
        fresh |= {
            "folders": {
                one: folders.facts(Path(one), task.step.ignore, made)
                for one in known.get("folders", {})
            }
        }
        self.save(task.label, {**known, **now, **fresh})
        return "; ".join(why) or "nothing had changed"

    def _left(self, label: str) -> list[str]:
        """The files that it wrote in earlier runs, and that are still there."""
        known = self.load(label)
        found = {*known.get("outputs", {}), *known.get("left", [])}
        return sorted(one for one in found if Path(one).exists())

    def _made(self, task: Task) -> set[str]:
        """The files that are no news to the step: its own, and those of steps it does not need."""
        needed = {self._path(one) for one in self._ancestors(task.needs)}
        others = [_read(one) for one in self.folder.glob("*.json") if one not in needed]
        return {name for it in others for name in (*it.get("outputs", {}), *it.get("left", []))}

    def _ancestors(self, needs: Iterable[str]) -> set[str]:
        """The steps that must be done before, and before those."""
        found, waiting = set(), list(needs)
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.add(one)
                waiting += self.load(one).get("upstream", {})
        return found

    def _take_over(self, label: str, outputs: dict[str, Any]) -> None:
        """A file belongs to who wrote it last: no other step misses its own version of it."""
        plain = label.partition("[")[0]
        for path in self.folder.glob("*.json"):
            if label != plain and path == self._path(plain):
                continue  # a sweep's variant has spoilt the plain step's output: it must see that
            other = _read(path)
            shared = other.get("outputs", {}).keys() & outputs.keys()
            if shared and path != self._path(label):
                other["outputs"] = {
                    name: facts for name, facts in other["outputs"].items() if name not in shared
                }
                files.write_whole(path, json.dumps(other, indent=1))


def _read(path: Path) -> State:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _results(told: State, outputs: State, inputs: State, began: State) -> str:
    """A hash of all that later steps may find new."""
    unseen = not outputs and not told.get("made")  # it may write what nobody sees
    sources = {
        name: facts and facts.get("sha256", facts.get("names")) for name, facts in inputs.items()
    }
    return files.digest(
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


def _as_read(path: Path, then: str) -> files.Facts | None:
    """What the file was when it was opened: unknown, if it has changed since."""
    facts = files.facts(path)
    if facts and then != f"{facts['size']} {facts['mtime_ns']}":
        return {"sha256": "", "size": -1, "mtime_ns": 0}
    return facts
