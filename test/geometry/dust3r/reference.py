"""DUSt3R from its equations in plain numpy loops; takes a state dict by the checkpoints' keys."""

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
Weights = dict[str, Array]


def linear(w: Weights, name: str, x: Array) -> Array:
    return x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0.0)


def norm(w: Weights, name: str, x: Array) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6)
    return centred / deviation * w[f"{name}.weight"] + w[f"{name}.bias"]


def gelu(x: Array) -> Array:
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def rope(x: Array, columns: int) -> Array:
    """Turn [N, 64] channel by channel: y by the first 32, x by the last 32."""
    out = np.empty_like(x)
    frequencies = 100.0 ** (-np.arange(0, 32, 2) / 32)
    for token in range(len(x)):
        for half, place in enumerate(divmod(token, columns)):
            for q in range(16):
                angle = place * frequencies[q]
                a, b = x[token, 32 * half + q], x[token, 32 * half + 16 + q]
                out[token, 32 * half + q] = a * math.cos(angle) - b * math.sin(angle)
                out[token, 32 * half + 16 + q] = b * math.cos(angle) + a * math.sin(angle)
    return out


def attend(q: Array, k: Array, v: Array, columns: tuple[int, int]) -> Array:
    out = np.empty_like(q)
    for start in range(0, q.shape[1], 64):
        part = slice(start, start + 64)
        score = rope(q[:, part], columns[0]) @ rope(k[:, part], columns[1]).T / 8.0
        share = np.exp(score - score.max(1, keepdims=True))
        out[:, part] = share / share.sum(1, keepdims=True) @ v[:, part]
    return out


def self_attention(w: Weights, name: str, x: Array, columns: int) -> Array:
    q, k, v = np.split(linear(w, f"{name}.qkv", x), 3, axis=1)
    return linear(w, f"{name}.proj", attend(q, k, v, (columns, columns)))


def cross_attention(w: Weights, name: str, x: Array, y: Array, columns: tuple[int, int]) -> Array:
    q, k, v = (linear(w, f"{name}.proj{n}", z) for n, z in (("q", x), ("k", y), ("v", y)))
    return linear(w, f"{name}.proj", attend(q, k, v, columns))


def mlp(w: Weights, name: str, x: Array) -> Array:
    return linear(w, f"{name}.fc2", gelu(linear(w, f"{name}.fc1", x)))


def encode(w: Weights, image: Array) -> Array:
    """Encode [3, H, W] to tokens [N, width]."""
    kernel = w["patch_embed.proj.weight"]
    size = kernel.shape[-1]
    rows, columns = image.shape[1] // size, image.shape[2] // size
    x = np.stack(
        [
            (kernel * image[:, size * r : size * (r + 1), size * c : size * (c + 1)]).sum((1, 2, 3))
            for r in range(rows)
            for c in range(columns)
        ]
    )
    x = x + w["patch_embed.proj.bias"]
    for n in range(_depth(w, "enc_blocks")):
        b = f"enc_blocks.{n}"
        x = x + self_attention(w, f"{b}.attn", norm(w, f"{b}.norm1", x), columns)
        x = x + mlp(w, f"{b}.mlp", norm(w, f"{b}.norm2", x))
    return norm(w, "enc_norm", x)


def decode(w: Weights, encoded: tuple[Array, Array], columns: tuple[int, int]) -> list[list[Array]]:
    kept = [[encoded[0]], [encoded[1]]]
    x = [linear(w, "decoder_embed", e) for e in encoded]
    depth = _depth(w, "dec_blocks")
    for n in range(depth):
        before = list(x)
        for view, stem in enumerate(("dec_blocks", "dec_blocks2")):
            b, mine, other = f"{stem}.{n}", before[view], before[1 - view]
            order = (columns[view], columns[1 - view])
            mine = mine + self_attention(w, f"{b}.attn", norm(w, f"{b}.norm1", mine), order[0])
            seen = norm(w, f"{b}.norm_y", other)
            mine = mine + cross_attention(w, f"{b}.cross_attn", norm(w, f"{b}.norm2", mine), seen, order)
            x[view] = mine + mlp(w, f"{b}.mlp", norm(w, f"{b}.norm3", mine))
            kept[view].append(norm(w, "dec_norm", x[view]) if n == depth - 1 else x[view])
    return kept


