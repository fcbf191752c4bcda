"""Every module keeps the policy of modules.py; each check is shown a module that it must not let pass."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import yaml

from .modules import CHECKS as CHECK_FUNCTIONS
from .modules import Module, all_modules, host_files, python_is_the_hosts
from .roles import callers
from .source import COLLECTION, ROOT, module_of, stands, tasks_of

CHECKS = {check.__name__: check for check in CHECK_FUNCTIONS}
BROKEN = yaml.safe_load((Path(__file__).parent / "broken/modules.yml").read_text(encoding="utf-8"))
BROKEN_PYTHON = yaml.safe_load((Path(__file__).parent / "broken/python38.yml").read_text(encoding="utf-8"))
SOUND = '''
EXAMPLES = """
- name: Look
  downtime.runbook.bzr_sound:
    tree: devel
    timeout: 60
"""
RETURN = """
revision:
  description: Its number.
  returned: always
  type: int
"""
from ansible.module_utils.basic import AnsibleModule

def main():
    AnsibleModule(
        argument_spec={
            "tree": {"type": "path", "required": True},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
'''


def sound(directory: Path, replace: str = "", by: str = "") -> Module:
    assert replace in SOUND
    path = directory / "bzr_sound.py"
    path.write_text(SOUND.replace(replace, by, 1) if replace else SOUND, encoding="utf-8")
    return Module.read(path, directory)


@cache
def modules() -> list[Module]:
    return [Module.read(path) for path in all_modules()]


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_modules(check):
    stands(finding for module in modules() for finding in check(module))


def test_python_is_the_hosts():
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in host_files()}
    assert texts
    stands(finding for path, text in texts.items() for finding in python_is_the_hosts(path, text))


def test_every_module_is_used():
    assert all_modules()
    called = {module_of(task) for source in callers() for task in tasks_of(source.document)}
    unused = [path.stem for path in all_modules() if COLLECTION + path.stem not in called]
    assert not unused, f"no role calls {', '.join(unused)}: call it, or remove it"


@pytest.mark.parametrize("sample", BROKEN, ids=lambda sample: f"{sample['check']}-{sample['says']}")
def test_check_catches(sample, tmp_path):
    (finding,) = CHECKS[sample["check"]](sound(tmp_path, sample["replace"], sample["by"]))
    assert re.search(re.escape(sample["says"]), str(finding))
    assert str(finding).startswith("bzr_sound.py:")


def test_every_check_has_a_sample():
    assert {sample["check"] for sample in BROKEN} == set(CHECKS)


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_check_lets_a_sound_module_pass(check, tmp_path):
    stands(check(sound(tmp_path)))


@pytest.mark.parametrize("sample", BROKEN_PYTHON, ids=lambda sample: sample["says"])
def test_python_check_catches(sample):
    (finding,) = python_is_the_hosts("broken.py", sample["text"])
    assert sample["says"] in finding.problem


def test_python_check_lets_sound_python_pass():
    text = "from __future__ import annotations\ndef f(x: int | None) -> int:\n    return run(['ls'], shell=False)\n"
    stands(python_is_the_hosts("sound.py", text))
