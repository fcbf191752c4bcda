"""Variables of inventories that have another name now: a role would take its default without a word."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

# Yesterday's names, and what is written instead.
RENAMED = {
    r"(app_tree|cowboys|qastaging)_brz_executable": r"`\1_executable`",
    r"pqm_rc_mode_(\w+)": r"`rc_mode_\1`",
    r"buildbot_builders": "`blessing_checks`",
    r"buildbot_forces": "`blessing_reruns`",
    r"buildbot_(branch|url|user|password|token|record|spurious|waits)": r"`blessing_\1`",
    r"buildbot_((?:down|start)_minutes|poll_seconds)": r"`blessing_\1`",
    r"services_(?:cron_ini|jobs|lock_directory|banner)": "an entry of `services_paused` (docs/operations.md, Services)",
}
ANY = "|".join(f"(?:{name})" for name in RENAMED)


def instead(name: str) -> str:
    """Return what is written today instead of a variable that ANY matches."""
    pattern = next(each for each in RENAMED if re.fullmatch(each, name))
    return re.sub(pattern, RENAMED[pattern], name)


def lines(names: Sequence[str], inventory: Path) -> Iterator[str]:
    """Yield a line for each name: the places in the inventory's YAML files where it is set, and its new name."""
    texts = {
        path: path.read_text(encoding="utf-8", errors="replace").splitlines()
        for path in sorted([inventory] if inventory.is_file() else inventory.rglob("*.yml"))
    }
    for name in names:
        set_here = re.compile(rf"(?:^|[\s{{,]){re.escape(name)}\s*:")
        found = [
            f"{path}:{number}"
            for path, text in texts.items()
            for number, line in enumerate(text, start=1)
            if set_here.search(line)
        ]
        yield f"  {', '.join(found) or inventory}: {name} is now {instead(name)}"
