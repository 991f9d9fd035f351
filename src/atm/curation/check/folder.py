"""A data folder from one end to the other: what is there, and every finding."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from atm.base.errors import InputError
from atm.curation.check.findings import Finding, FolderReport, Severity
from atm.curation.check.motions import motion_findings
from atm.curation.check.scan import SPLITS, Scan, scan_folder
from atm.curation.check.splits import split_findings
from atm.curation.check.statistics import BIASED, RAW, Verdict, judge, read_row
from atm.curation.check.texts import text_findings
from atm.data.humanml3d import read_programs
from atm.data.layout import CLIPS, MEAN, STD
from atm.data.statistics import Moments
from atm.motion.program import Program

_ORDER: dict[Severity, int] = {"error": 0, "warning": 1, "note": 2}


def check_folder(folder: Path, *, show_progress: bool = True) -> FolderReport:
    """Return what is there of a HumanML3D or KIT-ML folder, what is wrong with it and what that means.

    Raises:
        InputError: no folder, or none that holds clips.
    """
    return report_of(scan_folder(folder, show_progress=show_progress))


def report_of(scan: Scan) -> FolderReport:
    """Return the report on a folder that was read."""
    findings = [
        *motion_findings(scan),
        *_statistics_findings(scan),
        *text_findings(scan),
        *split_findings(scan),
        *programs_findings(scan),
        *_names_findings(scan),
    ]
    findings.sort(key=lambda finding: _ORDER[finding.severity])
    return FolderReport(str(scan.layout.folder), _facts(scan), tuple(findings))


def verdict_of(scan: Scan, *selections: Moments) -> Verdict | None:
    """Return what the folder's statistics are, of these selections of clips or else of those that statistics are made
    of.

    None: they cannot be read, or there is nothing to compare them with.
    """
    mean, _ = read_row(scan.layout.mean, scan.skeleton)
    std, _ = read_row(scan.layout.std, scan.skeleton)
    if mean is None or std is None or not (std > 0).all() or not scan.moments["all"].frames:
        return None
    return judge(mean, std, selections or tuple(scan.moments.values()), scan.skeleton)


def _facts(scan: Scan) -> dict[str, str | int | float]:
    usable = {clip_id: clip for clip_id, clip in scan.clips.items() if clip.fault is None}
    frames = np.array([clip.frames for clip in usable.values()] or [0])
    fps = scan.skeleton.fps
    lines = [line for clip_id in scan.clips if clip_id in scan.texts for line in scan.texts[clip_id].lines]
    verdict = verdict_of(scan)
    facts: dict[str, str | int | float] = {
        "skeleton": f"{scan.skeleton.name}: {scan.skeleton.feature_width} features, {scan.skeleton.n_joints} joints, "
        f"{fps:g} frames a second",
        "clips": len(scan.clips),
        "usable clips": len(usable),
        "mirror images": sum(clip_id.startswith("M") and clip_id[1:] in scan.clips for clip_id in scan.clips),
        "frames": int(frames.sum()),
        "hours": round(frames.sum() / fps / 3600, 2),
        "seconds of a clip": f"{frames.min() / fps:.1f} to {frames.max() / fps:.1f}, median "
        f"{np.median(frames) / fps:.1f}",
        "captions": len(lines),
        "different captions": len({line.text for line in lines}),
        "different words": len({token.partition("/")[0] for line in lines for token in line.words}),
        "parts with captions of their own": sum(bool(line.start or line.end) for line in lines),
    }
    for name in SPLITS:
        if name in scan.splits:
            seconds = sum(usable[clip_id].frames for clip_id in scan.splits[name] if clip_id in usable) / fps
            facts[name] = f"{len(scan.splits[name]):,} ids, {seconds / 3600:.2f} h"
    if verdict is not None:
        facts["Std is"] = verdict.kind if verdict.certain else "not that of these clips"
    facts["names"] = ", ".join(
        path.relative_to(scan.layout.folder).as_posix()
        for path in (scan.layout.clips, scan.layout.joints, scan.layout.texts, scan.layout.mean, scan.layout.std)
        if path is not None
    )
    return facts


def _normalised(scan: Scan) -> bool:
    """Return whether the clips have mean 0 and deviation 1, as models see them, and not as they are stored."""
    if not scan.moments["all"].frames:
        return False
    _, std = scan.moments["all"].statistics()
    heights = std[scan.skeleton.columns["positions"]][1::3]
    # Stored, they are a tenth of a metre or a hundred millimetres.
    return bool(0.6 < np.median(heights) < 1.6)


def _statistics_findings(scan: Scan) -> Iterator[Finding]:
    if _normalised(scan):
        yield Finding(
            "error",
            "clips_normalised",
            "clips that are normalised already",
            "Models do that themselves, and positions come out wrong: multiply by the deviations that were divided by, "
            "and add the means.",
            (f"all {len(scan.clips):,} clips",),
        )
        return
    repair = "computes both again"
    broken = []
    for name, path in (("Mean.npy", scan.layout.mean), ("Std.npy", scan.layout.std)):
        row, said = read_row(path, scan.skeleton)
        if row is None:
            broken.append(f"{name} {said}")
        elif name == "Std.npy" and not (row > 0).all():
            broken.append(f"{name} holds {(row <= 0).sum()} deviations that are not > 0")
    if broken:
        yield Finding(
            "error",
            "statistics_unusable",
            "statistics that cannot be used",
            "Models normalise features by them: nothing can be trained.",
            tuple(broken),
            repair,
        )
        return
    verdict = verdict_of(scan)
    if verdict is None:
        return
    factor = np.exp(verdict.std_off)
    where = (f"means up to {verdict.mean_off:.2f} deviations off, Std up to {factor:.3g} times",)
    if verdict.foreign:
        yield Finding(
            "error",
            "statistics_foreign",
            "Mean.npy and Std.npy of other features",
            "Normalised features are far from mean 0 and deviation 1: training starts in the wrong place, and "
            "published models read nonsense.",
            where,
            repair,
        )
    elif verdict.kind in BIASED.values() and verdict.certain:
        yield Finding(
            "error",
            "statistics_biased",
            f"Std.npy is {verdict.kind}",
            "With it a model weighs these columns more than published ones do. It belongs to a checkpoint, not to the "
            "data.",
            where,
            repair,
        )
    elif verdict.kind == RAW and verdict.certain:
        yield Finding(
            "warning",
            "statistics_raw",
            f"Std.npy is {verdict.kind}",
            "Published ones are averaged inside groups of columns: losses weigh columns differently, and published "
            "models do not fit.",
            where,
            repair,
        )
    elif not verdict.matches:
        yield Finding(
            "warning",
            "statistics_differ",
            "Mean.npy and Std.npy are not those of these clips",
            "Right for a part of a published set that is to keep its normalisation; else they are of an earlier state.",
            where,
            repair,
        )


def _names_findings(scan: Scan) -> Iterator[Finding]:
    """Give whether a part is there under both names that circulate."""
    there = {path.name for path in scan.layout.folder.iterdir()}
    both = [f"{names[0]}, not {names[1]}" for names in (CLIPS, MEAN, STD) if there.issuperset(names)]
    if both:
        yield Finding(
            "note",
            "names_twice",
            "parts under both names that circulate",
            "The first is read, the other is not.",
            tuple(both),
            "copies the first",
        )


def programs_findings(scan: Scan) -> Iterator[Finding]:
    """Give whether what scripted clips do can be read."""
    try:
        for actions in read_programs(scan.layout.folder, list(scan.clips)).values():
            Program.from_json(actions)
    except InputError as error:
        yield Finding(
            "error",
            "programs_unusable",
            "a programs.json that cannot be read",
            "It says what scripted clips do; reading stops there.",
            (str(error),),
            "drops it",
        )
