"""Few labels on real images: the queue, the calibration and the review do what they are for."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from emboscope.annotation.calibration import CalibrationSettings, calibrate
from emboscope.annotation.figures import annotation_figures
from emboscope.annotation.held_out import hold_out_labels
from emboscope.annotation.maps import MapSettings, tsne_maps
from emboscope.annotation.propagators import LQKNN, Spreading
from emboscope.annotation.quality import local_quality
from emboscope.annotation.queue import next_queries
from emboscope.annotation.review import review_queue
from emboscope.annotation.situation import Situation
from emboscope.annotation.soft_labels import (
    expected_calibration_error,
    fit_temperature,
    tempered,
)


@pytest.fixture(scope="module")
def digits():
    X, truth = load_digits(return_X_y=True)
    points = tsne_maps(X / 16, (MapSettings(),))[0]
    return X / 16, truth, points, local_quality(X / 16, points)


def random_labels(truth, n, seed):
    y = np.full(len(truth), -1)
    rows = np.random.default_rng(seed).choice(len(truth), n, replace=False)
    y[rows] = truth[rows]
    return y


def figures_of(digits, y):
    _, truth, points, quality = digits
    return annotation_figures(truth, y, LQKNN().fit(points, y, quality).transduction_)


def asked(digits, n, seed, batch=10):
    features, truth, points, quality = digits
    y = np.full(len(truth), -1)
    while (y >= 0).sum() < n:
        found = next_queries(Situation(features, points, y, quality), batch, random_state=seed)
        y[found.samples] = truth[found.samples]
    return y


def test_forty_chosen_labels_do_more_than_a_random_tenth(digits):
    random_tenth = [
        figures_of(digits, random_labels(digits[1], 180, s)).net_yield for s in range(5)
    ]
    forty = [figures_of(digits, asked(digits, 40, s)).net_yield for s in range(3)]
    sixty = [figures_of(digits, asked(digits, 60, s)).net_yield for s in range(3)]
    assert np.mean(forty) > np.mean(random_tenth)
    assert np.mean(sixty) > np.mean(random_tenth) + 0.015
    assert min(forty) > 0.96


def test_a_few_random_labels_calibrate_what_the_queue_chose(digits):
    features, truth, points, quality = digits
    settings = CalibrationSettings(ks=(10,), thresholds=(0.1,))
    expected, true, inside = [], [], []
    for seed in range(3):
        y = asked(digits, 40, seed, batch=20)
        chosen = calibrate(Situation(features, points, y, quality), settings).cells[0]
        judged = np.zeros(len(y), bool)
        judged[np.random.default_rng(seed).choice(np.flatnonzero(y < 0), 30, replace=False)] = True
        y[judged] = truth[judged]
        situation = Situation(features, points, y, quality)
        cell = calibrate(situation, settings, judged=judged).cells[0]
        error = 1 - figures_of(digits, y).accuracy
        expected.append(chosen.error)
        true.append(error)
        inside.append(cell.error_interval[0] <= error <= cell.error_interval[1])
    assert np.mean(expected) > 2 * np.mean(true)  # the bias that the documentation tells
    assert sum(inside) >= 2  # 98 % of many draws


def test_reviewing_the_worst_twentieth_halves_the_errors(digits):
    features, truth, points, quality = digits
    before = after = 0
    for seed in range(3):
        y = random_labels(truth, 180, seed)
        labels = LQKNN().fit(points, y, quality).transduction_
        queue = review_queue(features, labels, given=y >= 0).samples
        wrong = labels[queue] != truth[queue]
        before += wrong.sum()
        after += wrong[round(0.05 * len(queue)) :].sum()
    assert after < before / 2  # a random twentieth would leave 95 %


def test_the_temperature_mends_the_certainty_of_spread_labels(digits):
    features, truth, points, quality = digits
    y = random_labels(truth, 180, 0)
    model, situation = Spreading(), Situation(features, points, y, quality)
    held = hold_out_labels(situation, model)
    temperature = fit_temperature(held.distributions, truth[held.samples])
    soft = model.fit(points, y, quality, features=features).label_distributions_
    hidden = np.where(y < 0, truth, -1)
    before = expected_calibration_error(soft, hidden)
    assert expected_calibration_error(tempered(soft, temperature), hidden) < before / 2
