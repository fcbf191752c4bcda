"""`python -m lab up|down|status`: the lab without the runbook around it."""

import sys

from lab import lab
from lab.layout import LabError


def main() -> int:
    """Run one command; return 0 if it is done, 1 if it failed, 2 if there is no such command."""
    command = sys.argv[1] if len(sys.argv) == 2 else ""
    try:
        if command == "up":
            lab.up()
        elif command == "down":
            lab.down()
        elif command == "status":
            for part in lab.status():
                print(f"  {part.name:<18} {part.address:<17} {part.state:<4} {part.pid or ''}")
        else:
            print(__doc__, file=sys.stderr)
            return 2
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
