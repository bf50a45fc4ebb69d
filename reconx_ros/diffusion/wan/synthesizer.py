"""Wan-VACE as a synthesizer."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from reconx_ros.camera import Camera
from reconx_ros.diffusion.protocol import GeneratedFrame
from reconx_ros.diffusion.reliability import Reliability
from reconx_ros.diffusion.wan.clips import Window, film_size, padded, windows
from reconx_ros.diffusion.wan.conditions import Conditions, conditions
from reconx_ros.diffusion.wan.config import WanConfig
from reconx_ros.diffusion.wan.doubt import provisional_curve
from reconx_ros.diffusion.wan.film import Film, NotFinite, Stopped
from reconx_ros.diffusion.wan.load import located
from reconx_ros.diffusion.wan.memory import memory_named
from reconx_ros.diffusion.wan.roll import Roll, take
from reconx_ros.diffusion.wan.studio import open_film
from reconx_ros.errors import SynthesisError
from reconx_ros.geometry.protocol import PointCloud
from reconx_ros.keyframes.reduce import reduce_depth
from reconx_ros.progress import Progress
from reconx_ros.structure.nearest import showing
from reconx_ros.structure.reference import Reference
from reconx_ros.structure.trajectory import Trajectory

