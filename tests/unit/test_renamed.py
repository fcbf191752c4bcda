"""Variables of yesterday in an inventory: refused with file, line and today's name."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from rollout import ROOT, inventory, renamed
from rollout.outcomes import BadInputError

PRODUCTION = ROOT / "inventories" / "production"
YESTERDAYS = [
    ("services_cron_ini", "an entry of `services_paused` (docs/operations.md, Services)"),
    ("pqm_rc_mode_config", "`rc_mode_config`"),
    ("buildbot_builders", "`blessing_checks`"),
    ("buildbot_url", "`blessing_url`"),
    ("app_tree_brz_executable", "`app_tree_executable`"),
]


def known() -> set[str]:
    """The variables that roles take."""
    specs = (
        yaml.safe_load(path.read_text())["argument_specs"] for path in ROOT.glob("roles/*/meta/argument_specs.yml")
    )
    return {name for spec in specs for entry in spec.values() for name in entry.get("options") or {}}


@pytest.mark.parametrize(("name", "today"), YESTERDAYS)
def test_what_it_is_called_today(name: str, today: str) -> None:
    assert renamed.instead(name) == today
    assert name not in known()
    assert set(re.findall(r"`(\w+)`", today)) <= known()


def test_nothing_of_today_is_refused() -> None:
    assert [name for name in sorted(known()) if re.fullmatch(renamed.ANY, name)] == []


def test_an_inventory_of_yesterday_is_refused_with_file_and_line(tmp_path: Path) -> None:
    site = tmp_path / "x"
    shutil.copytree(PRODUCTION, site)
    (site / "group_vars" / "services.yml").write_text("# ours\nservices_banner: /srv/banner\n")
    with pytest.raises(BadInputError) as refused:
        inventory.facts(site)
    said = str(refused.value).splitlines()
    assert said[0].startswith("E-renamed  ")
    assert f"  {site}/group_vars/services.yml:2: services_banner is now an entry of `services_paused`" in str(
        refused.value
    )
