"""Progress bars on stderr; silent where nobody watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Advance = Callable[[int], None]


@contextmanager
def bar(label: str, total: int | None = None) -> Iterator[Advance]:
    """Show a bar named *label* while the block runs.

    Parameters
    ----------
    label : str
    total : int, optional
        Number of steps; unknown where absent.

    Yields
    ------
    callable
        Call it with the number of steps just done.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(label, total=total)
        yield lambda steps: progress.update(task, advance=steps)
