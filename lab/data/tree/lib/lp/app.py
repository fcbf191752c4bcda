"""The pages of the site."""

from pathlib import Path
from string import Template

from lp import bugs, maintenance

TREE = Path(__file__).resolve().parents[2]


def front_page(cursor, links, revision, notice):
    """The front page as HTML: `links` is where its external links point to, `notice` what +maintenancetime.txt says."""
    counts = [bugs.reported(cursor)]
    template = Template((TREE / "docroot" / "index.html").read_text(encoding="utf-8"))
    return template.substitute(
        counts="\n".join(f"    <li><strong>{number:,}</strong> {label}</li>" for label, number in counts),
        links=links,
        maintenance=maintenance.banner(notice),
        revision=revision,
    )
