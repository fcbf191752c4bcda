"""The lab's Buildbot: what a new one needs, and its build machines (R11).

Everything it builds is real: it notices a push to devel, fetches that revision with brz and runs the tree's own tests
(`lab/data/buildbot`). Trouble of a build machine is made by files in its directory, `Lab.build_machine`:

- `suite.lock`: whoever holds it (flock) keeps the machine busy, and builds wait for it;
- `librarian.pid`: if stale, it fails one build with a message that is known as spurious, and is removed by that build.
"""

import secrets

from lab.layout import BUILDERS, DATA, Lab

CONFIGURATION = DATA / "buildbot" / "master.cfg"


def make(lab: Lab) -> None:
    """Make the machines of a new master's builders, and the password of whoever may force a build."""
    for builder in BUILDERS:
        lab.build_machine(builder).mkdir(parents=True)
    password = lab.buildbot / "password"
    password.touch(mode=0o600)
    password.write_text(secrets.token_urlsafe(12) + "\n")


def environment(lab: Lab) -> dict[str, str]:
    """Return the environment variables that master.cfg reads."""
    return {
        "LAB_BUILDBOT_ADDRESS": lab.buildbot_address,
        "LAB_BUILDBOT_URL": lab.buildbot_url,
        "LAB_BUILDBOT_BUILDERS": " ".join(BUILDERS),
        "LAB_BUILDBOT_BRANCH": lab.bazaar_url + "devel",
        "LAB_BUILDBOT_PUSHED": str(lab.bazaar / "devel" / ".bzr" / "branch" / "last-revision"),
    }
