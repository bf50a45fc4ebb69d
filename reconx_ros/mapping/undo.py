"""Steps that happen as a whole or not at all, on objects that change in many places."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from reconx_ros.settings import Settings

CONTAINERS = (list, dict, set)


@contextmanager
def all_or_nothing(*roots: object) -> Iterator[None]:
    """Leave all as it was before where the block raises.

    Noted and put back are the attributes of ``roots`` and of every object of this package that they
    reach, and what their lists, dictionaries and sets hold. Arrays and tensors are not copied: the block
    may put others in their place or write behind them (``Growing``), but must not write into them.
    """
    before: dict[int, tuple[Any, dict[str, Any]]] = {}
    for root in roots:
        _note(root, before)
    try:
        yield
    except BaseException:
        for thing, attributes in before.values():
            vars(thing).clear()
            vars(thing).update(attributes)
        raise


def _note(value: object, before: dict[int, tuple[Any, dict[str, Any]]]) -> None:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple | set):
        for each in value:
            _note(each, before)
    elif _changeable(value) and id(value) not in before:
        attributes = vars(value)
        copies = {
            name: each.copy() if isinstance(each, CONTAINERS) else each for name, each in attributes.items()
        }
        before[id(value)] = value, copies
        _note(attributes, before)


def _changeable(value: object) -> bool:
    """Return whether ``value`` is an object of this package that may change: no frozen one, no settings."""
    kind = type(value)
    frozen = getattr(getattr(kind, "__dataclass_params__", None), "frozen", False)
    ours = kind.__module__.startswith("reconx_ros.") and hasattr(value, "__dict__")
    return ours and not frozen and not isinstance(value, Settings | type)
