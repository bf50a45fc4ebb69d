"""Rigid motion of Gaussians: positions, orientations and the colours that depend on direction."""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from reconx_ros.sources.rigid import pose_from_matrix
from reconx_ros.splatting.gaussians import GaussianMap
from reconx_ros.splatting.model import sh_rows
from reconx_ros.splatting.parameters import GaussianParameters
from reconx_ros.splatting.reference import sh_basis

Array = NDArray[np.float64]

_DIRECTIONS = 64
"""More than four times the 16 coefficients of degree 3, so that the fit is exact to rounding."""


@torch.no_grad()
def move_rows(parameters: GaussianParameters, rows: torch.Tensor, motion: Array) -> None:
    """Move the Gaussians at ``rows`` (mask [N] or indices) by a rigid ``motion`` [4, 4], in place.

    A Gaussian of mean m and axes Q goes to R m + t and R Q; its colour seen along d is afterwards
    the colour it had along R^T d.
    """
    means, quaternions, sh = parameters.means, parameters.quaternions_wxyz, parameters.sh
    rotation = torch.as_tensor(motion[:3, :3], dtype=torch.float64, device=means.device)
    shift = torch.as_tensor(motion[:3, 3], dtype=torch.float64, device=means.device)
    means[rows] = (means[rows].double() @ rotation.T + shift).to(means.dtype)
    turn = torch.as_tensor(
        np.roll(pose_from_matrix(motion)[1], 1), dtype=torch.float64, device=means.device
    )
    quaternions[rows] = _product(turn, quaternions[rows].double()).to(quaternions.dtype)
    mixing = torch.as_tensor(sh_rotation(motion[:3, :3], parameters.sh_degree), device=means.device)
    sh[rows] = torch.einsum("ij,njc->nic", mixing, sh[rows].double()).to(sh.dtype)


def moved(gaussians: GaussianMap, motion: Array) -> GaussianMap:
    """Return ``gaussians`` moved by a rigid ``motion`` [4, 4]."""
    parameters = GaussianParameters.from_map(gaussians)
    move_rows(parameters, torch.arange(len(gaussians)), motion)
    return GaussianMap(
        **parameters.to_arrays(),
        confidence=gaussians.confidence.copy(),
        provenance=gaussians.provenance.copy(),
    )


def sh_rotation(rotation: Array, degree: int) -> Array:
    """Return the [K, K] matrix that turns spherical harmonics: (M c)(d) = c(R^T d) for all d.

    Found by least squares over directions; the space of each degree is closed under rotation, so
    the fit is exact.
    """
    directions, inverse = _sampled(degree)
    turned = sh_basis(directions @ torch.as_tensor(rotation), degree).numpy()
    return np.asarray(inverse @ turned, dtype=np.float64)


@lru_cache(maxsize=4)
def _sampled(degree: int) -> tuple[torch.Tensor, Array]:
    """Return unit directions [M, 3] and the pseudo-inverse [K, M] of the basis there."""
    raw = np.random.default_rng(0).normal(size=(_DIRECTIONS, 3))
    directions = torch.from_numpy(raw / np.linalg.norm(raw, axis=1, keepdims=True))
    basis = sh_basis(directions, degree).numpy()
    assert basis.shape == (_DIRECTIONS, sh_rows(degree))
    return directions, np.linalg.pinv(basis)


def _product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return the Hamilton product of one quaternion with [N, 4] quaternions, wxyz."""
    w, x, y, z = left
    matrix = torch.stack(
        [
            torch.stack([w, -x, -y, -z]),
            torch.stack([x, w, -z, y]),
            torch.stack([y, z, w, -x]),
            torch.stack([z, -y, x, w]),
        ]
    )
    return right @ matrix.T
