"""Levenberg-Marquardt over cameras and scales, with residuals reweighted at every step."""

from dataclasses import dataclass

import torch
from torch import Tensor

from reconx_ros.geometry.align.config import AlignmentConfig
from reconx_ros.geometry.align.normal_equations import Columns, normal_equations
from reconx_ros.geometry.align.observations import Observations
from reconx_ros.geometry.align.priors import Priors, prior_terms
from reconx_ros.geometry.align.state import Fit, Noise, State, fit, initial_noise, measured_noise

CONVERGED = 1e-5
"""Relative gain of a step below which the search ends."""

SAME_NOISE = 0.02
"""Relative change of the noise below which it has settled."""

NEGLIGIBLE = 1e-12
"""Of the largest entry of the normal equations."""

LEAST_DAMPING, MOST_DAMPING = 1e-9, 1e6


@dataclass(frozen=True, eq=False)
class Found:
    """Where the search ended.

    Attributes:
        fit: the best state, measured.
        noise: of the observations at that state.
        information: [n, n] H of all terms at that state.
    """

    fit: Fit
    noise: Noise
    information: Tensor


def objective(
    seen: Observations, state: State, priors: Priors, columns: Columns, noise: Noise, worth: float
) -> tuple[Fit, float]:
    """Return the fit at ``state`` and its loss with that of the priors."""
    found = fit(seen, state, noise, worth)
    return found, found.loss + prior_terms(priors, state, columns).loss


def search(
    seen: Observations, start: State, priors: Priors, columns: Columns, config: AlignmentConfig
) -> Found:
    """Improve ``start`` until a step gains nothing more.

    The scale of the residuals is not known beforehand: it is measured anew at every step and shrinks
    with them, so that far from the optimum a residual counts nearly squared, and at it robustly.
    """
    worth, damping = config.independent_samples, 1e-3
    rough = fit(seen, start, initial_noise(seen), worth)
    noise = measured_noise(seen, rough)
    found, loss = objective(seen, start, priors, columns, noise, worth)
    for _ in range(config.max_iterations):
        h, g = _equations(seen, found, priors, columns)
        better, damping = _improved(seen, found, loss, h, g, priors, columns, noise, worth, damping)
        gain = 0.0 if better is None else (loss - better[1]) / max(loss, 1e-12)
        if better is not None:
            found = better[0]
        last, noise = noise, measured_noise(seen, found)
        found, loss = objective(seen, found.state, priors, columns, noise, worth)
        settled = abs(noise.relative - last.relative) <= SAME_NOISE * last.relative
        if settled and gain < CONVERGED:
            break
    return Found(found, noise, _equations(seen, found, priors, columns)[0])


def _equations(seen: Observations, found: Fit, priors: Priors, columns: Columns) -> tuple[Tensor, Tensor]:
    h, g = normal_equations(seen, found, columns)
    prior = prior_terms(priors, found.state, columns)
    return h + prior.h, g + prior.g


def _improved(
    seen: Observations,
    found: Fit,
    loss: float,
    h: Tensor,
    g: Tensor,
    priors: Priors,
    columns: Columns,
    noise: Noise,
    worth: float,
    damping: float,
) -> tuple[tuple[Fit, float] | None, float]:
    """Try steps of growing damping; return the first that gains, and the damping to go on with."""
    if columns.count == 0:
        return None, damping
    while damping < MOST_DAMPING:
        step = _solve(h, g, damping)
        state = moved(found.state, step, columns)
        tried, reached = objective(seen, state, priors, columns, noise, worth)
        if reached < loss:
            return (tried, reached), max(damping / 5, LEAST_DAMPING)
        damping *= 10
    return None, 1e-3


def _solve(h: Tensor, g: Tensor, damping: float) -> Tensor:
    """Solve the damped equations; an unknown of which nothing is known stays."""
    diagonal = h.diagonal()
    lifted = h + torch.diag(damping * diagonal + NEGLIGIBLE * diagonal.max())
    factor, failed = torch.linalg.cholesky_ex(lifted)
    return torch.zeros_like(g) if int(failed) else torch.cholesky_solve(g[:, None], factor)[:, 0]


def moved(state: State, step: Tensor, columns: Columns) -> State:
    """Return ``state`` after ``step`` [n]; what is fixed stays."""
    padded = torch.cat([step, step.new_zeros(1)])
    return state.moved(padded[columns.pose], padded[columns.focal], padded[columns.scale])
