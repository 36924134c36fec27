"""What stands between a student's kernel and the grader's machine.

An isolation turns the command that starts a kernel into the command that starts it inside walls. Only the kernel
goes inside: nbval and the references stay outside, and the two talk over ipc sockets in `folder`, which is all that
an isolation has to let through. Here is the one that builds no walls; a sandbox is another class with the same two
members, added to `KNOWN`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable


@runtime_checkable
class Isolation(Protocol):
    """How a kernel is started; `name` is written into every report."""

    name: str

    def wrap(self, command: Sequence[str], folder: Path) -> list[str]:
        """The command that runs `command` with `folder` as the only place to read and write."""
        ...


class Unprotected:
    """No walls: a student's code runs with the rights of whoever grades."""

    name = "none (unprotected)"

    def wrap(self, command: Sequence[str], folder: Path) -> list[str]:
        """The command as it is."""
        return list(command)


KNOWN: dict[str, type[Unprotected]] = {Unprotected.name: Unprotected}


def by_name(name: str) -> Isolation:
    """The isolation that a job names; KeyError for one that does not exist."""
    return KNOWN[name]()
