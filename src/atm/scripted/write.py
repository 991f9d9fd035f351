"""A data set of scripted motions on disk in HumanML3D's layout, made by all cores, the same whatever their number."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from atm.base.errors import InputError
from atm.base.progress import progress_bar
from atm.base.storage import appearing
from atm.data.humanml3d import MIN_FRAMES, TEST_SHARE, VAL_SHARE, Caption, write_text
from atm.data.pool import in_order
from atm.data.statistics import Moments
from atm.motion import HUMANML3D, features_from_joints, joints_from_features
from atm.motion.program import Program, Timeline
from atm.scripted.captions.captions import describe
from atm.scripted.motion.perform import perform_timed
from atm.scripted.sampling import HELD_OUT, MOST_ACTIONS, Combination, held_out, sample_program
from atm.text import tag_words

VERSION = 4
"""Goes up whenever the same seed gives other motions, captions or splits."""
CAPTIONS = 3
MOST_CLIPS = 1_000_000
"""Ids have six digits."""

_CHUNK = 25
_DRAWS = 100
# Streams of random numbers: one of each clip, and one of the splits.
_OF_CLIP, _OF_SPLITS = 0, 1


def write_scripted(
    out: Path | str,
    *,
    clips: int,
    seed: int,
    hold_out: Sequence[Combination] = HELD_OUT,
    actions: int = MOST_ACTIONS,
    jobs: int | None = None,
    progress: bool = True,
) -> Path:
    """Write a data set of scripted motions that every reader of HumanML3D takes.

    `new_joint_vecs/`, `new_joints/`, `texts/` (three captions each), `Mean.npy`, `Std.npy`, `train.txt` (80 %),
    `val.txt` (5 %), `test.txt` (15 %), `train_val.txt`, `all.txt`; and beside these `programs.json` (id -> what is
    done, and when), `test_held_out.txt` (the clips of test.txt with a combination that training never shows),
    `test_seen.txt` (its other clips) and `dataset.json` (what this folder is).

    The folder appears when it is complete. One that is there already is left as it is.

    Args:
        out: the folder to make.
        clips: how many motions, 20 to a million.
        seed: the same seed gives the same files, whatever `jobs`.
        hold_out: combinations that only the test split has; other ones change the splits alone, not the clips.
        actions: of a clip, at most, 1 to 4; another number than 4 makes other clips.
        jobs: processes; None: one for each core.
        progress: show a bar.

    Returns:
        The folder.

    Raises:
        InputError: a number out of range, or `out` holds something else.
    """
    out = Path(out)
    if not 20 <= clips <= MOST_CLIPS:
        raise InputError(f"clips = {clips}: expected 20 to {MOST_CLIPS:,}, so that each split has some")
    if seed < 0:
        raise InputError(f"seed = {seed}: expected a number from 0 up")
    if not 1 <= actions <= MOST_ACTIONS:
        raise InputError(f"actions = {actions}: expected 1 to {MOST_ACTIONS} for a clip")
    about = {
        "what": "scripted motions, made by formula; HumanML3D layout",
        "version": VERSION,
        "seed": seed,
        "clips": clips,
        "skeleton": HUMANML3D.name,
    }
    if actions != MOST_ACTIONS:
        about["actions"] = actions
    if tuple(hold_out) != HELD_OUT:
        about["held_out"] = list(hold_out)
    if _is_there(out, about):
        return out
    try:
        _write(out, about, clips, seed, hold_out, actions, jobs, progress)
    except InputError:
        if _is_there(out, about):  # another process was faster
            return out
        raise
    return out


def _write(
    out: Path,
    about: dict[str, Any],
    clips: int,
    seed: int,
    hold_out: Sequence[Combination],
    actions: int,
    jobs: int | None,
    progress: bool,
) -> None:
    with appearing(out) as folder:
        for name in ("new_joint_vecs", "new_joints", "texts"):
            (folder / name).mkdir()
        chunks = [range(start, min(start + _CHUNK, clips)) for start in range(0, clips, _CHUNK)]
        timelines: dict[str, Timeline] = {}
        moments = Moments.none(HUMANML3D.feature_width)
        parts = in_order(partial(_write_chunk, folder, seed, actions), chunks, jobs)
        with progress_bar(show=progress) as bar:
            task = bar.add_task("writing scripted motions", total=clips, note="")
            for part, chunk in zip(parts, chunks, strict=True):
                timelines |= part.timelines
                moments += part.moments
                bar.advance(task, len(chunk))
        moments.write(folder, HUMANML3D)
        held = {clip for clip, done in timelines.items() if held_out(_program(done), hold_out)}
        _write_splits(folder, list(timelines), held, np.random.default_rng([seed, _OF_SPLITS]))
        done = {clip: [timed.to_json() for timed in timeline] for clip, timeline in timelines.items()}
        _write_json(folder / "programs.json", done)
        _write_json(folder / "dataset.json", about)


def make_clip(seed: int, number: int, actions: int = MOST_ACTIONS) -> tuple[Timeline, np.ndarray, list[str]]:
    """Return clip `number` of a data set with so many actions at most: what it does when, its features (T, 263) and its
    captions."""
    rng = np.random.default_rng([seed, _OF_CLIP, number])
    least = MIN_FRAMES[HUMANML3D.feature_width]
    for _ in range(_DRAWS):
        program = sample_program(rng, actions)
        try:
            joints, timeline = perform_timed(program, rng)
            features = features_from_joints(joints, HUMANML3D).numpy()
        # Longer than a clip may be (the draw only guesses durations), or a pose without a defined rotation.
        except InputError:
            continue
        if len(features) >= least and np.isfinite(features).all():
            return timeline, features, describe(program, rng, CAPTIONS)
    raise ValueError(f"clip {number} of seed {seed}: none of {_DRAWS} programs fits a clip")


@dataclass(frozen=True)
class _Chunk:
    timelines: dict[str, Timeline]
    moments: Moments


def _write_chunk(folder: Path, seed: int, actions: int, numbers: range) -> _Chunk:
    timelines: dict[str, Timeline] = {}
    moments = Moments.none(HUMANML3D.feature_width)
    for number in numbers:
        timeline, features, captions = make_clip(seed, number, actions)
        clip = f"S{number:06d}"
        np.save(folder / "new_joint_vecs" / f"{clip}.npy", features)
        joints = joints_from_features(torch.from_numpy(features), HUMANML3D).numpy()
        np.save(folder / "new_joints" / f"{clip}.npy", joints)
        write_text(
            folder / "texts" / f"{clip}.txt", [Caption(caption, tuple(tag_words(caption))) for caption in captions]
        )
        timelines[clip] = timeline
        moments += Moments.of(features)
    return _Chunk(timelines, moments)


def _program(timeline: Timeline) -> Program:
    return Program(tuple(timed.action for timed in timeline))


def _write_splits(folder: Path, clips: list[str], held: set[str], rng: np.random.Generator) -> None:
    rest = [clip for clip in clips if clip not in held]
    rng.shuffle(rest)
    val = round(VAL_SHARE * len(clips))
    test = max(round(TEST_SHARE * len(clips)) - len(held), 1)
    splits = {
        "test": held | set(rest[:test]),
        "val": set(rest[test : test + val]),
        "train": set(rest[test + val :]),
        "train_val": set(rest[test:]),
        "all": set(clips),
        "test_held_out": held,
        "test_seen": set(rest[:test]),
    }
    for name, members in splits.items():
        lines = [f"{clip}\n" for clip in clips if clip in members]
        (folder / f"{name}.txt").write_text("".join(lines))


def _write_json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=1) + "\n")


def _is_there(out: Path, about: dict[str, Any]) -> bool:
    """Return whether the folder is this very data set; what else is there must not be overwritten."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    try:
        found = json.loads((out / "dataset.json").read_text())
    except (OSError, ValueError):
        raise InputError(f"{out} is not empty and no scripted data set: give a new folder") from None
    if found == about:
        return True
    differences = [
        f"{key} {found.get(key)} (not {about.get(key)})"
        for key in {**about, **found}
        if found.get(key) != about.get(key)
    ]
    raise InputError(f"{out} holds another scripted data set, with {', '.join(differences)}: give a new folder")
