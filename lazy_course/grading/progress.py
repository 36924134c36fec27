"""A bar with counts and the time that is left, for whoever grades at a terminal."""

from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def with_bar(grade: Callable[..., Any], settings: Any) -> None:
    """Call `grade(settings, tell, advance)` with its lines above a bar for each problem set."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks: dict[str, Any] = {}

        def advance(stem: str, done: int, of: int) -> None:
            if stem not in tasks:
                tasks[stem] = bar.add_task(stem, total=of)
            bar.update(tasks[stem], completed=done)

        grade(settings, lambda line: bar.console.print(escape(line), highlight=False, soft_wrap=True), advance)
