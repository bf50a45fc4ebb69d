"""Who films: whoever films the run's own keyframes best, in holes, within a share of the time."""

from collections.abc import Sequence
from time import monotonic
from typing import Any

import numpy as np

from reconx_ros.diffusion.config import SynthesisConfig
from reconx_ros.diffusion.look import Look
from reconx_ros.diffusion.nobody import Nobody, Unfilmed
from reconx_ros.diffusion.protocol import NoSynthesis, Synthesizer
from reconx_ros.diffusion.trust import Trial, gain, left_out, look, mixed_gain
from reconx_ros.errors import MissingDependencyError, SynthesisError
from reconx_ros.progress import Progress, Until
from reconx_ros.structure.reference import Reference

FEWEST_PIXELS = 500
"""Pixels in holes from which the run's own keyframes correct the confidence."""

CONTEST_SHARE = 0.5
"""Of ``synthesis.seconds``, what the contest may take, all contenders alike; the rest is for filming."""

FAILURES = (SynthesisError, MissingDependencyError)
"""What a synthesizer raises that cannot be loaded or cannot film."""


def choose(
    running: Sequence[Synthesizer],
    references: Sequence[Reference],
    config: SynthesisConfig,
    progress: Progress,
    unfilmed: Unfilmed | None = None,
) -> tuple[Synthesizer, dict[str, Any]]:
    """Return who films, its confidence calibrated on ``references``, and the figures of the contest.

    Of ``auto`` nobody does where the map gets worse with the best mixed in, half and half: a finished map
    shows neither what it guessed itself nor the frames alone, and errors of two kinds partly cancel.

    Args:
        running: who may film; the last one learns nothing.
        references: the run's own views.
        config: how much is measured.
        progress: asked whether to stop.
        unfilmed: the map without filming; where not given, nobody is no contender.

    Raises:
        SynthesisError: all fail. Where some do, the report names them.
        MissingDependencyError: likewise.
    """
    if config.trust.keyframes == 0:
        return running[0], {"reason": "trusted without a contest: synthesis.trust.keyframes is 0"}
    if len(references) < 2:
        if config.method == "auto":
            return NoSynthesis(), {"reason": "one view: no prior can be measured on it"}
        return running[0], {"reason": "one view: the prior could not be measured on it"}
    nobody = Nobody(unfilmed) if unfilmed is not None and config.method == "auto" else None
    trials, without, failed = _tried(running, nobody, references, config, progress)
    left = [each for each in running if each.name in trials]
    found = [trials[each.name] for each in left]
    best = _best(found, config.trust.least_gain)
    contest = {name: _row(each, found[-1], without) for name, each in trials.items()}
    report = {"contest": contest, **({"failed": failed} if failed else {})}
    mixed = mixed_gain(found[best], without)
    if mixed is not None and mixed < 0:
        return NoSynthesis(), {**report, "reason": _harm(left[best].name, -mixed)}
    return _calibrated(left[best], found[best]), report


def _row(trial: Trial, fill: Trial, without: Trial) -> dict[str, float | int | None]:
    beside = {"over_none_db": gain(trial, without), "mixed_db": mixed_gain(trial, without)}
    return {**trial.json(), "gain_db": gain(trial, fill) or 0.0, **beside}


def _harm(name: str, worse: float) -> str:
    return f"the map is {worse:.2f} dB worse with {name} mixed in, in holes of left-out keyframes"


def _tried(
    running: Sequence[Synthesizer],
    nobody: Nobody | None,
    references: Sequence[Reference],
    config: SynthesisConfig,
    progress: Progress,
) -> tuple[dict[str, Trial], Trial, dict[str, str]]:
    """Let all film one keyframe after the other in time; return how, how nobody did, and who failed.

    Those that learn least, which are quickest, film each first.
    """
    within = Until(progress, monotonic() + CONTEST_SHARE * config.seconds, told=False)
    trials, without, failed = {each.name: Trial() for each in running}, Trial(), dict[str, str]()
    asked = left_out(len(references), config.trust.keyframes)
    for done, number in enumerate(asked):
        for contender in reversed([each for each in running if each.name in trials]):
            found = _looked(contender, references, number, within)
            if not isinstance(found, FAILURES):
                trials[contender.name].add(number, found)
            elif len(trials) == 1:
                raise found
            else:
                del trials[contender.name]
                failed[contender.name] = str(found)
        if nobody is not None:
            without.add(number, look(nobody, references, number, within))
        progress.update("contest", done + 1, len(asked))
    return trials, without, failed


def _looked(
    contender: Synthesizer, references: Sequence[Reference], number: int, progress: Progress
) -> Look | SynthesisError | MissingDependencyError | None:
    try:
        return look(contender, references, number, progress)
    except FAILURES as err:
        return err


def _best(trials: Sequence[Trial], least: float) -> int:
    """Return the best contender in holes; the last, which learns nothing, unless beaten by ``least`` dB."""
    gains = [gain(each, trials[-1]) or 0.0 for each in trials]
    best = int(np.argmax(gains))
    return best if gains[best] > least else len(trials) - 1


def _calibrated(chosen: Synthesizer, found: Trial) -> Synthesizer:
    if len(found.right) < FEWEST_PIXELS:
        return chosen
    return chosen.believed(found.confidence, found.right)
