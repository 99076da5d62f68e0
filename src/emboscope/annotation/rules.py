"""Weak rules: what the measures of an event say of its class, before anyone has looked at it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat
from scipy.special import logit

from emboscope.errors import DataError
from emboscope.registry import Registry
from emboscope.settings import Settings

Measures = Mapping[str, np.ndarray]  # name: shape (n_events,), NaN is unknown


class RuleSettings(Settings):
    """The limits of the rules. Every default stands here and nowhere else."""

    maximum_s: PositiveFloat = 0.3
    minimum_db: PositiveFloat = 3.0
    symmetric_db: PositiveFloat = 3.0  # of direction: less is symmetric about zero
    expected_accuracy: float = Field(default=0.7, gt=0, lt=1)  # of a rule before labels tell
    imagined_labels: NonNegativeFloat = 4.0  # how many labels that expectation weighs


@dataclass(frozen=True)
class Rule:
    """A rule votes for a set of classes where it applies, and abstains elsewhere.

    Attributes
    ----------
    applies : callable
        Measures and settings in, ndarray of bool, shape (n_events,), out. Comparisons with NaN are
        False: of an unknown measure a rule says nothing.
    classes : tuple of str
        One of them is meant.
    """

    applies: Callable[[Measures, RuleSettings], np.ndarray]
    classes: tuple[str, ...]


DEFAULTS = RuleSettings()
RULES: Registry[Rule] = Registry("rule")


def _too_long(measures: Measures, settings: RuleSettings) -> np.ndarray:
    return measures["duration_s"] >= settings.maximum_s


def _too_weak(measures: Measures, settings: RuleSettings) -> np.ndarray:
    return measures["hbr_db"] < settings.minimum_db


def _symmetric(measures: Measures, settings: RuleSettings) -> np.ndarray:
    return measures["direction_db"] < settings.symmetric_db


def _embolic(measures: Measures, settings: RuleSettings) -> np.ndarray:
    short = measures["duration_s"] < settings.maximum_s
    intense = measures["hbr_db"] >= settings.minimum_db
    return short & intense & (measures["direction_db"] >= settings.symmetric_db)


RULES["too_long"] = Rule(_too_long, ("artifact",))
RULES["too_weak"] = Rule(_too_weak, ("artifact",))
RULES["symmetric"] = Rule(_symmetric, ("artifact",))
RULES["embolic"] = Rule(_embolic, ("gaseous", "solid"))


@dataclass(frozen=True)
class RuleVotes:
    """Where each rule speaks, and for which classes.

    Attributes
    ----------
    names : tuple of str
    fired : ndarray of bool, shape (n_events, n_rules)
    meant : ndarray of bool, shape (n_rules, n_classes)
    """

    names: tuple[str, ...]
    fired: np.ndarray
    meant: np.ndarray


@dataclass(frozen=True)
class RuleQuality:
    """How often each rule is right, from labeled events.

    Attributes
    ----------
    names : tuple of str
    accuracy : ndarray, shape (n_rules,)
        (right + a·m) / (fired + m), a and m the expectation and its weight of `RuleSettings`: with
        no labels the expectation, with many the share that is right.
    n_fired : ndarray of int64, shape (n_rules,)
        Labeled events it rests on.
    coverage : ndarray, shape (n_rules,)
        Share of all events on which the rule speaks.
    """

    names: tuple[str, ...]
    accuracy: np.ndarray
    n_fired: np.ndarray
    coverage: np.ndarray


def rule_votes(
    measures: Measures,
    classes: Sequence[str] = ("artifact", "gaseous", "solid"),
    settings: RuleSettings = DEFAULTS,
) -> RuleVotes:
    """What every rule of `RULES` says of every event.

    Parameters
    ----------
    measures : mapping of str to ndarray, each of shape (n_events,)
        `duration_s`, in seconds; `hbr_db`, the HITS-to-blood ratio, and `direction_db`, energy
        along the flow over energy against it, in dB. NaN is unknown.
    classes : sequence of str
        In the order of the columns of the soft labels.

    Raises
    ------
    DataError
        If a measure is missing, or lengths differ, or a rule's class is none of `classes`.

    References
    ----------
    .. [1] Consensus Committee of the Ninth International Cerebral Hemodynamic Symposium (1995).
       Basic identification criteria of Doppler microembolic signals. Stroke, 26:1123.
    """
    measures = _checked(measures)
    fired = np.stack([rule.applies(measures, settings) for rule in RULES.values()], axis=1)
    unknown = {name for rule in RULES.values() for name in rule.classes} - set(classes)
    if unknown:
        raise DataError(
            f"rules: class '{min(unknown)}' is none of {', '.join(classes)}; expected all classes "
            "that rules vote for. Name the columns of the soft labels."
        )
    meant = np.array([[name in rule.classes for name in classes] for rule in RULES.values()])
    return RuleVotes(tuple(RULES), fired, meant)


def rule_quality(votes: RuleVotes, y: np.ndarray, settings: RuleSettings = DEFAULTS) -> RuleQuality:
    """How often each rule is right on the labeled events.

    Parameters
    ----------
    votes : RuleVotes
    y : ndarray of int, shape (n_events,)
        Labels; -1 is unlabeled.
    """
    y = np.asarray(y)
    if y.shape != (len(votes.fired),) or y.max(initial=-1) >= votes.meant.shape[1]:
        raise DataError(
            f"labels: shape {y.shape}, up to {y.max(initial=-1)}; expected one of "
            f"{votes.meant.shape[1]} classes for each of {len(votes.fired)} events, -1 for none. "
            "Give the labels of the same events."
        )
    counted = votes.fired & (y >= 0)[:, None]
    right = counted & votes.meant.T[y]
    n_fired = counted.sum(axis=0)
    imagined = settings.imagined_labels
    known = np.maximum(n_fired + imagined, np.finfo(float).tiny)
    accuracy = (right.sum(axis=0) + settings.expected_accuracy * imagined) / known
    accuracy[n_fired + imagined == 0] = settings.expected_accuracy
    return RuleQuality(votes.names, accuracy, n_fired, votes.fired.mean(axis=0))


def weak_labels(
    votes: RuleVotes, accuracy: np.ndarray, priors: np.ndarray | None = None
) -> np.ndarray:
    """Soft labels by a weighted vote that abstains: priors for `soft_labels.weigh_by_prior`.

    A rule of accuracy a, whose classes have the prior π together, adds log(a / (1 - a)) less
    log(π / (1 - π)) to each of them; the sum, with the logarithm of the priors, is normalized. So a
    rule that speaks alone gives its classes a in all. Rules are taken as independent, which those
    on one event are not: several that agree come out surer than they are. Never a label by itself.

    Parameters
    ----------
    votes : RuleVotes
    accuracy : ndarray, shape (n_rules,)
        From `rule_quality`; cut to [0.01, 0.99].
    priors : ndarray, shape (n_classes,), optional
        Shares of the classes; equal without them.

    Returns
    -------
    distributions : ndarray, shape (n_events, n_classes)
        NaN where no rule speaks.
    """
    n_classes = votes.meant.shape[1]
    accuracy = np.asarray(accuracy, dtype=np.float64)
    if accuracy.shape != (len(votes.names),) or not np.isfinite(accuracy).all():
        raise DataError(
            f"accuracy: shape {accuracy.shape}, or not finite; expected one number for each of "
            f"{len(votes.names)} rules. Take it from rule_quality."
        )
    shares = np.full(n_classes, 1 / n_classes) if priors is None else np.asarray(priors, float)
    if shares.shape != (n_classes,) or not (shares > 0).all():
        raise DataError(
            f"priors: {shares.tolist()}; expected {n_classes} positive shares. Leave them out for "
            "equal ones."
        )
    prior = votes.meant @ (shares / shares.sum())
    weight = logit(accuracy.clip(0.01, 0.99)) - logit(prior.clip(0.01, 0.99))
    odds = np.exp(votes.fired @ (weight[:, None] * votes.meant)) * shares
    distributions = odds / odds.sum(axis=1, keepdims=True)
    distributions[~votes.fired.any(axis=1)] = np.nan
    return distributions


def _checked(measures: Measures) -> dict[str, np.ndarray]:
    """The three measures as float64, or a refusal."""
    names = ("duration_s", "hbr_db", "direction_db")
    missing = [name for name in names if name not in measures]
    if missing:
        raise DataError(
            f"measures: {missing[0]} is missing; expected {', '.join(names)}. Read them from the "
            "events."
        )
    arrays = {name: np.asarray(measures[name], dtype=np.float64) for name in names}
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) > 1 or len(shapes.pop()) != 1:
        raise DataError(
            "measures: arrays of different shapes; expected (n_events,) for each. Give the "
            "measures of the same events."
        )
    return arrays