def linear_head(w: Weights, name: str, tokens: list[Array], grid: tuple[int, int]) -> Array:
    """[4, H, W] of a patch of 16."""
    flat = linear(w, f"{name}.proj", tokens[-1])
    out = np.empty((4, 16 * grid[0], 16 * grid[1]))
    for token, values in enumerate(flat):
        r, c = divmod(token, grid[1])
        out[:, 16 * r : 16 * r + 16, 16 * c : 16 * c + 16] = values.reshape(4, 16, 16)
    return out


def conv(w: Weights, name: str, x: Array, stride: int = 1) -> Array:
    kernel = w[f"{name}.weight"]
    size = kernel.shape[-1]
    pad = size // 2
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    rows = (padded.shape[1] - size) // stride + 1
    columns = (padded.shape[2] - size) // stride + 1
    out = np.empty((len(kernel), rows, columns))
    for r in range(rows):
        for c in range(columns):
            window = padded[:, stride * r : stride * r + size, stride * c : stride * c + size]
            out[:, r, c] = (kernel * window).sum((1, 2, 3))
    return out + np.reshape(w.get(f"{name}.bias", np.zeros(len(kernel))), (-1, 1, 1))


def spread(w: Weights, name: str, x: Array) -> Array:
    """A transposed convolution whose stride is its size."""
    kernel = w[f"{name}.weight"]
    size = kernel.shape[-1]
    out = np.empty((kernel.shape[1], x.shape[1] * size, x.shape[2] * size))
    for r in range(x.shape[1]):
        for c in range(x.shape[2]):
            patch = (x[:, r, c, None, None, None] * kernel).sum(0)
            out[:, size * r : size * r + size, size * c : size * c + size] = patch
    return out + w[f"{name}.bias"][:, None, None]


def doubled(x: Array) -> Array:
    """Bilinear to twice the size, corners on corners."""
    for axis in (1, 2):
        length = x.shape[axis]
        at = np.arange(2 * length) * (length - 1) / (2 * length - 1)
        low = np.minimum(at.astype(int), length - 1)
        high = np.minimum(low + 1, length - 1)
        shape = [1, 1, 1]
        shape[axis] = -1
        share = (at - low).reshape(shape)
        x = x.take(low, axis) * (1 - share) + x.take(high, axis) * share
    return x


def dpt_head(w: Weights, name: str, tokens: list[Array], grid: tuple[int, int]) -> Array:
    depth = len(tokens) - 1
    maps = [tokens[i].T.reshape(-1, *grid) for i in (0, depth // 2, depth * 3 // 4, depth)]
    post = f"{name}.dpt.act_postprocess"
    maps = [conv(w, f"{post}.{i}.0", m) for i, m in enumerate(maps)]
    maps[0] = spread(w, f"{post}.0.1", maps[0])
    maps[1] = spread(w, f"{post}.1.1", maps[1])
    maps[3] = conv(w, f"{post}.3.1", maps[3], 2)
    scratch = f"{name}.dpt.scratch"
    layers = [conv(w, f"{scratch}.layer{i + 1}_rn", m) for i, m in enumerate(maps)]

    def residual(unit: str, x: Array) -> Array:
        inner = conv(w, f"{unit}.conv1", np.maximum(x, 0))
        return x + conv(w, f"{unit}.conv2", np.maximum(inner, 0))

    path = np.zeros_like(layers[3])
    for number in (4, 3, 2, 1):
        net = f"{scratch}.refinenet{number}"
        layer = layers[number - 1]
        path = layer if number == 4 else path + residual(f"{net}.resConfUnit1", layer)
        path = conv(w, f"{net}.out_conv", doubled(residual(f"{net}.resConfUnit2", path)))
        if number == 4:
            path = path[:, : layers[2].shape[1], : layers[2].shape[2]]
    head = f"{name}.dpt.head"
    path = doubled(conv(w, f"{head}.0", path))
    return conv(w, f"{head}.4", np.maximum(conv(w, f"{head}.2", path), 0))


def outputs(channels: Array) -> tuple[Array, Array]:
    """Points [H, W, 3] and confidence [H, W]."""
    points = np.empty((*channels.shape[1:], 3))
    for r, c in np.ndindex(*channels.shape[1:]):
        vector = channels[:3, r, c]
        distance = math.sqrt(float(vector @ vector))
        points[r, c] = vector / distance * (math.exp(distance) - 1)
    return points, 1 + np.exp(channels[3])


def _depth(w: Weights, stem: str) -> int:
    return 1 + max(int(key.split(".")[1]) for key in w if key.startswith(f"{stem}."))
