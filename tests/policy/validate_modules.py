"""Prints what Ansible's own check of modules finds in the checkout, and exits 1 when that is anything.

`ansible-test sanity --test validate-modules` runs the same program, but first makes a virtual environment for it under
the home directory, with packages from the network. Here it runs in ours, on the collection as Ansible finds it there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import yaml

from .modules import all_modules
from .source import ROOT, Finding

# No licence was chosen for the project yet, and this check accepts only the GPL's header in each module.
LEFT_OUT = {"missing-gplv3-license"}
FULL_NAME = "ansible_collections/downtime/runbook"


def findings(collections: Path) -> list[Finding]:
    """What the check finds in the modules of the collection below `collections`."""
    ansible_test = find_spec("ansible_test")
    assert ansible_test is not None
    assert ansible_test.origin is not None
    check = Path(ansible_test.origin).parent / "_util/controller/sanity/validate-modules/validate.py"
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    options = ["--format", "json", "--arg-spec", "--collection", FULL_NAME, "--collection-version", version]
    modules = [str(path.relative_to(ROOT)) for path in all_modules()]
    done = subprocess.run(
        [sys.executable, check, *options, *modules],
        cwd=collections / FULL_NAME,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(collections)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 3):
        raise SystemExit(f"E-validate-modules  {check} ended with {done.returncode}\n{done.stdout}")
    return [
        Finding(path, error.get("line", 1), f"{error['code']}: {error['msg']}", "")
        for path, found in json.loads(done.stdout).items()
        for error in found["errors"]
        if error["code"] not in LEFT_OUT
    ]


def main() -> int:
    """Print the findings; return the exit code."""
    found = findings(Path(sysconfig.get_path("purelib")))
    for finding in found:
        print(str(finding).rstrip())
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
