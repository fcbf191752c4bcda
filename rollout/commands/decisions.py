"""The commands for decisions before the window: `deployable`, `budget` and `rc-check` (docs/operations.md)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import click

from plugins.module_utils.rollout_host.vcs.kinds import ADAPTERS
from rollout.commands.options import FILE, INVENTORY
from rollout.outcomes import ExitCode
from rollout.views.console import say
from rollout.views.text import as_json as as_json_text

DIRECTORY = click.Path(exists=True, file_okay=False, path_type=Path)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="As JSON (docs/operations.md).")


@click.command()
@click.option("--log", "logs", type=FILE, multiple=True, help="A JSON list of {revno, message, date}.")
@click.option("--branch", "urls", multiple=True, metavar="URL", help="A Bazaar or git branch; in git, PATH#BRANCH.")
@click.option("--vcs", type=click.Choice(list(ADAPTERS)), help="What the branches are of, where URLs do not tell.")
@click.option("--tags", "tags_file", type=FILE, help="Tags of bugs, {bug: [tag, …]}, YAML or JSON.")
@click.option(
    "--launchpad",
    is_flag=False,
    flag_value="production",
    metavar="[SERVICE_ROOT]",
    help="Ask Launchpad for the tags instead, anonymously: production without a value, or another service root.",
)
@click.option(
    "--deployed",
    multiple=True,
    metavar="[NAME=]REVNO",
    help="Judge only what is above it; of several branches, by name.",
)
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write it as a page too.")
@AS_JSON
def deployable(
    logs: tuple[Path, ...],
    urls: tuple[str, ...],
    tags_file: Path | None,
    deployed: tuple[str, ...],
    *,
    vcs: str | None,
    launchpad: str | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """Show which revisions are QA-ok, and the highest that can be deployed (R8), for one branch or several."""
    from rollout.decisions import deployable

    if not logs and not urls:
        raise click.UsageError("Give --log FILE or --branch URL.")
    if (tags_file is None) == (launchpad is None):
        raise click.UsageError("Give either --tags FILE or --launchpad.")
    read = deployable.revisions(logs, urls, deployed, vcs)
    if launchpad:
        tags = deployable.ask_launchpad(launchpad, read, say=lambda line: say(line, err=True))
    else:
        tags = deployable.read_tags(tags_file) if tags_file else {}
    branches = deployable.judge(read, tags)
    if html:
        deployable.write_page(html, branches)
    say(as_json_text(deployable.as_json(branches)) if as_json else "\n".join(deployable.lines(branches)))


@click.command()
@click.argument("logs", nargs=-1, required=True, type=FILE, metavar="LOG...")
@INVENTORY
@click.option(
    "--factor",
    type=click.FloatRange(0, 1000, min_open=True),
    help="Production's time by staging's; otherwise the inventory's policy.",
)
@click.option(
    "--plus-minutes", type=click.FloatRange(0, 1440), help="Minutes added to it; otherwise the inventory's policy."
)
@click.option(
    "--window-minutes",
    type=click.FloatRange(0, 1440, min_open=True),
    help="Length of the window; otherwise the inventory's policy.",
)
@click.option("--schema", type=DIRECTORY, help="The schema directory to be deployed; with --applied.")
@click.option("--applied", type=FILE, help="Production's rows, a list of [major, minor, patch], YAML or JSON.")
@AS_JSON
def budget(logs: tuple[Path, ...], schema: Path | None, applied: Path | None, *, as_json: bool, **rule: Any) -> None:
    """Show whether the database time of the last staging restore fits the window (R9)."""
    from rollout.decisions import budget

    if (schema is None) != (applied is None):
        raise click.UsageError("What is pending takes both, --schema DIRECTORY and --applied FILE.")
    pending = budget.read_pending(schema, applied) if schema and applied else None
    found = budget.judge(logs, budget.rule(**rule), pending)
    say(as_json_text(found) if as_json else "\n".join(budget.lines(found)))
    sys.exit(ExitCode.DONE if found["fits"] else ExitCode.REFUSED)


@click.command("rc-check")
@INVENTORY
@click.option("--branch", metavar="NAME", help="The branch that the message is for; with --config, its section there.")
@click.option("--mode", type=click.Choice(["open", "rc"]), help="Otherwise as in --config; without one, open.")
@click.option("--config", type=FILE, help="PQM's configuration file; with --branch.")
@click.option("--pinned", type=click.IntRange(min=1), metavar="REVNO", help="The only merge that is exempt.")
@click.option("--hook", is_flag=True, help="Print the check as one Python file, for PQM or as git's update hook.")
@AS_JSON
def rc_check(inventory: Path, mode: Literal["open", "rc"] | None, *, hook: bool, as_json: bool, **where: Any) -> None:
    """Show whether PQM lets the commit message on standard input land (R13)."""
    from rollout.decisions import rc_check as checking

    if hook:
        click.echo(checking.hook(), nl=False)
        return
    if where["config"] and not where["branch"]:
        raise click.UsageError("--config takes --branch NAME, its section there.")
    message = sys.stdin.buffer.read().decode("utf-8", "replace")
    found = checking.judge(message, inventory, mode, **where)
    say(as_json_text(found) if as_json else checking.line(found))
    sys.exit(ExitCode.DONE if found["lands"] else ExitCode.REFUSED)
