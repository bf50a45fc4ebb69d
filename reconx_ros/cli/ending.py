"""How work on the command line ends: its exit code, and the line that says why it is not 0."""

import click

PARTIAL = 3
INTERRUPTED = 130


def ended(interrupted: bool, kept: str, partial: bool = False) -> int:
    """Return the exit code of work that left something, saying so where that is not the whole of it.

    Args:
        interrupted: whether Ctrl-C ended it.
        kept: what there is then.
        partial: whether the recording is damaged.
    """
    if partial:
        click.echo("reconx: the recording is damaged; its readable part was used", err=True)
    if interrupted:
        click.echo(f"reconx: interrupted; {kept}", err=True)
        return INTERRUPTED
    return PARTIAL if partial else 0
