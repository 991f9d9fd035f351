"""A repaired copy of a data folder: what can be used, mended; what cannot, named."""

import csv
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from atm.base.errors import InputError
from atm.base.progress import progress
from atm.base.storage import appearing
from atm.curation.check.captions import Line, mended
from atm.curation.check.findings import Finding, FolderReport
from atm.curation.check.folder import check_folder, programs_findings, report_of, verdict_of
from atm.curation.check.likeness import family
from atm.curation.check.scan import SPLITS, Scan, scan_folder
from atm.curation.check.splits import leaks
from atm.curation.check.statistics import PUBLISHED
from atm.data.humanml3d import TEST_SHARE, VAL_SHARE, Caption, write_text
from atm.data.layout import CLIPS, JOINTS, MEAN, STD, TEXTS
from atm.data.statistics import Moments
from atm.data.store import read_clip
from atm.motion import joints_from_features

DROPPED = "dropped.csv"
"""In the copy: everything that was left out, and why."""
_BEYOND_REPAIR = ("frame_rate", "clips_normalised")


@dataclass(frozen=True)
class Plan:
    """Contents of the repaired copy."""

    lines: dict[str, list[Line]]
    """Caption lines of each clip that is kept."""
    listed: dict[str, list[str]]
    """Ids of each list."""
    dropped: tuple[tuple[str, str, str], ...]
    """Dropped parts, each with its kind, its name, and the reason."""


