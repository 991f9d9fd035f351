"""Costs of R-Precision and FID, beside the usual NumPy forms."""

import numpy as np

from atm.apps.bench.measure import Comparison, measure
from atm.apps.bench.published import plain_fid, plain_r_precision
from atm.apps.bench.steps import rounds_of
from atm.evaluation.metrics import fid, r_precision

MOTIONS, WIDTH = 4384, 512
"""HumanML3D's test split, in the evaluator's space."""
QUICK_MOTIONS, QUICK_WIDTH = 128, 16


def bench_evaluate(*, quick: bool, show: bool) -> list[Comparison]:
    """Compare both metrics on embeddings drawn at random."""
    motions, width = (QUICK_MOTIONS, QUICK_WIDTH) if quick else (MOTIONS, WIDTH)
    rng = np.random.default_rng(0)
    text = rng.standard_normal((motions, width), dtype=np.float32)
    motion = (text + rng.standard_normal((motions, width), dtype=np.float32)).astype(np.float32)
    size = f"{motions:,} motions, {width} numbers each"
    found = []
    for name, plain, ours in (("R-Precision", plain_r_precision, r_precision), ("FID", plain_fid, fid)):
        forms = {"the usual NumPy form": plain, "ours": ours}
        sides = {side: lambda _, form=form: form(text, motion) for side, form in forms.items()}
        found.append(measure(f"{name} of {size}", sides, rounds=rounds_of(quick), show=show))
    return found
