"""Who answers a site's questions, and what hangs there."""

from __future__ import annotations

import time
from contextlib import suppress

import psutil

from rollout.gates.model import Answer

HANG = "import time; time.sleep(100)"  # as in site.PLAYBOOK


class Person:
    """Says what the script has for a gate, after doing something first; otherwise nothing at all."""

    def __init__(self, **words):
        self.words, self.asked = words, []

    def begin(self, question):
        self.asked.append(question)

    def poll(self, question):
        word = self.words.get(question.gate)
        time.sleep(0.05)
        if callable(word):
            word = word()
        return Answer(word, "Tom", "terminal") if word else None

    def withdraw(self):
        """Nothing stands on a screen."""

    def tell(self, *_):
        return None


def what_hangs(site):
    """The process that a task waits for, once it is there."""
    while True:
        for process in site.survivors():
            with suppress(psutil.NoSuchProcess):  # they come and go
                if process.cmdline()[1:] == ["-c", HANG]:
                    return process
        time.sleep(0.05)
