"""The cowboys (R16, R25): each that has not landed is in the files of the current tree, as GNU patch sees it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from plugins.module_utils.rollout_core.site import cowboys

testinfra_hosts = ["ansible://app"]


@pytest.fixture
def expected(name, plan, deployed) -> list[dict]:
    """The cowboys of this host. The old tree had those too that landed with the merge."""
    landed = plan["pinned"].get("cowboys_landed", []) if deployed else []
    return [one for one in cowboys.on_host(plan.get("cowboys", []), name) if one["id"] not in landed]


def test_cowboys_are_in_place(host, path, variable, expected, tmp_path):
    """Take them out of copies of the files, the last first: that works only if they are in."""
    directory = Path(variable("production_status_file")).parent
    for cowboy in reversed(expected):
        for number, part in enumerate(cowboys.parse_diff((directory / cowboy["diff"]).read_text(encoding="utf-8"))):
            file = f"{cowboy.get('tree', '.')}/{part.path}"
            copy, diff = tmp_path / file, tmp_path / f"{cowboy['id']}-{number}.diff"
            copy.parent.mkdir(parents=True, exist_ok=True)
            if not copy.exists() and not part.deletes:
                copy.write_bytes(host.file(f"{path('app_tree_root')}/current/{file}").content)
            diff.write_text(part.text, encoding="utf-8")
            argv = ["patch", "--reverse", "--force", "--fuzz=0", "--reject-file=-", str(copy), str(diff)]
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            found = f"{cowboy['id']} ({cowboy['who']}) is not in {file}:\n{done.stdout}{done.stderr}"
            assert done.returncode == 0, found
