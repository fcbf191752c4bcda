#!/usr/bin/env python3
"""Inventory script: the addresses of the running lab, from its lab.json; hosts without addresses while there is no lab.

The groups and users stand in hosts.yml beside it. The lab is the one in $ROLLOUT_LAB, default var/lab in this checkout.
"""

import json
import os
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def inventory() -> dict[str, object]:
    """What `ansible-inventory` wants of `--list`."""
    directory = PROJECT / os.environ.get("ROLLOUT_LAB", "var/lab")
    try:
        lab = json.loads((directory / "lab.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        print(f"There is no lab in {directory}: ./runbook.py lab up", file=sys.stderr)
        lab = {"hostvars": {}, "vars": {}}
    common = {"ansible_python_interpreter": str(PROJECT / ".venv" / "bin" / "python"), "lab_directory": str(directory)}
    return {
        "_meta": {"hostvars": lab["hostvars"]},
        "all": {"hosts": sorted(lab["hostvars"]), "vars": {**common, **lab["vars"]}},
    }


if __name__ == "__main__":
    json.dump({} if "--host" in sys.argv else inventory(), sys.stdout)