def repair_folder(folder: Path, out: Path, *, show_progress: bool = True) -> tuple[FolderReport, FolderReport]:
    """Write a repaired copy of a data folder, under the published names; the folder itself is left as it is.

    Clips that cannot be used are dropped, texts become UTF-8 with word/CLASS tokens, `new_joints` is made of the
    features where it differs, statistics are computed again where they do not match, lists name what is there, each
    clip in one of train, val and test, and train loses what val or test hold too. `dropped.csv` names all that is
    left out.

    Args:
        folder: a HumanML3D or KIT-ML folder.
        out: the copy; must not exist, or be an empty folder.
        show_progress: show bars.

    Returns:
        The report on the folder, and the one on the copy.

    Raises:
        InputError: `out` holds something, nothing usable is left, or what is wrong cannot be repaired.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise InputError(f"{out} exists already: --fix writes a new folder")
    scan = scan_folder(folder, show_progress=show_progress)
    before = report_of(scan)
    _refuse(folder, [finding for finding in before.findings if finding.name in _BEYOND_REPAIR])
    plan = plan_of(scan, before)
    if not plan.listed.get("train"):
        raise InputError(f"nothing of {folder} is left to train on: `atm data check {folder}` says what is wrong")
    with appearing(out) as part:
        _write(scan, plan, part, show_progress=show_progress)
        after = check_folder(part, show_progress=show_progress)
        _refuse(folder, after.of("error"))
    return before, replace(after, folder=str(out))


def _refuse(folder: Path, findings: list[Finding]) -> None:
    if findings:
        left = " ".join(f"{finding.what}. {finding.meaning}" for finding in findings)
        raise InputError(f"{folder} cannot be repaired, and no copy was written: {left}")


def plan_of(scan: Scan, report: FolderReport) -> Plan:
    """Return what of a folder can be kept."""
    dropped: list[tuple[str, str, str]] = []
    lines: dict[str, list[Line]] = {}
    resampled = _places(report, "clips_resampled")
    for clip_id, clip in scan.clips.items():
        why = clip.fault.said if clip.fault is not None else None
        if clip_id in resampled:
            why = "velocities are not those of the positions"
        if why is None and clip_id not in scan.texts:
            why = "has no text file"
        if why is None:
            kept = []
            for line in scan.texts[clip_id].lines:
                better = mended(line, clip.frames)
                if better is None:
                    dropped.append(("caption", f"{clip_id}: {line.raw}", "no caption is left of it"))
                else:
                    kept.append(better)
            lines[clip_id] = kept
            why = None if kept else "has no caption"
        if why is not None:
            lines.pop(clip_id, None)
            dropped.append(("clip", clip_id, why))
    dropped += [("text", clip_id, "has no clip") for clip_id in scan.texts if clip_id not in scan.clips]
    listed = {name: list(dict.fromkeys(map(scan.file_id, ids))) for name, ids in scan.listed.items()}
    for name, ids in listed.items():
        dropped += [(f"id of {name}.txt", clip_id, "has no usable clip") for clip_id in ids if clip_id not in lines]
        listed[name] = [clip_id for clip_id in ids if clip_id in lines]
    dropped += _share_out(scan, listed, list(lines))
    for clip_id in sorted({which for _, which, _ in dropped} & lines.keys()):
        if not any(clip_id in listed.get(name, []) for name in SPLITS):
            dropped.append(("clip", clip_id, "is left in no split"))
            del lines[clip_id]
    listed = {name: [clip_id for clip_id in ids if clip_id in lines] for name, ids in listed.items()}
    return Plan(lines, {name: ids for name, ids in listed.items() if ids}, tuple(dropped))


def _share_out(scan: Scan, listed: dict[str, list[str]], clips: list[str]) -> Iterator[tuple[str, str, str]]:
    """Make train, val and test disjoint, in ids and in motions; yields what leaves a list."""
    if not any(name in listed for name in SPLITS):
        listed |= _drawn(clips)
    elif not listed.get("train"):
        elsewhere = {clip_id for name in SPLITS[1:] for clip_id in listed.get(name, [])}
        listed["train"] = [clip_id for clip_id in clips if clip_id not in elsewhere]
    found = leaks(replace(scan, listed=listed))
    alike = {(leak.early, leak.pair.one): str(leak) for of_kind in found.values() for leak in of_kind}
    taken: set[str] = set()
    for name in reversed(SPLITS):
        for clip_id in listed.get(name, []):
            if clip_id in taken:
                yield f"id of {name}.txt", clip_id, "stands in a later split, too"
            elif (name, clip_id) in alike:
                yield f"id of {name}.txt", clip_id, alike[name, clip_id]
        own = [c for c in listed.get(name, []) if c not in taken and (name, c) not in alike]
        if name in listed:
            listed[name] = own
        taken.update(own)
    if "train_val" in listed:
        listed["train_val"] = [clip_id for clip_id in clips if clip_id in {*listed["train"], *listed.get("val", [])}]


def _drawn(clips: list[str]) -> dict[str, list[str]]:
    """Return the same split for the same ids; a clip and its mirror image stand together."""
    families = sorted({family(clip_id) for clip_id in clips})
    np.random.default_rng(0).shuffle(families)
    home, start = dict.fromkeys(families, "train"), 0
    for name, share in (("test", TEST_SHARE), ("val", VAL_SHARE)):
        end = start + round(share * len(families))
        home |= dict.fromkeys(families[start:end], name)
        start = end
    return {name: [clip_id for clip_id in clips if home[family(clip_id)] == name] for name in SPLITS}


def _places(report: FolderReport, name: str) -> set[str]:
    """Return the clips of a finding."""
    return {place.split(" ")[0] for finding in report.findings if finding.name == name for place in finding.where}


def _write(scan: Scan, plan: Plan, out: Path, *, show_progress: bool) -> None:
    layout, skeleton = scan.layout, scan.skeleton
    clips, texts, joints = (out / name[0] for name in (CLIPS, TEXTS, JOINTS))
    for part in (clips, texts, *([joints] if layout.joints is not None else [])):
        part.mkdir()
    moments = Moments.none(skeleton.feature_width)
    for clip_id, lines in progress(list(plan.lines.items()), "writing clips", show=show_progress):
        features, fault = read_clip(layout.clips / f"{clip_id}.npy", skeleton.feature_width)
        if fault is not None:
            raise InputError(f"{clip_id} changed while it was copied: it {fault.said}")
        np.save(clips / f"{clip_id}.npy", features)
        moments += Moments.of(features)
        if layout.joints is not None:
            if scan.clips[clip_id].joints is None:
                shutil.copyfile(layout.joints / f"{clip_id}.npy", joints / f"{clip_id}.npy")
            else:
                positions = joints_from_features(torch.from_numpy(features), skeleton)
                np.save(joints / f"{clip_id}.npy", positions.numpy())
        captions = [Caption(line.text, line.words) for line in lines]
        write_text(texts / f"{clip_id}.txt", captions, [(line.start, line.end) for line in lines])
    verdict = verdict_of(scan, moments)
    if verdict is not None and verdict.matches and verdict.kind == PUBLISHED:
        shutil.copyfile(layout.mean, out / MEAN[0])
        shutil.copyfile(layout.std, out / STD[0])
    else:
        moments.write(out, skeleton)
    for name, ids in plan.listed.items():
        (out / f"{name}.txt").write_text("".join(f"{clip_id}\n" for clip_id in ids), encoding="utf-8")
    with (out / DROPPED).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("what", "which", "why"), *plan.dropped])
    _copy_the_rest(scan, out)


def _copy_the_rest(scan: Scan, out: Path) -> None:
    """Copy the files beside the lists: source of the data, licence, programs of scripted clips."""
    layout = scan.layout
    known = {layout.mean, layout.std, *(layout.split_file(name) for name in scan.listed), layout.folder / DROPPED}
    if any(programs_findings(scan)):
        known.add(layout.folder / "programs.json")
    for file in layout.folder.iterdir():
        if file.is_file() and file not in known and file.suffix in (".json", ".csv", ".txt", ".md", ""):
            shutil.copyfile(file, out / file.name)
