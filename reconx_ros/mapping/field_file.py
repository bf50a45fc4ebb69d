"""``distance_field.npz``: a distance field on disk, as NumPy reads it.

| array | type | meaning |
|---|---|---|
| version | int | 1 |
| origin | [3] float64 | metres, the lowest corner of voxel (0, 0, 0) in the map frame |
| voxel_size | float64 | metres |
| occupancy | [X, Y, Z] int8 | 0 free, 100 occupied, -1 unknown |
| distance | [X, Y, Z] float32 | metres to the nearest surface, negative in obstacles, NaN unknown |

The centre of voxel (i, j, k) is ``origin + (i + 0.5, j + 0.5, k + 0.5) * voxel_size``.
"""

from pathlib import Path

import numpy as np

from reconx_ros.errors import MapError
from reconx_ros.mapping.distance_field import FREE, OCCUPIED, UNKNOWN, DistanceField
from reconx_ros.mapping.npz import DAMAGED

VERSION = 1


def write_field(path: Path, field: DistanceField) -> None:
    """Write ``field``.

    Raises:
        OSError: the file cannot be written.
    """
    np.savez_compressed(
        path,
        version=np.array(VERSION),
        origin=field.origin,
        voxel_size=np.array(field.voxel_size),
        occupancy=field.occupancy,
        distance=field.distance,
    )


def read_field(path: Path) -> DistanceField:
    """Read what ``write_field`` wrote.

    Raises:
        MapError: no such file, or a damaged one.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            version = int(arrays["version"])
            field = DistanceField(
                arrays["origin"], float(arrays["voxel_size"]), arrays["occupancy"], arrays["distance"]
            )
    except DAMAGED as err:
        raise MapError(f"{path} cannot be read as a distance field: {' '.join(str(err).split())}") from err
    _check(path, version, field)
    return field


def _check(path: Path, version: int, field: DistanceField) -> None:
    shape = field.occupancy.shape
    fits = len(shape) == 3 and field.distance.shape == shape and field.origin.shape == (3,)
    if version != VERSION or not fits or not field.voxel_size > 0:
        raise MapError(
            f"{path} holds version {version}, occupancy {shape}, distance {field.distance.shape}, voxels "
            f"of {field.voxel_size:g} m; version {VERSION} with two equal boxes of voxels is read"
        )
    if not np.isin(field.occupancy, (FREE, OCCUPIED, UNKNOWN)).all():
        raise MapError(f"{path}: occupancy holds other values than {FREE}, {OCCUPIED} and {UNKNOWN}")
