"""AMASS archives as HumanML3D, as the published pipeline makes it.

Source: the data tools of Guo et al. 2022 (github.com/EricGuo5513/HumanML3D), whose index says which frames of which
recording are which clip.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float

from atm.base.errors import InputError
from atm.base.reading import read_arrays
from atm.curation.prepare.folder import Clip, Source, SourceRead, Summary, drawn_splits, write_folder
from atm.curation.prepare.records import MIRRORED, Fault, RecordEntry
from atm.curation.prepare.smplh import BETAS, JOINTS, find_body_model, load_body_model
from atm.data.humanml3d import read_split
from atm.motion import HUMANML3D

CUT_SECONDS = {
    "Eyes_Japan_Dataset": 3.0,
    "MPI_HDM05": 3.0,
    "TotalCapture": 1.0,
    "MPI_Limits": 1.0,
    "Transitions_mocap": 0.5,
}
"""Seconds that the published pipeline cuts from the start of recordings, by data set, before it counts frames."""
NEWER_NAMES = {
    "BioMotionLab_NTroje": "BMLrub",
    "DFaust_67": "DFaust",
    "Eyes_Japan_Dataset": "EyesJapanDataset",
    "MPI_HDM05": "HDM05",
    "MPI_Limits": "PosePrior",
    "MPI_mosh": "MoSh",
    "SSM_synced": "SSM",
    "TCD_handMocap": "TCDHands",
    "Transitions_mocap": "Transitions",
}
"""Folders of AMASS as the index names them, and as later downloads do."""
_NOT_AMASS = "humanact12"
MOST_FRAMES_A_SECOND = 100_000
"""No recording has so many."""
_RATES = ("mocap_framerate", "mocap_frame_rate")
_COLUMNS = ("source_path", "start_frame", "end_frame", "new_name")


@dataclass(frozen=True)
class _Row:
    """A line of the index, with its texts."""

    id: str
    start: int
    end: int
    text: str
    """Empty: there is none."""
    mirrored_text: str | None


def prepare_amass(
    folder: Path | str,
    out: Path | str,
    *,
    index: Path | str,
    texts: Path | str,
    body_models: Path | str,
    splits: Path | str | None = None,
    mirror: bool = True,
    seed: int = 0,
    jobs: int | None = None,
    progress: bool = True,
) -> Summary:
    """Write HumanML3D from AMASS archives.

    Frames by leaving out (every int(rate / 20)-th is kept), male or female body, ten shape parameters, cuts at the
    start of some data sets, frames of the index, axes turned, features, mirrored copies, statistics. HumanAct12 (which
    is joint positions already) is neither cut nor turned, as published. A second call goes on where the first stopped.

    Args:
        folder: the unpacked AMASS archives (SMPL+H G), and HumanML3D's `humanact12` beside them.
        out: the folder to make.
        index: HumanML3D's index.csv.
        texts: HumanML3D's unpacked texts; where a mirrored copy has none, the original's with swapped words.
        body_models: folder of the SMPL+H models, see `find_body_model`.
        splits: folder with train.txt, val.txt and test.txt; None: looked for beside texts and index, else drawn by
            recording.
        mirror: write mirrored copies, as published.
        seed: of drawn splits.
        jobs: processes; None: one for each core, as far as there are files enough.
        progress: show a bar.

    Raises:
        InputError: index, texts or body models cannot be read, `out` holds something else, or nothing could be made.
    """
    folder, out, index = Path(folder), Path(out), Path(index)
    texts, body_models = Path(texts), Path(body_models)
    for given in (folder, texts, body_models):
        if not given.is_dir():
            raise InputError(f"no folder at {given}")
    for gender in ("male", "female"):
        load_body_model(find_body_model(body_models, gender))
    sources, missing = _sources(folder, read_index(index, texts))
    if splits is None:
        lists = _split_folder([texts.parent, index.parent, index.parent / "HumanML3D"])
    else:
        lists = _split_folder([Path(splits)])
    if splits is not None and lists is None:
        raise InputError(f"{splits} has no train.txt, val.txt and test.txt")
    summary = write_folder(
        out,
        sources,
        partial(_read, body_models),
        what="HumanML3D, prepared from AMASS",
        options={},
        mirror=mirror,
        splits=partial(drawn_splits, seed=seed) if lists is None else partial(_listed_splits, lists, mirror),
        missing=missing,
        jobs=jobs,
        progress=progress,
    )
    drawn = f"no published splits beside {texts} or {index}: drawn by recording, seed {seed}"
    return replace(summary, notes=[drawn if lists is None else f"splits of {lists}"])


def cut_and_turn(
    joints: Float[np.ndarray, "T J 3"], source_path: str, start: int, end: int
) -> Float[np.ndarray, "N J 3"]:
    """Return the frames of a clip, with the body's left on its left.

    Args:
        joints: a recording at 20 frames per second with y and z exchanged, or HumanAct12's joints.
        source_path: as the index has it; tells the data set.
        start: first frame, counted after the cut.
        end: behind the last frame; negative ones count from the end, as the index has them.
    """
    if _NOT_AMASS in source_path:
        return joints
    cut = next((seconds for name, seconds in CUT_SECONDS.items() if name in source_path), 0.0)
    return joints[int(cut * HUMANML3D.fps) :][start:end] * [-1.0, 1.0, 1.0]


def joints_of_archive(file: Path, body_model: Callable[[str], Path]) -> Float[np.ndarray, "T 52 3"]:
    """Return a recording at 20 frames per second, in metres, y and z exchanged (which mirrors it).

    Args:
        file: an AMASS archive.
        body_model: from `male` or `female` to the model's file.

    Raises:
        InputError: not such an archive.
    """
    wanted = ("poses", "trans", "betas", "gender")
    try:
        archive = read_arrays(file)
        rate = next((float(archive[name]) for name in _RATES if name in archive), None)
        poses, root, betas, gender = (archive[name] for name in wanted) if rate else (None,) * 4
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(f"cannot be read as an AMASS archive of plain arrays: {error}") from None
    if not rate:
        raise InputError("has no frame rate: a file of shapes, not of motion")
    if not 0 < rate < MOST_FRAMES_A_SECOND:
        raise InputError(f"has {rate:g} frames per second, expected {HUMANML3D.fps:g} or more")
    stride = int(rate / HUMANML3D.fps)
    if stride < 1:
        raise InputError(f"has {rate:g} frames per second, expected {HUMANML3D.fps:g} or more")
    if poses.ndim != 2 or poses.shape[1] != 3 * JOINTS:
        raise InputError(
            f"has poses of shape {poses.shape}, expected (frames, {3 * JOINTS}): take the SMPL+H G download"
        )
    # Published: whoever is not called male gets the female body.
    model = load_body_model(body_model("male" if str(gender) == "male" else "female"))
    joints = model.pose(betas[:BETAS].astype(np.float64), poses[::stride].astype(np.float64), root[::stride])
    return joints[..., [0, 2, 1]]


def _read(body_models: Path, source: Source) -> SourceRead:
    path, rows = source.wanted
    if _NOT_AMASS in path:
        joints = read_arrays(source.file)
        if isinstance(joints, dict):
            raise InputError("is an archive of arrays, expected one array of joint positions")
        if joints.ndim != 3 or joints.shape[1] < HUMANML3D.n_joints or joints.shape[2] != 3:
            raise InputError(f"has shape {joints.shape}, expected joint positions of 22 joints or more")
    else:
        joints = joints_of_archive(source.file, partial(find_body_model, body_models))
    found: list[Clip | Fault] = []
    for row in rows:
        clip = cut_and_turn(joints, path, row.start, row.end)[:, : HUMANML3D.n_joints]
        if len(clip) < 2:
            found.append(Fault(row.id, f"{source.name} has {len(joints)} frames, none from {row.start} to {row.end}"))
            continue
        if not row.text:
            found.append(Fault(row.id, "has no text"))
            continue
        start, end = row.start / HUMANML3D.fps, (row.start + len(clip) - 1) / HUMANML3D.fps
        found.append(Clip(row.id, clip.astype(np.float64), row.text, start, end, row.mirrored_text))
    return SourceRead(found)


def read_index(index: Path, texts: Path) -> dict[str, list[_Row]]:
    """Return clips of each recording."""
    if not index.is_file():
        raise InputError(f"cannot read the index {index}: there is no such file")
    try:
        with index.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read the index {index}: {error}") from None
    if not rows or not set(_COLUMNS) <= set(rows[0]):
        raise InputError(f"{index} is not HumanML3D's index: expected the columns {','.join(_COLUMNS)}")
    found: dict[str, list[_Row]] = {}
    for number, row in enumerate(rows, start=2):
        try:
            name, start, end = PurePosixPath(row["new_name"]).stem, int(row["start_frame"]), int(row["end_frame"])
        except (TypeError, ValueError):
            raise InputError(f"{index}, line {number}: expected {','.join(_COLUMNS)}, got {row}") from None
        text, mirrored = _text(texts / f"{name}.txt"), _text(texts / f"{MIRRORED}{name}.txt")
        found.setdefault(row["source_path"], []).append(_Row(name, start, end, text or "", mirrored))
    return found


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8-sig") if file.is_file() else None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the text {file}: {error}") from None


def _sources(folder: Path, clips: dict[str, list[_Row]]) -> tuple[list[Source], list[Fault]]:
    sources, missing = [], []
    for path, rows in clips.items():
        file = _find(folder, path)
        if file is None:
            missing.append(Fault(path, f"no such recording in {folder}; clips {', '.join(row.id for row in rows)}"))
        else:
            sources.append(Source(name=path, file=file, wanted=(path, tuple(rows)), group=path))
    if not sources:
        raise InputError(
            f"none of the {len(clips)} recordings of the index is in {folder}, the first is {missing[0].where}"
        )
    return sources, missing


def _find(folder: Path, source_path: str) -> Path | None:
    """Return the archive of a recording, which the index names by the place of a file of joints."""
    parts = [part for part in PurePosixPath(source_path).parts if part not in (".", "pose_data")]
    if parts[0] == _NOT_AMASS:
        tried = [Path(*parts), Path(*parts[1:])]
    else:
        name = PurePosixPath(parts[-1]).stem + ".npz"
        sets = [parts[0], *([NEWER_NAMES[parts[0]]] if parts[0] in NEWER_NAMES else [])]
        # Later downloads have no spaces in names.
        plain = [part.replace(" ", "_") for part in (*parts[1:-1], name)]
        tried = [Path(first, *rest) for first in sets for rest in ((*parts[1:-1], name), plain)]
    return next((folder / path for path in tried if (folder / path).is_file()), None)


def _split_folder(places: list[Path]) -> Path | None:
    names = [f"{split}.txt" for split in ("train", "val", "test")]
    return next((place for place in places if all((place / name).is_file() for name in names)), None)


def _listed_splits(folder: Path, mirror: bool, entries: list[RecordEntry]) -> dict[str, list[str]]:
    """Return the published splits of what was written; what they do not list stays out of all of them."""
    written = {mark + entry.id for entry in entries for mark in ("", MIRRORED)[: 1 + mirror]}
    return {
        split: [clip for clip in read_split(folder, split) if clip in written] for split in ("train", "val", "test")
    }
