"""What each step last did, and on what; from that, whether it must run again, and why.

One JSON file for each step in var/steps/, written when the step starts and when it has ended.
"""

import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline import files, fingerprint, parameters
from pipeline.steps import Step, Task

State = dict[str, Any]
FOLDERS = {"__pycache__", ".git", ".dvc", ".ipynb_checkpoints"}  # nobody's input


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
        now = present(task.step, task.values)
        dynamic = known.get("dynamic", {})
        return [
            *_code(known["code"], now["code"]),
            *_named("parameter", known["parameters"], now["parameters"]),
            *_modules(known["modules"] | dynamic, now["modules"] | _hashes(dynamic)),
            *_named("package", known["packages"], _versions(known["packages"])),
            *_files("input", known["inputs"]),
            *_files("output", known["outputs"]),
            *_named("upstream", known["upstream"], self.upstream(task.needs), "wrote new results"),
            *_named("outside", known["watched"], watched(task.step)),
        ]

    def upstream(self, needs: Iterable[str]) -> dict[str, str]:
        """Step -> a hash of what it wrote."""
        return {one: self.load(one).get("wrote", "nothing") for one in needs}

    def start(self, task: Task, run: str) -> None:
        """From now on, until `finish`, the step is one that did not finish."""
        self.save(task.label, {"run": run, "status": "running"})

    def stop(self, task: Task, run: str, status: str) -> None:
        """It ended, but not well."""
        self.save(task.label, {"run": run, "status": status})

    def finish(self, task: Task, run: str, trace: Path, told: dict[str, Any], began: State) -> None:
        """It is done: remembers all that it was done with.

        trace: the files its kernel opened. told: what it handed over, which may name files
        (read, wrote) and results that are no files (made).
        began: what `present` gave before it ran, as the code may have changed since.
        """
        opened = self._opened(trace, task.step)
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
        products = {name: facts["sha256"] for name, facts in outputs.items()}
        unseen = {} if outputs or told.get("made") else began  # it may write what nobody sees
        state = {
            "run": run,
            "status": "done",
            **began,
            "packages": _packages(began.pop("installed")),
            "dynamic": {
                str(one): fingerprint.module(one)
                for one in sorted(opened["m"])
                if str(one) not in began["modules"]
            },
            "inputs": inputs,
            "outputs": outputs,
            "upstream": self.upstream(task.needs),
            "watched": watched(task.step),
            "wrote": files.digest(
                {
                    "files": products,
                    "made": told.get("made"),
                    "headline": told.get("headline"),
                    "code": [unseen.get(one) for one in ("code", "parameters", "modules")],
                    "read": {name: (facts or {}).get("sha256") for name, facts in inputs.items()}
                    if unseen
                    else None,
                }
            ),
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
        broken = _files("output", known["outputs"])
        if broken:
            raise ValueError(f"step {task.label} cannot be accepted: {'; '.join(broken)}")
        why = self.reasons(task)
        now = present(task.step, task.values)
        now.pop("installed")
        inputs = {one: files.facts(Path(one)) for one in known["inputs"]}
        fresh = {"packages": _versions(known["packages"]), "inputs": inputs}
        fresh |= {"dynamic": _hashes(known.get("dynamic", {}))}
        fresh |= {"upstream": self.upstream(task.needs), "watched": watched(task.step)}
        self.save(task.label, {**known, **now, **fresh})
        return "; ".join(why) or "nothing had changed"

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

    def _opened(self, trace: Path, step: Step) -> dict[str, dict[Path, str]]:
        """The files that count: kind (r, w, a, m) -> path -> size and time when it was opened."""
        found: dict[str, dict[Path, str]] = {one: {} for one in "rwam"}
        lines = trace.read_text(errors="surrogateescape").splitlines() if trace.exists() else []
        for line in lines:
            kind, size, time, path = line.split(" ", 3)
            if self._counts(Path(path), step):
                found[kind][Path(path)] = f"{size} {time}"
        return found

    def _counts(self, path: Path, step: Step) -> bool:
        """Whether a file is data: not the runner's own, a cache, a temporary, the system's."""
        own = [self.home / one for one in ("var/runs", "var/steps", "reports")]
        own.append(Path(__file__).parent)
        if FOLDERS & set(path.parts) or any(path.is_relative_to(one) for one in own):
            return False
        ignored = (*step.ignore, "*.ipynb")
        if path.is_relative_to(sys.prefix) or any(path.match(one) for one in ignored):
            return False
        if path.is_relative_to(self.home) or path.is_relative_to(step.notebook.parent):
            return True
        system = [tempfile.gettempdir(), "/usr", "/etc", "/run", sys.base_prefix]
        if path.is_relative_to(Path.home()):  # ~/.cache, ~/.config and their like
            return not path.relative_to(Path.home()).parts[0].startswith(".")
        return not any(path.is_relative_to(one) for one in system)


def _read(path: Path) -> State:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _as_read(path: Path, then: str) -> files.Facts | None:
    """What the file was when it was opened: unknown, if it has changed since."""
    facts = files.facts(path)
    if facts and then != f"{facts['size']} {facts['mtime_ns']}":
        return {"sha256": "", "size": -1, "mtime_ns": 0}
    return facts


def _hashes(paths: Iterable[str]) -> dict[str, str]:
    return {one: fingerprint.module(Path(one)) for one in paths}


def present(step: Step, values: dict[str, Any]) -> State:
    """Code, parameters, our modules and installed packages' names, as they are now."""
    modules, installed = fingerprint.modules(step.notebook)
    all_values = {one.name: one.default for one in parameters.read(step.notebook)} | values
    return {
        "code": fingerprint.code(step.notebook),
        "parameters": {name: _plain(value) for name, value in all_values.items()},
        "modules": modules,
        "installed": sorted({one.partition(".")[0] for one in installed}),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value if isinstance(value, bool | int | float | None) else str(value)


def watched(step: Step) -> dict[str, str]:
    """What the step depends on beside files, as it is now."""
    try:
        return dict(step.watch()) if step.watch else {}
    except OSError as failed:
        return {"the world outside": f"cannot be asked ({failed})"}


def _packages(names: list[str]) -> dict[str, str]:
    return {"python": platform.python_version(), **fingerprint.packages(names)}


def _versions(known: dict[str, str]) -> dict[str, str]:
    """The same packages as they are installed now."""
    now = {one: fingerprint.version(one) for one in known if one != "python"}
    return {"python": platform.python_version(), **now}


def _code(old: dict[str, str], new: dict[str, str]) -> list[str]:
    if list(old.values()) == list(new.values()):
        return []
    if len(old) == len(new):
        pairs = zip(new, old.values(), new.values(), strict=True)
        return [f"{where} was edited" for where, before, after in pairs if before != after]
    added = [where for where, one in new.items() if one not in old.values()]
    removed = [where for where, one in old.items() if one not in new.values()]
    said = [f"{where} is new" for where in added] + [f"{where} has gone" for where in removed]
    return said or ["its cells are in another order"]


def _named(kind: str, old: dict[str, Any], new: dict[str, Any], said: str = "") -> list[str]:
    found = []
    for name in [*new, *(one for one in old if one not in new)]:
        before, after = old.get(name, "none"), new.get(name, "none")
        if repr(before) != repr(after):  # NaN is no other NaN
            found.append(f"{kind} {name}: {said or f'{before} -> {after}'}")
    return found


def _modules(old: dict[str, str], new: dict[str, str]) -> list[str]:
    found = []
    for path in [*new, *(one for one in old if one not in new)]:
        if old.get(path) != new.get(path):
            how = "is new" if path not in old else "is gone" if path not in new else "was edited"
            found.append(f"module {_near(path)} {how}")
    return found


def _files(kind: str, known: dict[str, Any]) -> list[str]:
    found = ((one, files.changed(Path(one), facts)) for one, facts in known.items())
    return [f"{kind} {_near(path)} is {how}" for path, how in found if how]


def _near(path: str) -> str:
    """Relative to where the user stands, if that is shorter."""
    near = os.path.relpath(path)
    return near if len(near) < len(path) else path
