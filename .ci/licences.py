"""Write docs/licences.md: name, version and licence of each package of the shipped locks.

The licences are those in the metadata of the installed packages, as SPDX expressions where
possible.
"""

import re
import sys
from importlib import metadata
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[1]
PAGE = PROJECT_ROOT / "docs" / "licences.md"
LOCKS = {"The service": "requirements-serve.txt", "The pipeline, beyond that": "requirements.txt"}
HEADER = """# Licences

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
# no machine-readable licence in the metadata, or less than in the licence file
LICENCES = {
    "flask-swagger-ui": "MIT AND Apache-2.0",  # the latter of Swagger UI, which it ships
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
    page, listed = [HEADER], {}
    for title, lock in LOCKS.items():
        pinned = pins(lock)
        page += [f"\n## {title}\n", "\n| package | version | licence |\n|---|---|---|\n"]
        for name, version in pinned.items():
            if listed.get(name) == version:
                continue
            licence = find_licence(name)
            if not licence:
                unclear.append(name)
            page.append(f"| {name} | {version} | {licence} |\n")
        listed |= pinned
    if unclear:
        sys.exit(
            f"no licence known of {', '.join(unclear)}: read its licence file, "
            f"and name it in LICENCES in .ci/licences.py"
        )
    PAGE.write_text("".join(page))
    print(f"{PAGE.relative_to(PROJECT_ROOT)}: {len(listed)} packages")


def pins(lock):
    """Return the version of each package; several where they differ by platform."""
    versions_by_name = {}
    for line in (PROJECT_ROOT / lock).read_text().splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)==(\S+)", line):
            versions_by_name.setdefault(match[1], []).append(match[2])
    return {name: ", ".join(sorted(versions)) for name, versions in versions_by_name.items()}


def find_licence(name):
    """Return the licence in the metadata of an installed package; "" if it has none to rely on."""
    if name in LICENCES:
        return LICENCES[name]
    package_metadata = metadata.metadata(name)
    if package_metadata.get("License-Expression"):
        return package_metadata["License-Expression"]
    short = package_metadata.get("License") or ""
    if re.fullmatch(r"[A-Za-z0-9.-]+-[0-9.]+[A-Za-z-]*( (OR|AND) [A-Za-z0-9.-]+)*|MIT", short):
        return short
    classifiers = [
        line.rpartition(" :: ")[2] for line in package_metadata.get_all("Classifier") or []
    ]
    licences = [CLASSIFIERS[name] for name in classifiers if name in CLASSIFIERS]
    return " AND ".join(licences) or SPELLINGS.get(short, short if short.isalnum() else "")


if __name__ == "__main__":
    main()
