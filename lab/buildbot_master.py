"""The lab's Buildbot master with its two workers in one process, and its database in `lab/buildbot`.

Run as `python -m lab.buildbot_master DIRECTORY NETWORK`.
"""

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from buildbot.config.master import MasterConfig
from buildbot.db.connector import DBConnector
from buildbot.master import BuildMaster
from twisted.application.service import MultiService
from twisted.internet import defer, reactor
from twisted.python import log

from lab.buildbot import CONFIGURATION, environment
from lab.layout import Lab


@defer.inlineCallbacks
def create_database(lab: Lab) -> Any:
    """Make state.sqlite as `buildbot create-master` does, but in this process, which saves a second of CPU."""
    master = BuildMaster(str(lab.buildbot))
    master.config = MasterConfig()
    database = DBConnector(basedir=str(lab.buildbot))
    yield database.set_master(master)
    yield master.secrets_manager.setup()
    yield database.setup(check_version=False, verbose=False)
    yield database.model.upgrade()
    yield database.pool.stop()


def forget_claims(database: Path) -> None:
    """Free the claims of a master that was stopped while it started.

    Buildbot does that only for one that it knows as active; otherwise nobody would ever look for pushes again.
    """
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM changesource_masters")
        connection.execute("DELETE FROM scheduler_masters")


@defer.inlineCallbacks
def serve(lab: Lab) -> Any:
    """Start the master; make its database if there is none."""
    database = lab.buildbot / "state.sqlite"
    if database.exists():
        forget_claims(database)
    else:
        yield create_database(lab)
    parent = MultiService()  # from which the master takes itself away at SIGTERM
    parent.startService()
    yield BuildMaster(str(lab.buildbot), str(CONFIGURATION)).setServiceParent(parent)


def main() -> None:
    """Serve for ever."""
    log.startLogging(sys.stdout, setStdout=False)
    lab = Lab(Path(sys.argv[1]), sys.argv[2])
    os.environ.update(environment(lab))
    reactor.callWhenRunning(lambda: serve(lab).addErrback(failed))
    reactor.run()


def failed(failure: Any) -> None:
    """Log why the master could not start, and end."""
    log.err(failure, "the master could not start")
    reactor.stop()


if __name__ == "__main__":
    main()
