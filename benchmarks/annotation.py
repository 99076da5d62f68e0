"""Local quality and LQ-KNN at scale, beside scikit-learn's LabelSpreading, each in its own process.

    python benchmarks/annotation.py [N ...]        15000 70000 1000000 by default

Features are simulated: ten classes of three elongated clusters in 32 dimensions. The map is that of
the two directions in which clusters extend most, with the clusters laid out apart, so that it keeps
about as many neighborhoods as an embedding does at every size; 10 % of the labels are given.
Seconds include the search for neighbors. LabelSpreading has the same neighbors on the same map.
"""

import json
import resource
import subprocess
import sys
import time

import numpy as np

SIZES = (15_000, 70_000, 1_000_000)
LIMITS = {70_000: (30.0, 1.0), 1_000_000: (float("inf"), 4.0)}  # seconds, GB
LARGEST_PEER = 100_000


def blobs(n_samples, seed=0):
    """Features (n, 32), map (n, 2), labels of which 10 % are given, truth."""
    rng = np.random.default_rng(seed)
    cluster = rng.integers(0, 30, n_samples)
    centers = 6 * rng.standard_normal((30, 32))
    spread = 0.3 + rng.random((30, 32))
    inner = rng.standard_normal((n_samples, 32), dtype=np.float32)
    inner[:, 2:] *= 0.2 / np.sqrt(n_samples / 30)  # a fifth of the spacing along the two that show
    features = (centers[cluster] + spread[cluster] * inner).astype(np.float32)
    places = 4 * np.stack([np.arange(30) % 6, np.arange(30) // 6], axis=1)
    points = places[cluster] + (spread[cluster][:, :2] * inner[:, :2])
    truth = cluster % 10
    given = np.where(rng.random(n_samples) < 0.1, truth, -1)
    return features, points.astype(np.float64), given, truth


def lq_knn(n_samples):
    from emboscope.annotation.propagators import LQKNN
    from emboscope.annotation.quality import local_quality

    features, points, given, truth = blobs(n_samples)
    started = time.perf_counter()
    quality = local_quality(features, points)
    measured = time.perf_counter() - started
    labels = LQKNN().fit(points, given, quality).transduction_
    seconds = time.perf_counter() - started
    new = (given < 0) & (labels >= 0)
    return {
        "seconds": seconds,
        "quality_s": measured,
        "accuracy": float((labels[new] == truth[new]).mean()),
        "coverage": float(new.sum() / (given < 0).sum()),
        "mean_quality": float(quality.mean()),
    }


def label_spreading(n_samples):
    from sklearn.semi_supervised import LabelSpreading

    _, points, given, truth = blobs(n_samples)
    started = time.perf_counter()
    model = LabelSpreading(kernel="knn", n_neighbors=10, alpha=0.1, max_iter=60).fit(points, given)
    seconds = time.perf_counter() - started
    new = given < 0
    accuracy = float((model.transduction_[new] == truth[new]).mean())
    return {"seconds": seconds, "accuracy": accuracy, "coverage": 1.0}


TASKS = {"lq_knn": lq_knn, "label_spreading": label_spreading}


def measured(task, n_samples):
    """Figures and peak memory (GB) of one task in a process of its own."""
    command = [sys.executable, "-W", "ignore", __file__, "--task", task, str(n_samples)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None


def main(sizes):
    print("     N  local quality + LQ-KNN: s   of it quality   GB  accuracy  coverage"
          "   LabelSpreading: s  accuracy   ratio")  # fmt: skip
    failed = False
    for n_samples in sizes:
        own = measured("lq_knn", n_samples)
        if own is None:
            raise SystemExit(f"{n_samples}: failed; run it alone with --task lq_knn {n_samples}")
        peer = measured("label_spreading", n_samples) if n_samples <= LARGEST_PEER else None
        line = (f"{n_samples:8d} {own['seconds']:20.2f} {own['quality_s']:18.2f} {own['gb']:7.2f}"
                f" {100 * own['accuracy']:8.2f} {100 * own['coverage']:8.2f}")  # fmt: skip
        if peer:
            ratio = own["seconds"] / peer["seconds"]
            line += f" {peer['seconds']:16.2f} {100 * peer['accuracy']:12.2f} {ratio:8.2f}"
        print(line, flush=True)
        seconds, memory = LIMITS.get(n_samples, (float("inf"), float("inf")))
        failed |= own["seconds"] > seconds or own["gb"] > memory
    print(
        "failed: over a limit" if failed else "ok: 70,000 under 30 s and 1 GB, 1,000,000 under 4 GB"
    )
    raise SystemExit(failed)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--task"]:
        figures = TASKS[sys.argv[2]](int(sys.argv[3]))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(json.dumps({**figures, "gb": peak}))
    else:
        main([int(text) for text in sys.argv[1:]] or SIZES)
