"""Image messages of one camera (or a colour and a depth camera) to undistorted, registered frames.

Messages are taken by their fields alone, so those of rosbags and of rclpy serve alike.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.errors import SourceError
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.sources.compressed import decode_compressed_depth, decode_compressed_image
from reconx_ros.sources.encodings import decode_depth, decode_image
from reconx_ros.sources.frame_graph import bare
from reconx_ros.sources.intrinsics import CalibrationError, CameraModel, Undistorter, camera_model
from reconx_ros.sources.registration import DepthRegistration
from reconx_ros.sources.stereo_pair import baseline_of, stereo_depth
from reconx_ros.sources.topics import is_rectified, is_registered

Array = NDArray[np.float64]
Extrinsic = Callable[[str, str], Array]
"""Gives target_from_source [4, 4] of two frame names, or raises ``SourceError``."""


@contextmanager
def naming(what: str) -> Iterator[None]:
    """Add to an error about a message what it is and where it came from."""
    try:
        yield
    except SourceError as err:
        raise type(err)(f"{err} ({what})") from err


def picture(message: Any) -> NDArray[np.uint8]:  # noqa: ANN401
    """Return [H, W, 3] uint8 RGB of a ``sensor_msgs`` Image or CompressedImage."""
    if hasattr(message, "format"):
        return decode_compressed_image(message.format, message.data)
    return decode_image(*_fields(message))


def depth_picture(message: Any) -> NDArray[np.float32]:  # noqa: ANN401
    """Return [H, W] float32 metres, NaN unknown, of a depth Image or CompressedImage."""
    if hasattr(message, "format"):
        return decode_compressed_depth(message.format, message.data)
    return decode_depth(*_fields(message))


def _fields(message: Any) -> tuple[str, int, int, int, Any, bool]:  # noqa: ANN401
    size = (message.encoding, message.height, message.width, message.step)
    return (*size, message.data, bool(message.is_bigendian))


class _Lens:
    """The calibration of one topic and what undoes its distortion; rebuilt when it changes."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._key: tuple[Any, ...] = ()
        self._undistorters: dict[tuple[int, int], Undistorter] = {}
        self.model: CameraModel | None = None
        self.frame = ""

    def set(self, info: Any) -> None:  # noqa: ANN401
        """Take a ``sensor_msgs/CameraInfo`` of ROS 2 (k, d, p) or ROS 1 (K, D, P)."""
        k, d, p = (info.k, info.d, info.p) if hasattr(info, "k") else (info.K, info.D, info.P)
        roi = info.roi
        cut = (roi.x_offset, roi.y_offset, roi.width, roi.height)
        key = (
            info.width,
            info.height,
            *k,
            *d,
            *p,
            info.distortion_model,
            info.binning_x,
            info.binning_y,
            *cut,
        )
        self.frame = info.header.frame_id
        if key == self._key:
            return
        self.model = camera_model(
            info.width,
            info.height,
            k,
            d,
            info.distortion_model,
            p,
            is_rectified(self._topic),
            (info.binning_x, info.binning_y),
            cut,
            f"camera_info of {self._topic}",
        )
        self._key = key
        self._undistorters.clear()

    def undistorter(self, width: int, height: int, what: str) -> Undistorter:
        """Return what undistorts images of this size."""
        if self.model is None:
            raise CalibrationError(f"no camera_info for {self._topic} has come")
        self.model.check_size(width, height, what)
        if (width, height) not in self._undistorters:
            self._undistorters[width, height] = Undistorter(self.model, width, height)
        return self._undistorters[width, height]


