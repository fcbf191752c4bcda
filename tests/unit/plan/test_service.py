"""The service's name, as the inventories have it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rollout import ROOT, inventory
from rollout.outcomes import BadInputError


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "hosts.yml").write_text("all: {hosts: {localhost: {ansible_connection: local}}}")
    (tmp_path / "group_vars/all").mkdir(parents=True)
    return tmp_path


def test_each_lab_is_a_service_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for lab in ("var/lab", "/elsewhere/lab"):
        monkeypatch.setenv("ROLLOUT_LAB", lab)
        found.append(inventory.facts(ROOT / "inventories/lab").service)
    assert found == [f"the lab in {ROOT}/var/lab", "the lab in /elsewhere/lab"]


def test_an_inventory_need_not_name_it(site: Path) -> None:
    assert inventory.facts(site).service == ""


def test_a_name_that_cannot_be_shown_is_refused(site: Path) -> None:
    (site / "group_vars/all/service.yml").write_text(r'rollout_service: "launch\e[2Jpad"')
    with pytest.raises(BadInputError, match=r"rollout_service is 'launch\\x1b\[2Jpad'; one line of text was expected"):
        inventory.facts(site)
