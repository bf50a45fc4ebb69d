"""Which topics of a recording are colour, depth, calibration and poses."""

from collections.abc import Mapping
from dataclasses import dataclass

from reconx_ros.errors import SourceError
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.messages import CAMERA_INFO, COMPRESSED, IMAGE, ODOMETRY, TF


@dataclass(frozen=True)
class Topics:
    """The topics read; empty where there is none."""

    image: str
    camera_info: str
    depth: str
    depth_camera_info: str
    odom: str
    tf: tuple[str, ...]
    tf_static: tuple[str, ...]

    @property
    def all(self) -> set[str]:
        """Every topic read."""
        single = (self.image, self.camera_info, self.depth, self.depth_camera_info, self.odom)
        return {topic for topic in (*single, *self.tf, *self.tf_static) if topic}


def choose_topics(available: Mapping[str, str], config: SourceConfig) -> Topics:
    """Choose topics by the names configured, else by type and by the names cameras give them.

    Args:
        available: message type of each topic.
        config: names that are set are taken as they are.

    Raises:
        SourceError: no colour image or no camera_info; the message lists what there is.
    """
    images = [topic for topic, kind in available.items() if kind in (IMAGE, COMPRESSED)]
    infos = [topic for topic, kind in available.items() if kind == CAMERA_INFO]
    colour = _chosen(config.image_topic, (IMAGE, COMPRESSED), available) or _best_colour(images, infos)
    if not colour:
        raise SourceError(
            f"no colour image topic ({IMAGE} or {COMPRESSED}); the recording has {listed(available)}"
        )
    depth = _chosen(config.depth_topic, (IMAGE, COMPRESSED), available) or _best_depth(images)
    info = _chosen(config.camera_info_topic, (CAMERA_INFO,), available) or _info_of(colour, infos)
    if not info:
        raise SourceError(f"no {CAMERA_INFO} for {colour}; the recording has {listed(available)}")
    depth_info = _chosen(config.depth_camera_info_topic, (CAMERA_INFO,), available)
    odometry = sorted(topic for topic, kind in available.items() if kind == ODOMETRY)
    transforms = sorted(topic for topic, kind in available.items() if kind == TF)
    return Topics(
        image=colour,
        camera_info=info,
        depth=depth,
        depth_camera_info=depth_info or (_sibling(depth, infos) if depth else ""),
        odom=_chosen(config.odom_topic, (ODOMETRY,), available) or (odometry[0] if odometry else ""),
        tf=tuple(topic for topic in transforms if not topic.endswith("tf_static")),
        tf_static=tuple(topic for topic in transforms if topic.endswith("tf_static")),
    )


def listed(available: Mapping[str, str]) -> str:
    """Return topics and types in one line."""
    return ", ".join(f"{topic} ({kind})" for topic, kind in sorted(available.items())) or "no messages"


def base_topic(topic: str) -> str:
    """Return an image topic without the part image_transport adds."""
    head, _, last = topic.rpartition("/")
    return head if last in ("compressed", "compressedDepth") else topic


def is_rectified(topic: str) -> bool:
    """Return whether the name says that the image is undistorted already (``image_rect``)."""
    return "rect" in base_topic(topic).rpartition("/")[2].split("_")


def is_registered(topic: str) -> bool:
    """Return whether the name says that the depth lies in the colour image already."""
    return "aligned" in topic or "registered" in topic


def _chosen(name: str, kinds: tuple[str, ...], available: Mapping[str, str]) -> str:
    """Return a configured name after checking that the recording has it."""
    if name and available.get(name) not in kinds:
        wanted = " or ".join(kinds)
        raise SourceError(f"no topic {name} of type {wanted}; the recording has {listed(available)}")
    return name


def _best_colour(images: list[str], infos: list[str]) -> str:
    def rank(topic: str) -> tuple[bool, bool, bool, bool, str]:
        name = topic.lower()
        named = any(word in name for word in ("color", "colour", "rgb"))
        infrared = any(word in name for word in ("infra", "/ir", "thermal", "mask", "label"))
        return (not _sibling(topic, infos), not named, infrared, not name.endswith("/compressed"), topic)

    colour = [topic for topic in images if not _is_depth(topic)]
    return min(colour, key=rank, default="")


def _best_depth(images: list[str]) -> str:
    def rank(topic: str) -> tuple[bool, bool, str]:
        return (not is_registered(topic), topic != base_topic(topic), topic)

    return min(filter(_is_depth, images), key=rank, default="")


def _is_depth(topic: str) -> bool:
    return "depth" in topic.lower()


def _sibling(image: str, infos: list[str]) -> str:
    """Return the camera_info in the namespace of an image, as image_transport places it."""
    name = base_topic(image).rpartition("/")[0] + "/camera_info"
    return name if name in infos else ""


def _info_of(image: str, infos: list[str]) -> str:
    """Return the camera_info of an image: its sibling, or the only one that is not of a depth camera."""
    others = [topic for topic in infos if not _is_depth(topic)]
    return _sibling(image, infos) or (others[0] if len(others) == 1 else "")
