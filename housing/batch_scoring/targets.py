"""Which file gets the predictions of which: a file for a file, a folder for a folder."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NamedTuple

from housing.batch_scoring import formats
from housing.batch_scoring.formats import TableFormat


class ScoringFiles(NamedTuple):
    """The input files of a run and the file that each one's predictions go to."""

    source: Path
    target: Path  # a folder, or the file for the predictions of a single file
    targets: dict[Path, Path]  # input -> its file for the predictions; links are not followed
    is_folder: bool  # whether the target is a folder


def match_files(
    source: Path, target: str | Path, table_format: TableFormat | None = None
) -> ScoringFiles:
    """Find the input files, and for each one the file that its predictions go to.

    target: a file or a folder, as for the command `cp`; it need not be there. table_format: of the
    predictions, by default the one that the target's ending names, in a folder that of each input.
    Raises LookupError if there is nothing to score, and ValueError if the target cannot be used.
    """
    source, target_path = source.absolute(), Path(target).absolute()
    if source.is_dir():
        files = _match_folder(source, target_path, table_format)
    elif source.is_file():
        is_folder = target_path.is_dir() or str(target).endswith(os.sep)
        files = _match_file(source, target_path, is_folder, table_format)
    else:
        raise LookupError(_missing_source_text(source))
    _check_overwriting(files)
    return files


def list_tables(folder: Path) -> list[Path]:
    """Return the tables in a folder and its subfolders, except hidden ones, by name."""
    return sorted(
        file
        for file in folder.rglob("*")
        if formats.is_table_name(file.name)
        and not any(name.startswith((".", "_")) for name in file.relative_to(folder).parts)
        and not file.is_dir()
    )


def _match_folder(source: Path, target: Path, table_format: TableFormat | None) -> ScoringFiles:
    if _resolve(target) == _resolve(source) or _resolve(source) in _resolve(target).parents:
        raise ValueError(f"{target} is in what is to be scored, {source}: choose another folder")
    if target.exists() and not target.is_dir():
        raise ValueError(
            f"{target} is a file, expected a folder or nothing yet, as {source} is a folder"
        )
    ending_format = formats.find_format(target.name)
    if ending_format and not target.exists():
        raise ValueError(
            f"{source} is a folder, whose files get one file each in another folder, but "
            f"{target.name} has the ending of a file: choose a name without it and --format "
            f"{ending_format.ending[1:]}"
        )
    files = list_tables(source)
    if not files:
        raise LookupError(
            f"there is no table in the folder {source}, expected files that end in "
            f"{formats.FORMATS_TEXT}"
        )
    targets = {
        file: (target / file.relative_to(source)).with_name(
            formats.scored_name(file.name, table_format)
        )
        for file in files
    }
    return ScoringFiles(source, target, targets, is_folder=True)


def _match_file(
    source: Path, target: Path, is_folder: bool, table_format: TableFormat | None
) -> ScoringFiles:
    if is_folder:
        if target.is_file():
            raise ValueError(f"{target} is a file, expected a folder, as it ends in {os.sep!r}")
        target = target / formats.scored_name(source.name, table_format)
    named_format = formats.find_format(target.name)
    if named_format is None:
        ending = f"ends in {target.suffix!r}" if target.suffix else "has no ending"
        raise ValueError(
            f"{target} {ending}, expected {formats.FORMATS_TEXT}; to put {source.name} into a new "
            f"folder of this name, end it with {os.sep!r}"
        )
    if table_format and named_format != table_format:
        raise ValueError(
            f"{target.name} ends in {named_format.ending}, but --format is "
            f"{table_format.ending[1:]}: leave one of them out"
        )
    if target.is_dir():
        raise ValueError(f"{target} is a folder, expected a file or nothing yet")
    return ScoringFiles(source, target, {source: target}, is_folder=False)


def _check_overwriting(files: ScoringFiles) -> None:
    """Raise ValueError if two files would get the same name, or an input would be overwritten."""
    sources = {_resolve(source): source for source in files.targets}
    earlier_sources: dict[Path, Path] = {}
    for source, target in files.targets.items():
        if _resolve(target) in sources:
            raise ValueError(
                f"{target} is what is to be scored: choose another name for the predictions"
            )
        earlier_source = earlier_sources.setdefault(target, source)
        if earlier_source != source:
            raise ValueError(
                f"{earlier_source} and {source} would both go to {target}: rename one of them, or "
                "choose another --format"
            )


def _resolve(path: Path) -> Path:
    """Follow all links. Raises OSError for links that lead to themselves."""
    try:
        return path.resolve()
    except RuntimeError:  # Python 3.13 has none
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from None


def _missing_source_text(source: Path) -> str:
    if source.is_symlink():
        return f"{source} is a link to {source.readlink()}, which is not there"
    if source.exists():
        return f"{source} is neither a file nor a folder: save what it gives as a file first"
    return f"there is no file or folder {source}"
