"""Rotary position embedding in two dimensions: rows turn one half of a head, columns the other."""

import torch
from torch import Tensor

BASE = 100.0


def turns(rows: int, columns: int, head_width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return cosines and sines of the angles of every token of a ``rows`` x ``columns`` grid.

    With Q = head_width / 4 the angle of channel q < Q at place p is ``p * BASE ** (-q / Q)``. The first
    half of the head's channels turns with the row, the second with the column; within a half the channels
    q and q + Q make the pair that is turned.

    Returns:
        cosine and sine, each [rows * columns, 2, 1, Q] float32, tokens row by row.
    """
    quarter = head_width // 4
    rate = BASE ** (-torch.arange(quarter, device=device, dtype=torch.float32) / quarter)
    place = torch.cartesian_prod(torch.arange(rows, device=device), torch.arange(columns, device=device))
    angle = (place.float()[:, :, None] * rate)[:, :, None]
    return angle.cos(), angle.sin()


def rotated(x: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    """Turn queries or keys ``x`` [B, heads, N, width] by the angles of their N tokens (``turns``)."""
    cosine, sine = (part.to(x.dtype) for part in table)
    pairs = x.reshape(*x.shape[:-1], 2, 2, -1)
    across = torch.cat([-pairs[..., 1:, :], pairs[..., :1, :]], -2)
    return (pairs * cosine + across * sine).flatten(-3)
