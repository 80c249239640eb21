"""Writes docs/licences.md: name, version and licence of each package of the locks that are shipped.

The licences are what the installed packages say of themselves, in SPDX's terms where they can be.
"""

import re
import sys
from importlib import metadata
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
PAGE = CHECKOUT / "docs" / "licences.md"
LOCKS = {"The service": "requirements-serve.txt", "The pipeline, beyond that": "requirements.txt"}
ABOVE = """# Licences

This project is under the MIT licence, what it installs under these, as each package says of itself.
`make licences` writes the page from the locks.
"""

CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "Zope Public License": "ZPL-2.1",
}
# say nothing that a program could read, or less than their licence file does
KNOWN = {
    "grandalf": "GPL-2.0-only OR EPL-1.0",
    "huey": "MIT",
    "pygit2": "GPL-2.0-only WITH GCC-exception-2.0",
    "python-dateutil": "Apache-2.0 OR BSD-3-Clause",
    "skops": "MIT",
    "uvloop": "Apache-2.0 OR MIT",
    # not for this platform, so not installed where the page is written
    "appnope": "BSD-2-Clause",
    "pywin32": "PSF-2.0",
    "pywinpty": "MIT",
    "waitress": "ZPL-2.1",
}
SPELLINGS = {
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "3-Clause BSD License": "BSD-3-Clause",
}


def main():
    unclear = []
    page, before = [ABOVE], {}
    for title, lock in LOCKS.items():
        pinned = pins(lock)
        page += [f"\n## {title}\n", "\n| package | version | licence |\n|---|---|---|\n"]
        for name, version in pinned.items():
            if before.get(name) == version:
                continue
            found = licence(name)
            if not found:
                unclear.append(name)
            page.append(f"| {name} | {version} | {found} |\n")
        before |= pinned
    if unclear:
        sys.exit(
            f"no licence known of {', '.join(unclear)}: look into its licence file, "
            f"and name it in KNOWN in .ci/licences.py"
        )
    PAGE.write_text("".join(page))
    print(f"{PAGE.relative_to(CHECKOUT)}: {len(before)} packages")


def pins(lock):
    """name -> version, or versions where they differ with the platform."""
    found = {}
    for line in (CHECKOUT / lock).read_text().splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)==(\S+)", line):
            found.setdefault(match[1], []).append(match[2])
    return {name: ", ".join(sorted(versions)) for name, versions in found.items()}


def licence(name):
    """What the installed package says; nothing if that is nothing to go by."""
    if name in KNOWN:
        return KNOWN[name]
    said = metadata.metadata(name)
    if said.get("License-Expression"):
        return said["License-Expression"]
    short = said.get("License") or ""
    if re.fullmatch(r"[A-Za-z0-9.-]+-[0-9.]+[A-Za-z-]*( (OR|AND) [A-Za-z0-9.-]+)*|MIT", short):
        return short
    named = [one.rpartition(" :: ")[2] for one in said.get_all("Classifier") or []]
    found = [CLASSIFIERS[one] for one in named if one in CLASSIFIERS]
    return " AND ".join(found) or SPELLINGS.get(short, short if short.isalnum() else "")


if __name__ == "__main__":
    main()
