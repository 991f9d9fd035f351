"""The losses once more, as the paper writes them: loops over Python numbers, knowing nothing of `atm`.

Every choice is an argument without a default, but for what `PAPER` holds.
"""

import math

PAPER = {
    "rule": "ratio", "count": 1, "floor": 1e-4, "distance": "cosine", "margin": None, "positive_rule": "ratio",
    "negative_rule": "ratio", "proxy_pairs": 1, "same_motion": False, "gamma": 0.8, "clip": 40, "shortest": 20,
}  # fmt: skip


def cosine(a: list[float], b: list[float]) -> float:
    dot, aa, bb = (sum(x * y for x, y in zip(u, v, strict=True)) for u, v in ((a, b), (a, a), (b, b)))
    return dot / math.sqrt(aa * bb)


def apart(a: list[float], b: list[float], distance: str) -> float:
    return 1 - cosine(a, b) if distance == "cosine" else math.dist(a, b)


def hinge(near: float, far: float, margin: float) -> float:
    return max(0.0, near - far + margin)


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def embedded(frames: list[list[float]], start: int, length: int) -> list[float]:
    """What `MeanFrameSpace` makes of a span of frames."""
    return [mean([frame[k] for frame in frames[start : start + length]]) for k in range(4)]


def score(rule: str, generated: float, real: float, floor: float) -> float:
    """Small for the pair that is most confused (table 7)."""
    return {"ratio": generated / max(real, floor), "numerator": generated, "denominator": -real}[rule]


def inter(text, generated, real, allowed, **changes) -> list[float]:
    """Each row's loss (eq. 2, 3). `allowed(i, j)`: motion j may be a negative of motion i."""
    o = PAPER | changes
    losses = []
    for i in range(len(text)):
        others = [j for j in range(len(text)) if j != i and allowed(i, j)]
        others.sort(key=lambda j: score(
            o["rule"], apart(generated[i], generated[j], o["distance"]), apart(real[i], real[j], o["distance"]),
            o["floor"],
        ))  # fmt: skip
        each = []
        for j in others[: o["count"]]:
            margin = o["margin"]
            if margin is None:
                margin = apart(text[i], real[j], o["distance"]) - apart(text[i], real[i], o["distance"])
            near, far = (apart(text[i], generated[k], o["distance"]) for k in (i, j))
            each.append(hinge(near, far, margin))
        losses.append(mean(each))
    return losses


def cut(length: int, clip: int, shortest: int) -> list[tuple[int, int]]:
    """Start and length of each clip."""
    starts = range(0, length, clip)
    return [(start, min(clip, length - start)) for start in starts if min(clip, length - start) >= shortest]


def intra(generated, real, lengths, takes_part=None, **changes) -> list[float]:
    """Each row's loss (eq. 4 to 7) from the frames of the motions."""
    o = PAPER | changes
    spans = [(i, *span) for i, length in enumerate(lengths) for span in cut(length, o["clip"], o["shortest"])]
    made, true = ([embedded(motions[i], start, length) for i, start, length in spans] for motions in (generated, real))

    def between(z, a, b):
        return apart(z[a], z[b], o["distance"])

    losses = []
    for i, length in enumerate(lengths):
        whole = cosine(embedded(generated[i], 0, length), embedded(real[i], 0, length))
        own = [k for k, span in enumerate(spans) if span[0] == i]
        if not own or whole >= o["gamma"] or not (takes_part is None or takes_part[i]):
            losses.append(0.0)
            continue
        a = max(own, key=lambda k: apart(made[k], true[k], o["distance"]))
        others = [k for k in range(len(spans)) if k != a and (k in own or not o["same_motion"])]

        def order(rule, k, a=a):
            return score(rule, between(made, a, k), between(true, a, k), o["floor"])

        positives = sorted(others, key=lambda k: -order(o["positive_rule"], k))[: o["proxy_pairs"]]
        negatives = sorted(others, key=lambda k: order(o["negative_rule"], k))[: o["proxy_pairs"]]
        each = []
        for p, n in zip(positives, negatives, strict=True):
            margin = between(true, a, n) - between(true, a, p) if o["margin"] is None else o["margin"]
            each.append(hinge(between(made, a, p), between(made, a, n), margin))
        losses.append(mean(each))
    return losses


def counterfactual(text, false, generated, real, *, distance="cosine", margin=None) -> list[float]:
    """Each row's loss; 0 where `false` is None."""
    losses = []
    for t, other, made, true in zip(text, false, generated, real, strict=True):
        if other is None:
            losses.append(0.0)
            continue
        phi = apart(other, true, distance) - apart(t, true, distance) if margin is None else margin
        losses.append(hinge(apart(t, made, distance), apart(other, made, distance), phi))
    return losses


def info_nce(text, generated, allowed, *, temperature: float) -> list[float]:
    losses = []
    for i in range(len(text)):
        scores = {j: cosine(text[i], generated[j]) / temperature for j in range(len(text)) if j == i or allowed(i, j)}
        losses.append(math.log(sum(map(math.exp, scores.values()))) - scores[i])
    return losses
