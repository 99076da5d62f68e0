"""Losses of one row, written as their definitions: from probabilities, class by class."""

import math


def softmax(logits):
    """Probabilities of one row."""
    powers = [math.exp(z - max(logits)) for z in logits]
    return [power / sum(powers) for power in powers]


def smooth(p, share):
    """(1 - share) P + share / K."""
    return [(1 - share) * value + share / len(p) for value in p]


def kl(p, q):
    """KL(P || Q); 0 log 0 is 0."""
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def ce(p, q):
    return -sum(a * math.log(b) for a, b in zip(p, q, strict=True))


def gce(p, q, power=0.7):
    return sum(a * (1 - b**power) / power for a, b in zip(p, q, strict=True))


def forward(p, q, rate=0.1):
    """Symmetric noise: a class keeps 1 - rate, the others share the rest alike."""
    n = len(q)
    noisy = [
        sum(q[i] * (1 - rate if i == j else rate / (n - 1)) for i in range(n)) for j in range(n)
    ]
    return ce(p, noisy)


def sym_ce(p, q, a=0.1, b=1.0, log_zero=-4.0):
    logs = [max(math.log(value), log_zero) if value > 0 else log_zero for value in p]
    return a * ce(p, q) - b * sum(y * log for y, log in zip(q, logs, strict=True))


def jsd(p, q):
    middle = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    return kl(p, middle) / 2 + kl(q, middle) / 2


def geo_jsd(p, q, alpha=0.5, beta=1.0, gamma=1.0):
    return alpha * (1 - alpha) * (beta * kl(p, q) + gamma * kl(q, p))


def geometric_mean(p, q, alpha):
    return [a ** (1 - alpha) * b**alpha for a, b in zip(p, q, strict=True)]


def geo_jsd_about_mean(p, q, alpha):
    """The extended form by its definition, about the mean that does not sum to 1."""
    mean = geometric_mean(p, q, alpha)
    return (1 - alpha) * kl(p, mean) + alpha * kl(q, mean)


def geo_jsd_normalized(p, q, alpha=0.5):
    mean = geometric_mean(p, q, alpha)
    mean = [value / sum(mean) for value in mean]
    return (1 - alpha) * kl(p, mean) + alpha * kl(q, mean)


LOSSES = {
    "ce": ce,
    "soft_ce": ce,
    "gce": gce,
    "forward": forward,
    "sym_ce": sym_ce,
    "jsd": jsd,
    "geo_jsd": geo_jsd,
    "geo_jsd_normalized": geo_jsd_normalized,
}
SMOOTHING = {"geo_jsd": 1e-3, "geo_jsd_normalized": 0.05}
LINEAR = {"ce", "soft_ce", "gce", "forward"}  # class weights multiply their terms


def each(name, p, logits, class_weights):
    """Loss of one row by name, with class weights."""
    p, q = smooth(p, SMOOTHING.get(name, 0.0)), softmax(logits)
    weighted = [a * w for a, w in zip(p, class_weights, strict=True)]
    if name in LINEAR:
        return LOSSES[name](weighted, q)
    return LOSSES[name](p, q) * sum(weighted)


def mean(name, rows, logits, class_weights):
    """Over known rows; cross-entropy divides by their weight, the others by their number."""
    known = [(p, z) for p, z in zip(rows, logits, strict=True) if not math.isnan(p[0])]
    total = sum(each(name, p, z, class_weights) for p, z in known)
    if name in {"ce", "soft_ce"}:
        return total / sum(a * w for p, _ in known for a, w in zip(p, class_weights, strict=True))
    return total / len(known)
