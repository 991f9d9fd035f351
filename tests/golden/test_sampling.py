"""Entries, captions and crops of a data folder against the published data set class, seed for seed."""

import random
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from atm.data.humanml3d import Item, by_length, open_dataset
from atm.evaluation.sampling import draw


def entries_of(file: Mapping[str, np.ndarray], folder: Path, features: int) -> list[Item]:
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
    file = golden("dataset_sampling.npz")
    entries = entries_of(file, tmp_path, features)
    for entry, theirs in zip(entries, file[f"{name}_order"].tolist(), strict=True):
        assert re.fullmatch(entry.clip if entry.id == entry.clip else f"[A-W]_{entry.clip}", theirs)
    file.same(f"{name}_entry_lengths", [entry.frames for entry in entries])

    seed = int(file[f"{name}_draw_seed"])
    rng, np_rng = random.Random(seed), np.random.RandomState(seed)
    drawn = []
    for item in file[f"{name}_draw_item"].tolist():
        crop = draw(entries[item].frames, len(entries[item].captions), rng=rng, np_rng=np_rng)
        drawn.append((entries[item], crop, entries[item].captions[crop.caption]))
    # The stored start frame is counted in the whole motion.
    file.same(f"{name}_draw_start", [entry.first + crop.start for entry, crop, _ in drawn])
    file.same(f"{name}_draw_length", [crop.frames for _, crop, _ in drawn])
    file.same(f"{name}_draw_caption", [caption.text for _, _, caption in drawn])
    file.same(f"{name}_draw_sent_len", [min(len(caption.words), 20) + 2 for _, _, caption in drawn])
