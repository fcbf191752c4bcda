"""The lab's production status: what is deployed, and the cowboys on it (format: roles/production_status/README.md)."""

import shutil
from pathlib import Path
from string import Template

import yaml

from lab.layout import APP_HOSTS, DATA, Lab

STATUS = DATA / "production_status.yml"


def cowboys_on(host: str) -> list[Path]:
    """Return the diffs of the cowboys on one application host, in order."""
    cowboys = yaml.safe_load(STATUS.read_text(encoding="utf-8"))["cowboys"]
    return [STATUS.parent / cowboy["diff"] for cowboy in cowboys if host in cowboy.get("hosts", APP_HOSTS)]


def copy_status(lab: Lab, revision: int, revid: str) -> None:
    """Give the lab its own copy, because a rollout changes it; `deployed` in it tells what the hosts serve."""
    shutil.copytree(DATA / "cowboys", lab.production_status.parent / "cowboys")
    status = Template(STATUS.read_text(encoding="utf-8"))
    lab.production_status.write_text(status.substitute(revision=revision, revid=revid), encoding="utf-8")
