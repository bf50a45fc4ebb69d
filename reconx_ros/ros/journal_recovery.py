"""What an earlier run left in its journal: its lines, and keyframes whose line was never written."""

from collections.abc import Callable

from reconx_ros.ros.journal_disk import Found, JournalDisk
from reconx_ros.ros.journal_entries import KeyframeLine
from reconx_ros.ros.journal_lines import JournalLines


def take_up(
    disk: JournalDisk, found: Found, lines: JournalLines, complain: Callable[[str], object]
) -> None:
    """Bring ``lines`` to where an earlier run ended.

    Args:
        disk: the folder of the journal.
        found: there.
        lines: without any yet.
        complain: called with a line where some of what was found is damaged.
    """
    damaged = lines.take_up(found.lines)
    if damaged:
        count, where = len(found.lines), disk.folder
        complain(f"journal {where}: {damaged} of {count} lines are damaged; the others are used")
    gone = _adopt(disk, found, lines, damaged > 0)
    if damaged or gone:
        lines.rewrite(gone)


def _adopt(disk: JournalDisk, found: Found, lines: JournalLines, damaged: bool) -> list[str]:
    """Take up keyframes that have no line; return those that were forgotten.

    Of a journal whose lines are whole, only a keyframe that is newer than them: its line was next.
    """
    names = lines.names
    strays = [name for name in found.keyframes if name not in names]
    adopted = [name for name in strays if damaged or name in found.newer]
    for name in adopted:
        command = disk.keyframe(KeyframeLine(name=name))
        if command is not None:
            keyframe = command.keyframe
            pose = keyframe.camera.world_from_camera
            lines.append(KeyframeLine(name=name, stamp_ns=keyframe.stamp_ns, pose=pose))
    return [name for name in strays if name not in adopted]
