"""What the programs of this package begin with: arguments checked, signals caught, ROS up."""

import signal
import sys
import threading
from collections.abc import Sequence

import rclpy
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

from reconx_ros.errors import ConfigError


def begin(arguments: Sequence[str], about: str) -> threading.Event:
    """Bring ROS up for a program with no arguments of its own (``start``).

    Args:
        arguments: of the program, its name first.
        about: what ``--help`` says.

    Raises:
        ConfigError: arguments that neither ROS nor we know.
        SystemExit: help was asked for.
    """
    try:
        own = remove_ros_args(list(arguments))[1:]
    except Exception as err:  # rclpy has several kinds for what cannot be parsed
        raise _unreadable(err) from err
    if set(own) & {"-h", "--help"}:
        print(about)
        raise SystemExit(0)
    if own:
        raise ConfigError(f"argument '{own[0]}' is unknown; parameters follow --ros-args: -p NAME:=VALUE")
    return start(arguments)


def start(arguments: Sequence[str]) -> threading.Event:
    """Bring ROS up; return what SIGINT and SIGTERM set.

    Not rclpy's handlers: they would shut ROS down before a map is saved over it, and wake the executor
    before they do, which now and then goes back to wait for ever in between. A second Ctrl-C changes
    nothing.

    Raises:
        ConfigError: what ROS cannot make sense of.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        rclpy.init(args=list(arguments), signal_handler_options=SignalHandlerOptions.NO)
    except Exception as err:
        raise _unreadable(err) from err
    return stop


def _unreadable(err: Exception) -> ConfigError:
    return ConfigError(f"arguments for ROS: {' '.join(str(err).partition(', at ')[0].split())}")


def refuse(program: str, err: Exception) -> int:
    """Say why ``program`` does not start; return its exit code."""
    print(f"{program}: {err}", file=sys.stderr)
    return 2
