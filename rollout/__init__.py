"""The conductor: interprets process.yml, runs playbooks through ansible-runner, keeps the journal, asks the gates."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The top of the checkout: process.yml, playbooks/, inventories/ and var/ are here."""
