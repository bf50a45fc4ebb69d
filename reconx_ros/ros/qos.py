"""Quality of service: what we ask of inputs and what we promise on outputs."""

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

INPUT_QOS = ("best_effort", "reliable")


def input_qos(name: str) -> QoSProfile:
    """Return the profile of image inputs.

    Args:
        name: ``best_effort`` matches every publisher; ``reliable`` matches reliable ones only and
            asks for lost messages again.
    """
    policy = ReliabilityPolicy.RELIABLE if name == "reliable" else ReliabilityPolicy.BEST_EFFORT
    return QoSProfile(depth=5, reliability=policy)


def latched(depth: int = 1) -> QoSProfile:
    """Return the profile of maps: reliable, and the last ``depth`` are kept for those who come late."""
    return QoSProfile(
        depth=depth, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
    )


def reliable(depth: int = 10) -> QoSProfile:
    """Return the profile of small messages none of which may be lost."""
    return QoSProfile(depth=depth, reliability=ReliabilityPolicy.RELIABLE)
