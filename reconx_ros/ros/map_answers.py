"""What is asked of the map in the worker: errors are answers too, for who asks must hear."""

from pathlib import Path

from reconx_ros.config import ReconxConfig
from reconx_ros.mapping.folder import check_writable, load, save
from reconx_ros.mapping.incremental import IncrementalMapper
from reconx_ros.ros.link_commands import ClearBox, Load
from reconx_ros.ros.link_replies import Answer, Code


def save_map(request: int, folder: Path, mapper: IncrementalMapper, config: ReconxConfig) -> Answer:
    """Save the map to ``folder``, with the configuration that made it."""
    code: Code = "failed"
    try:
        snapshot = mapper.snapshot()
        if snapshot is None:
            return Answer(request, "no_map", "there is no map yet: no keyframe has come")
        code = "bad_path"
        check_writable(folder)
        code = "failed"
        where = save(snapshot, folder, config).resolve()
    except Exception as err:
        return Answer(request, code, str(err))
    count = f"{len(snapshot.gaussians)} Gaussians of {len(snapshot.keyframes)} keyframes"
    return Answer(request, "ok", f"{count} saved to {where}", str(where))


def load_map(command: Load, mapper: IncrementalMapper) -> Answer:
    """Replace the map by a saved one; where that fails it is what it was."""
    folder = command.folder
    try:
        reconstruction = load(folder)
        mapper.load(reconstruction)
    except Exception as err:
        missing = not (folder / "map.ply").is_file()
        return Answer(command.request, "no_map" if missing else "bad_map", str(err))
    count = f"{len(reconstruction.gaussians)} Gaussians"
    return Answer(command.request, "ok", f"{count} loaded from {folder}", str(folder.resolve()))


def clear_box(command: ClearBox, mapper: IncrementalMapper) -> Answer:
    """Remove what lies in a box; say how much."""
    try:
        count = mapper.clear_box(command.low, command.high, command.world_from_box)
    except Exception as err:
        return Answer(command.request, "failed", str(err))
    return Answer(command.request, "ok", f"{count} points and Gaussians removed", count=count)
