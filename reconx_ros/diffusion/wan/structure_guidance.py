"""Classifier-free guidance apart for the structure, around an unchanged diffusers pipeline.

With t the prompt, S the structure tokens and ∅ their absence, the noise wanted is

    e(∅, ∅) + g (e(t, ∅) − e(∅, ∅)) + s (e(t, S) − e(t, ∅)).

The pipeline computes e_u + g (e_c − e_u) from one pass each. So its unconditional pass runs without
tokens, and its conditional pass gives

    e_c = e(t, ∅) + w (e(t, S) − e(t, ∅)),   w = s / g,

which is one pass where s = g, else two. Without guidance (g ≤ 1) there is only e_c, with w = s. Which
pass it is, the pipeline says through ``transformer.cache_context``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from torch import Tensor

from reconx_ros.diffusion.wan.structure_branch import StructureBranch

if TYPE_CHECKING:
    from diffusers import WanVACETransformer3DModel


CONDITIONAL = "cond"
REPLACED = ("forward", "cache_context")


def conditional_weight(guidance: float, structure: float | None) -> float:
    """Return w for guidance g and structure guidance s; s = g, or 1 without guidance, where not given."""
    prompt = guidance if guidance > 1 else 1.0
    return 1.0 if structure is None else structure / prompt


@contextmanager
def structure_guided(
    transformer: "WanVACETransformer3DModel", branch: StructureBranch, tokens: Tensor, weight: float
) -> Iterator[None]:
    """Let the conditional passes of ``transformer`` see ``tokens`` with weight w.

    Args:
        transformer: with ``branch`` installed.
        branch: its structure branch.
        tokens: [1, T, width].
        weight: w of ``conditional_weight``; 0 leaves the structure out.
    """
    plain, plain_context = transformer.forward, transformer.cache_context
    own = {name: vars(transformer)[name] for name in REPLACED if name in vars(transformer)}
    current = CONDITIONAL

    @contextmanager
    def named(name: str, **kwargs: object) -> Iterator[None]:
        nonlocal current
        current = name
        with plain_context(name, **kwargs):
            yield

    def forward(*args: object, **kwargs: object) -> tuple[Tensor]:
        if current != CONDITIONAL or weight == 0:
            return plain(*args, **kwargs)  # type: ignore[no-any-return]
        with branch.showing(tokens):
            (seen,) = plain(*args, **kwargs)
        if weight == 1:
            return (seen,)
        (blind,) = plain(*args, **kwargs)
        return (blind + weight * (seen - blind),)

    transformer.forward, transformer.cache_context = forward, named
    try:
        yield
    finally:
        for name in REPLACED:
            delattr(transformer, name)
        for name, value in own.items():
            setattr(transformer, name, value)
