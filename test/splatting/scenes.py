"""Random scenes, and the pixels of theirs on which two right rasterizers may differ."""

from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from reconx_ros.camera import Camera
from reconx_ros.splatting import model, reference
from reconx_ros.splatting.parameters import GaussianParameters

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Recipe:
    """What a scene is made of; the numbers follow from the seed."""

    seed: int
    count: int
    degree: int
    width: int
    height: int
    log_scale: tuple[float, float]
    logit: tuple[float, float]
    behind: float
    coincident: float


RECIPES = st.builds(
    Recipe,
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 60),
    degree=st.integers(0, 3),
    width=st.integers(1, 70),
    height=st.integers(1, 40),
    log_scale=st.sampled_from([(-3.0, -1.0), (-9.0, -6.0), (-1.0, 1.5), (-7.0, 1.0)]),
    logit=st.sampled_from([(-1.0, 3.0), (-7.0, -4.0), (4.0, 9.0)]),
    behind=st.sampled_from([0.0, 0.3]),
    coincident=st.sampled_from([0.0, 0.5]),
)


def camera(rng: np.random.Generator, width: int, height: int) -> Camera:
    """A camera anywhere, with unequal focal lengths and the principal point off the centre."""
    focal = rng.uniform(0.6, 1.2, 2) * 40
    centre = np.array([width, height]) * rng.uniform(0.3, 0.7, 2)
    intrinsics = np.array([[focal[0], 0, centre[0]], [0, focal[1], centre[1]], [0, 0, 1.0]])
    pose = np.eye(4)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    pose[:3, :3] = rotation * np.sign(np.linalg.det(rotation))
    pose[:3, 3] = rng.uniform(-2, 2, 3)
    return Camera(intrinsics, pose, width, height)


def gaussians(recipe: Recipe, view: Camera, rng: np.random.Generator) -> list[Array]:
    """Five arrays whose numbers are exact in float32."""
    n = recipe.count
    depth = rng.uniform(0.3, 6, n) * np.where(rng.random(n) < recipe.behind, -1, 1)
    spread = 1.4 * np.array([view.width / view.intrinsics[0, 0], view.height / view.intrinsics[1, 1]])
    local = np.concatenate(
        [rng.uniform(-0.5, 0.5, (n, 2)) * spread * depth[:, None], depth[:, None]], axis=1
    )
    means = local @ view.world_from_camera[:3, :3].T + view.centre
    same = np.flatnonzero(rng.random(n) < recipe.coincident)
    means[same] = means[same[:1]]
    rows = (recipe.degree + 1) ** 2
    arrays = [
        means,
        rng.uniform(*recipe.log_scale, (n, 3)),
        rng.normal(size=(n, 4)),
        rng.uniform(*recipe.logit, n),
        rng.normal(size=(n, rows, 3)) * 0.4,
    ]
    return [array.astype(np.float32).astype(np.float64) for array in arrays]


def scene(recipe: Recipe) -> tuple[list[Array], Camera]:
    """The Gaussians and the camera of a recipe."""
    rng = np.random.default_rng(recipe.seed)
    view = camera(rng, recipe.width, recipe.height)
    return gaussians(recipe, view, rng), view


def parameters(arrays: list[Array], dtype: torch.dtype, grad: bool = True) -> GaussianParameters:
    """The arrays as tensors."""
    return GaussianParameters(*(torch.tensor(a, dtype=dtype, requires_grad=grad) for a in arrays))


@torch.no_grad()
def decided(exact: GaussianParameters, view: Camera, compensate: bool = False) -> tuple[Tensor, bool]:
    """Where float32 must come to the same decisions as float64.

    Returns:
        [H, W] bool, false where an alpha is within a part in 3,000 of a limit (1/255, 0.99) or a
        transmittance of its limit; and whether the depth order and the near plane are clear.
    """
    rows = reference.visible_rows(exact, view, exact.sh_degree, compensate)
    p = reference.project(exact, view, exact.sh_degree, compensate)
    depths = p.depths.sort().values
    gaps = depths.diff() / depths[1:].abs()
    clear = bool(((gaps == 0) | (gaps > 1e-5)).all() and ((p.depths - model.NEAR).abs() > 1e-3).all())
    p = reference.project(exact.select(rows), view, exact.sh_degree, compensate)
    p = reference.Projection(*(tensor[p.depths.argsort(stable=True)] for tensor in vars(p).values()))
    x, y = torch.meshgrid(torch.arange(view.width), torch.arange(view.height), indexing="xy")
    pixels = torch.stack([x, y], -1).reshape(-1, 2).double()
    offset = pixels[:, None] - p.means
    power = torch.einsum("pni,nij,pnj->pn", offset, p.covariances.inverse(), offset)
    raw = p.opacities * torch.exp(-0.5 * power)
    after = torch.cumprod(1 - reference.alphas(p, pixels), dim=1)
    doubtful = [(raw / limit - 1).abs() < 3e-4 for limit in (model.ALPHA_MIN, model.ALPHA_MAX)]
    doubtful.append((after / model.TRANSMITTANCE_MIN - 1).abs() < 3e-3)
    return ~torch.stack(doubtful).any(0).any(1).reshape(view.height, view.width), clear
