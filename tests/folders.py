"""Tiny data folders in the HumanML3D or KIT layout, made on the fly."""

from pathlib import Path

import numpy as np

WORDS = ("walks", "runs", "jumps", "sits", "kicks", "waves", "turns", "bows")


def make_folder(path: Path, *, clips: int = 24, width: int = 263, frames: int = 60, seed: int = 0) -> Path:
    """Random features with captions that differ in a verb; splits of 3/4, 1/8, 1/8."""
    rng = np.random.default_rng(seed)
    for folder in ("new_joint_vecs", "texts"):
        (path / folder).mkdir(parents=True)
    ids = [f"{i:06d}" for i in range(clips)]
    for i, clip in enumerate(ids):
        features = rng.normal(size=(frames + 4 * (i % 3), width)).astype(np.float32)
        np.save(path / "new_joint_vecs" / f"{clip}.npy", features)
        verb = WORDS[i % len(WORDS)]
        lines = [f"a person {verb} {i}#a/DET person/NOUN {verb}/VERB#0.0#0.0", f"{verb} {i}#{verb}/VERB#0.0#nan"]
        (path / "texts" / f"{clip}.txt").write_text("\n".join(lines) + "\n")
    np.save(path / "Mean.npy", np.zeros(width, np.float32))
    np.save(path / "Std.npy", np.ones(width, np.float32))
    cuts = {"train": ids[: clips * 3 // 4], "val": ids[clips * 3 // 4 : clips * 7 // 8], "test": ids[clips * 7 // 8 :]}
    for split, names in cuts.items():
        (path / f"{split}.txt").write_text("\n".join(names) + "\n")
    return path
