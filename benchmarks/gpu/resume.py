"""What an earlier call has measured already: a lent GPU may be gone before all of it is."""

import json
from pathlib import Path
from typing import Any


def held(file: Path | None, what: dict[str, Any], again: bool) -> dict[str, Any]:
    """Return what ``file`` already holds of the same run, else a new result.

    Args:
        file: JSON that an earlier call wrote, if any.
        what: says which run it is: device, sizes and counts.
        again: whether all is to be measured again.
    """
    try:
        old: dict[str, Any] = json.loads(file.read_text()) if file and not again else {}
    except (OSError, ValueError):
        old = {}
    return old if {name: old.get(name) for name in what} == what else {**what}


def kept(file: Path | None, result: dict[str, Any]) -> None:
    """Write the result so far, aside and then renamed."""
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        aside = file.with_name(file.name + ".part")
        aside.write_text(json.dumps(result, indent=2) + "\n")
        aside.replace(file)
