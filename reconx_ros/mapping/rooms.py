"""The geometry rooms of a live map: they are kept, for rooms remember what they know of each view."""

import logging
from collections.abc import Mapping

from reconx_ros.geometry.choose import ROOMS, choose_method
from reconx_ros.geometry.config import GeometryConfig
from reconx_ros.geometry.protocol import Geometry
from reconx_ros.keyframes.keyframe import Keyframe

_log = logging.getLogger(__name__)


class Rooms:
    """Chooses the room for views, and says so.

    Attributes:
        report: the newest room and why, for the report of the map; of a loaded map what it said.
        warnings: what the geometry of the newest keyframe came with.
    """

    def __init__(self, config: GeometryConfig, report: Mapping[str, str] | None = None) -> None:
        self._config = config
        self._rooms: dict[str, Geometry] = {}
        self.report = dict(report or {})
        self.warnings: list[str] = []

    def choose(self, views: list[Keyframe]) -> Geometry:
        """Return the room for ``views``."""
        method, reason = choose_method(self._config, views)
        if method not in self._rooms:
            _log.info("geometry is %s: %s", method, reason)
            self.report = {"geometry": method, "geometry_reason": reason}
            self._rooms[method] = ROOMS[method](self._config, True)
        return self._rooms[method]

    def warn(self, lines: list[str]) -> None:
        """Say what the geometry of the newest keyframe came with, and keep it for the report."""
        for line in lines:
            if line not in self.warnings:
                _log.warning(line)
        self.warnings = lines
