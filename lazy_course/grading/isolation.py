"""What stands between a student's kernel and the grader's machine.

An isolation turns the command that starts a kernel into the command that starts it inside walls. Only the kernel
goes inside: nbval and the references stay outside, and the two talk over ipc sockets in `folder`, which is all that
an isolation has to let through. Here is the one that builds no walls; `sandbox` has the one that does.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from lazy_course.grading.sandbox import Bubblewrap


@runtime_checkable
class Isolation(Protocol):
    """How a kernel is started and watched; `name` is written into every report."""

    name: str

    def wrap(self, command: Sequence[str], folder: Path, *, first: bool = False) -> list[str]:
        """The command that runs `command` with `folder` as its only place; as process 1 there if `first`."""
        ...

    def rights(self) -> dict[str, Any] | None:
        """What a process keeps that enters from outside; None if there are no walls to enter."""
        ...

    def hand_over(self, path: Path) -> None:
        """Let the kernel read and write a file that was put into its folder."""
        ...

    def excess(self, process: int, folder: Path) -> str:
        """What a running kernel uses too much of, in words for the student; "" if nothing."""
        ...


class Unprotected:
    """No walls: a student's code runs with the rights of whoever grades."""

    name = "none (unprotected)"

    def wrap(self, command: Sequence[str], folder: Path, *, first: bool = False) -> list[str]:
        """The command as it is."""
        return list(command)

    def rights(self) -> None:
        """None."""

    def hand_over(self, path: Path) -> None:
        """nothing: the kernel runs as the grader's own user."""

    def excess(self, process: int, folder: Path) -> str:
        """Always "": nothing is watched."""
        return ""


KNOWN: dict[str, type[Unprotected] | type[Bubblewrap]] = {kind.name: kind for kind in (Unprotected, Bubblewrap)}


def by_name(name: str) -> Isolation:
    """The isolation that a job names; KeyError for one that does not exist."""
    return KNOWN[name]()
