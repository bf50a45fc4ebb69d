"""``/diagnostics``: the status for who looks after the robot."""

from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from reconx_msgs.msg import MapStatus


def diagnostics(status: MapStatus, name: str, details: Mapping[str, object]) -> DiagnosticArray:
    """Return ``status`` as diagnostics: a warning where there are warnings, an error without a worker.

    Args:
        status: to be told.
        name: of the node.
        details: further values by what they are.
    """
    level, message = _verdict(status)
    values = {**_values(status), **details}
    pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
    entry = DiagnosticStatus(
        level=level, name=f"{name}: map", message=message, hardware_id=name, values=pairs
    )
    return DiagnosticArray(header=status.header, status=[entry])


def _verdict(status: MapStatus) -> tuple[bytes, str]:
    """Return the level of the whole and the one thing to know."""
    if status.link == "broken":
        return DiagnosticStatus.WARN, "the link to the worker is broken; keyframes are kept"
    if status.worker in ("lost", "stopped"):
        return DiagnosticStatus.ERROR, f"worker {status.worker}"
    if status.warnings:
        return DiagnosticStatus.WARN, status.warnings[0]
    return DiagnosticStatus.OK, status.state


def _values(status: MapStatus) -> dict[str, object]:
    """Return what a person who looks after the robot wants to see."""
    return {
        "state": status.state,
        "stage": status.stage or "none",
        "worker": status.worker,
        "frames received": status.frames_received,
        "image rate (Hz)": f"{status.image_rate_hz:.1f}",
        "depth rate (Hz)": f"{status.depth_rate_hz:.1f}",
        "stamp age (s)": f"{status.stamp_age_s:.3f}",
        "queue": status.queue,
        "keyframes": status.keyframes,
        "points": status.cloud_points,
        "gaussians": status.gaussians,
        "map version": status.map_version,
        "loss": f"{status.loss:.4f}",
        "submaps": f"{status.submaps}, of which {status.submaps_on_disk} on disk",
        "synthesis": status.synthesis or "none yet",
        "corrections": status.corrections,
        "keyframe rate (Hz)": f"{status.keyframe_rate_hz:.2f}",
        "map rate (Hz)": f"{status.map_rate_hz:.2f}",
        "TF failures": status.tf_failures,
        "time jumps": status.time_jumps,
        "worker restarts": status.worker_restarts,
        "link": status.link,
        "link out (kbit/s)": f"{status.link_out_bps / 1e3:.0f}",
        "link in (kbit/s)": f"{status.link_in_bps / 1e3:.0f}",
        "link waiting": status.link_waiting,
        **{
            f"stage {n} (s)": f"{s:.2f}"
            for n, s in zip(status.stage_names, status.stage_seconds, strict=True)
        },
        "GPU memory (MB)": status.gpu_memory_bytes // 2**20,
        "memory (MB)": status.memory_bytes // 2**20,
        "worker memory (MB)": status.worker_memory_bytes // 2**20,
        **{f"dropped: {r}": c for r, c in zip(status.drop_reasons, status.drop_counts, strict=True)},
    }
