"""Entries, captions and crops against the published data set class, seed for seed."""

import random

import numpy as np
import pytest

from atm.evaluation.sampling import draw, published_entries


@pytest.mark.parametrize(("name", "minimum"), [("t2m", 40), ("kit", 24)])
def test_entries_and_draws_are_the_published_ones_seed_for_seed(golden, name, minimum):
    z = golden("dataset_sampling.npz")
    lines = [[line.split("#") for line in text.splitlines()] for text in z["texts"].tolist()]
    times = [[(float(parts[2]), float(parts[3])) for parts in motion] for motion in lines]
    # The last name has no file: the published code passes over it.
    motions = list(zip(z["names"].tolist()[:-1], z["lengths"].tolist(), times, strict=True))

    entries = published_entries(motions, minimum=minimum, rng=random.Random(int(z[f"{name}_seed"])))
    assert [entry.name for entry in entries] == z[f"{name}_order"].tolist()
    assert [entry.frames for entry in entries] == z[f"{name}_entry_lengths"].tolist()

    seed = int(z[f"{name}_draw_seed"])
    rng, np_rng = random.Random(seed), np.random.RandomState(seed)
    text_of = dict(zip((motion[0] for motion in motions), lines, strict=True))
    for step, item in enumerate(z[f"{name}_draw_item"].tolist()):
        entry = entries[item]
        crop = draw(entry.frames, len(entry.captions), rng=rng, np_rng=np_rng)
        caption = text_of[entry.motion][entry.captions[crop.caption]][0]
        # The stored start frame is counted in the whole motion.
        assert (entry.start + crop.start, crop.frames) == (
            z[f"{name}_draw_start"][step],
            z[f"{name}_draw_length"][step],
        )
        assert caption == z[f"{name}_draw_caption"][step]
