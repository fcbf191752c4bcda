"""The cron jobs of one host. Every second it runs each job that ~/cron.ini leaves on, unless it still runs.

As in reality, a job is enabled if the switch cannot be read. A run is a process of its own: it writes its pid into
~/locks/launchpad-JOB.lock, works in one short transaction (application_name `cron:JOB`), and takes the lock file away.
"""

import argparse
import configparser
import contextlib
import logging
import os
import time
from pathlib import Path

import psutil
import psycopg
from psycopg.conninfo import make_conninfo

from plugins.module_utils.rollout_core.site.process_identity import began_after

log = logging.getLogger("lab.cron")
INTERVAL = 1.0  # seconds between two runs of a job
JOBS = {
    "soyuz-publisher": "SELECT count(*) FROM Archive WHERE enabled",
    "translations-export": "SELECT count(*) FROM TranslationMessage WHERE is_current_ubuntu",
}
WORK = 0.2  # seconds a run keeps its transaction open


def enabled(job: str, switches: Path) -> bool:
    """Return True if the central ini file enables the job, in section JOB or [DEFAULT], or cannot be read."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(switches.read_text(encoding="utf-8"))
        section = job if parser.has_section(job) else configparser.DEFAULTSECT
        return parser[section].getboolean("enabled", fallback=True)
    except (OSError, ValueError, configparser.Error) as error:
        log.warning("%s: %s: so %s is enabled", switches, error, job)
        return True


def still_running(lock: Path) -> bool:
    """Whether the process that the lock file names is there, and not a later one with its number."""
    try:
        began = psutil.Process(int(lock.read_text())).create_time()
        return not began_after(began, lock.stat().st_mtime)
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        return False


def run(job: str, dsn: str, lock: Path) -> None:
    """Run a job once, in a process of its own."""
    lock.write_text(f"{os.getpid()}\n")
    try:
        with psycopg.connect(make_conninfo(dsn, application_name=f"cron:{job}"), connect_timeout=5) as connection:
            connection.execute("INSERT INTO JobRun (job) VALUES (%s)", [job])
            connection.execute(JOBS[job])
            connection.execute("SELECT pg_sleep(%s)", [WORK])
    except psycopg.Error as error:
        log.warning("%s: %s", job, error)
    finally:
        lock.unlink(missing_ok=True)


def main() -> None:
    """Run the jobs for ever."""
    parser = argparse.ArgumentParser(prog="lab.cron", description=__doc__)
    parser.add_argument("--dsn", required=True, help="libpq conninfo without a password, which stands in ~/.pgpass")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    home = Path.home()
    while True:
        for job in JOBS:
            lock = home / "locks" / f"launchpad-{job}.lock"
            if enabled(job, home / "cron.ini") and not still_running(lock) and os.fork() == 0:
                run(job, options.dsn, lock)
                os._exit(0)
        time.sleep(INTERVAL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


if __name__ == "__main__":
    main()
