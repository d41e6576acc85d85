"""A bar for what takes long: on standard error, since results may be on their way through standard output."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress

Advance = Callable[[int, int | None], None]  # so much is done; of so much (None: not known)


@contextmanager
def progress_bar(description: str, shown: bool = True) -> Iterator[Advance]:
    """A bar from the first call of what it yields to the end of the block; none where nobody looks at a terminal."""
    console = Console(stderr=True)
    bars = Progress(
        console=console,
        transient=True,
        disable=not (shown and console.is_terminal),
        redirect_stdout=Console().is_terminal,  # else rich takes what is printed meanwhile to standard error
    )
    task = bars.add_task(description, total=None)

    def advance(done: int, total: int | None) -> None:
        bars.start()
        bars.update(task, completed=done, total=total)

    try:
        yield advance
    finally:
        bars.stop()
