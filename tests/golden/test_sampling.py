"""Entries, captions and crops of a data folder against the published data set class, seed for seed."""

import random
import re
from pathlib import Path

import numpy as np
import pytest

from atm.data.humanml3d import Item, by_length, open_dataset
from atm.evaluation.sampling import draw


def entries_of(file: dict[str, np.ndarray], folder: Path, features: int) -> list[Item]:
    """What the published class reads: clips, captions and a list of ids. The last name has no clip."""
    for name in ("new_joint_vecs", "texts"):
        (folder / name).mkdir()
    names = file["names"].tolist()
    for name, frames, text in zip(names[:-1], file["lengths"].tolist(), file["texts"].tolist(), strict=True):
        np.save(folder / "new_joint_vecs" / f"{name}.npy", np.zeros((frames, features), np.float32))
        (folder / "texts" / f"{name}.txt").write_text(text)
    np.save(folder / "Mean.npy", np.zeros(features))
    np.save(folder / "Std.npy", np.ones(features))
    (folder / "test.txt").write_text("\n".join(names))
    return by_length(open_dataset(folder, "test").items)


@pytest.mark.parametrize(("name", "features"), [("t2m", 263), ("kit", 251)])
def test_entries_and_draws_are_the_published_ones_seed_for_seed(golden, tmp_path, name, features):
    """There a part is named by a letter that is drawn, here by its frames."""
    z = golden("dataset_sampling.npz")
    entries = entries_of(z, tmp_path, features)
    for entry, theirs in zip(entries, z[f"{name}_order"].tolist(), strict=True):
        assert re.fullmatch(entry.clip if entry.id == entry.clip else f"[A-W]_{entry.clip}", theirs)
    assert [entry.frames for entry in entries] == z[f"{name}_entry_lengths"].tolist()

    seed = int(z[f"{name}_draw_seed"])
    rng, np_rng = random.Random(seed), np.random.RandomState(seed)
    for step, item in enumerate(z[f"{name}_draw_item"].tolist()):
        entry = entries[item]
        crop = draw(entry.frames, len(entry.captions), rng=rng, np_rng=np_rng)
        # The stored start frame is counted in the whole motion.
        assert (entry.first + crop.start, crop.frames) == (
            z[f"{name}_draw_start"][step],
            z[f"{name}_draw_length"][step],
        )
        assert entry.captions[crop.caption].text == z[f"{name}_draw_caption"][step]
        assert min(len(entry.captions[crop.caption].words), 20) + 2 == z[f"{name}_draw_sent_len"][step]