class FrameBuilder:
    """Makes keyframes of image messages; remembers calibration and registration between them.

    Args:
        image_topic: its name says whether the image is rectified.
        depth_topic: its name says whether the depth is registered; empty without depth.
        stereo: whether what comes as depth is the right image of a rectified pair.
    """

    def __init__(self, image_topic: str, depth_topic: str = "", stereo: bool = False) -> None:
        self._colour = _Lens(image_topic)
        self._depth = _Lens(depth_topic)
        self.image_topic, self.depth_topic = image_topic, depth_topic
        self._stereo, self._baseline = stereo, 0.0
        self._registration: tuple[tuple[bytes, ...], DepthRegistration] | None = None

    def set_colour_info(self, info: Any) -> None:  # noqa: ANN401
        """Take the colour camera's ``CameraInfo``; cheap where nothing changed."""
        self._colour.set(info)

    def set_depth_info(self, info: Any) -> None:  # noqa: ANN401
        """Take the ``CameraInfo`` of the depth camera or the right one; cheap where nothing changed.

        Raises:
            SourceError: that of a right camera states no baseline.
        """
        if self._stereo:
            self._baseline = baseline_of(info)
        self._depth.set(info)

    def camera_frame(self, colour: Any) -> str:  # noqa: ANN401
        """Return the optical frame of a colour message (of its camera_info where it has none)."""
        return bare(colour.header.frame_id or self._colour.frame)

    def build(
        self,
        name: str,
        stamp_ns: int,
        colour: Any,  # noqa: ANN401
        depth: Any,  # noqa: ANN401
        world_from_camera: Array | None,
        extrinsic: Extrinsic,
    ) -> Keyframe:
        """Return the keyframe of a colour message and, where there is one, its depth message.

        Args:
            name: of the frame.
            stamp_ns: of the frame.
            colour: ``sensor_msgs`` Image or CompressedImage.
            depth: likewise, or ``None``.
            world_from_camera: [4, 4], or ``None`` where the pose is not known.
            extrinsic: called as ``extrinsic(colour_frame, depth_frame)`` where depth must be registered.

        Raises:
            DamagedImageError: this message is damaged; the next may be good.
            SourceError: encoding, calibration or extrinsic make every frame unreadable.
        """
        with naming(f"image on {self.image_topic}"):
            image = picture(colour)
        height, width = image.shape[:2]
        undistorter = self._colour.undistorter(width, height, f"image on {self.image_topic}")
        model = self._colour.model
        assert model is not None
        pose = np.eye(4) if world_from_camera is None else world_from_camera
        registered = None
        if depth is not None and self._stereo:
            registered = undistorter.depth(self._matched(image, depth, float(model.intrinsics[0, 0])))
        elif depth is not None:
            registered = self._registered(depth, self.camera_frame(colour), (width, height), extrinsic)
        return Keyframe(
            name=name,
            stamp_ns=stamp_ns,
            image=undistorter.image(image),
            camera=Camera(model.intrinsics, pose, width, height),
            depth=registered,
            posed=world_from_camera is not None,
        )

    def _matched(
        self,
        left: NDArray[np.uint8],
        right: Any,  # noqa: ANN401
        focal: float,
    ) -> NDArray[np.float32]:
        """Return the depth that matching the left picture with a right message gives."""
        if not self._baseline:
            raise CalibrationError(
                f"no camera_info for {self.depth_topic} has come; it states the baseline"
            )
        with naming(f"image on {self.depth_topic}"):
            right_picture = picture(right)
        return stereo_depth(left, right_picture, focal, self._baseline)

    def _registered(
        self,
        message: Any,  # noqa: ANN401
        colour_frame: str,
        size: tuple[int, int],
        extrinsic: Extrinsic,
    ) -> NDArray[np.float32]:
        """Return the depth of a message as the colour camera sees it."""
        with naming(f"depth on {self.depth_topic}"):
            depth = depth_picture(message)
        height, width = depth.shape
        frame = message.header.frame_id or self._depth.frame or colour_frame
        named = is_registered(self.depth_topic) or frame == colour_frame
        if self._depth.model is None:
            if named and (width, height) == size:
                return self._colour.undistorter(width, height, "depth").depth(depth)
            raise CalibrationError(
                f"no camera_info for {self.depth_topic}: depth of {width} x {height} in frame {frame} "
                f"cannot be registered to colour of {size[0]} x {size[1]} in frame {colour_frame}"
            )
        depth = self._depth.undistorter(width, height, f"depth on {self.depth_topic}").depth(depth)
        target = self._colour.model
        assert target is not None
        if (
            named
            and (width, height) == size
            and np.allclose(target.intrinsics, self._depth.model.intrinsics, atol=1e-3)
        ):
            return depth
        colour_from_depth = np.eye(4) if named else extrinsic(colour_frame, frame)
        return self._warp(target.intrinsics, size, (width, height), colour_from_depth).register(depth)

    def _warp(
        self, target: Array, size: tuple[int, int], source_size: tuple[int, int], colour_from_depth: Array
    ) -> DepthRegistration:
        """Return the registration, the last one where nothing changed."""
        assert self._depth.model is not None
        source = self._depth.model.intrinsics
        key = (
            target.tobytes(),
            source.tobytes(),
            np.float32(colour_from_depth).tobytes(),
            bytes(str((size, source_size)), "ascii"),
        )
        if self._registration is None or self._registration[0] != key:
            made = DepthRegistration(source, source_size, target, size, colour_from_depth)
            self._registration = (key, made)
        return self._registration[1]
