"""The `reconx` command: a table of subcommands, loaded only when they are called."""

import sys
import tempfile
import traceback
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path

import click

from reconx_ros import __version__
from reconx_ros.errors import ReconxError

COMMANDS = {
    "reconstruct": "Turn a bag or a folder of images into a Gaussian map.",
    "render": "Render a finished map at given cameras, one PNG each.",
    "export": "Write the surfaces of a finished map as a dense cloud.",
    "evaluate": "Measure a map on held-out views, beside plain baselines.",
    "demo": "Show the whole chain: simulated robot, DDS, node, map, pictures.",
    "simulate": "Write a ROS 2 bag of a procedural room with exact poses and depth.",
    "train": "Make training clips, train the view synthesis model, measure it.",
    "info": "Print the environment, for bug reports.",
}


class LazyCommands(click.Group):
    """Subcommands known by name and one line of help; the module is imported when one runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order people use them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import ``reconx_ros.cli.<name>`` and return its command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"reconx_ros.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="reconx")
def commands() -> None:
    """From a few camera keyframes to a confidence-weighted 3D Gaussian map."""


def main() -> None:
    """Run the command line.

    Exit codes: 0 done; 1 a defect of ours (traceback and log path); 2 a known error, one line;
    3 done, but the recording was damaged and only its readable part was used; 130 interrupted,
    with what there was by then saved.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may be any bytes
    try:
        code = commands.main(prog_name="reconx", standalone_mode=False)
    except ReconxError as err:
        click.echo(f"reconx: {err}", err=True)
        sys.exit(2)
    except click.ClickException as err:
        err.show()
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort) as err:
        why = str(err.__cause__ or "")  # click makes an Abort of a KeyboardInterrupt
        click.echo(f"reconx: interrupted{why and f' ({why})'}", err=True)
        sys.exit(130)
    except Exception:
        click.echo(f"reconx: unexpected error; please report it with {_log_traceback()}", err=True)
        traceback.print_exc()
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _log_traceback() -> Path:
    """Write the traceback and the command line to a file of its own; return its path."""
    with tempfile.NamedTemporaryFile("w", prefix="reconx-", suffix=".log", delete=False) as log:
        log.write(f"reconx {__version__}: {' '.join(sys.argv[1:])}\n\n{traceback.format_exc()}")
    return Path(log.name)


if __name__ == "__main__":
    main()
