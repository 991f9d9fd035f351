"""One motion into a file of any kind; the suffix says which."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from atm.base.errors import InputError, unknown
from atm.base.outputs import output
from atm.export.names import FileStyle
from atm.export.npz import MotionFile, check_joints, save_npz
from atm.motion import HUMANML3D, Skeleton


def save_motion(
    path: Path | str,
    joints: Float[np.ndarray, "T J 3"],
    *,
    skeleton: Skeleton = HUMANML3D,
    features: Float[np.ndarray, "T D"] | None = None,
    text: str = "",
    provenance: dict[str, Any] | None = None,
    style: FileStyle | None = None,
    force: bool = False,
) -> Path:
    """Write one motion; folders on the way are made.

    Args:
        path: its suffix is one of `SUFFIXES`.
        joints: in metres, y up, at the skeleton's frame rate.
        skeleton: names the joints.
        features: the same motion as features in published units; kept in `.npz` only.
        text: the sentence it was made for; kept in `.npz`, shown in pictures and pages.
        provenance: model, seed and the like, plain JSON values; kept in `.npz`.
        style: joint names and frame rate of `.bvh` and `.glb`, unit and upward axis of `.bvh`; None: the defaults.
        force: replace a file that atm did not write.

    Returns:
        The path that was written.

    Raises:
        InputError: an unknown suffix, a style that this kind of file has not, a motion that is not finite or not of
            this skeleton, a path that cannot be written to, or one where a file stands that atm did not write.
    """
    path, style = Path(path), style or FileStyle()
    check_suffix(path, style)
    check_joints(joints, skeleton, f"the motion for {path.name}")
    motion = MotionFile(np.asarray(joints, dtype=np.float32), skeleton, features, text, provenance or {})
    with output(path, force=force) as part:
        _WRITERS[path.suffix.lower()](part, motion, style)
    return path


def check_suffix(path: Path | str, style: FileStyle | None = None) -> None:
    """Refuse a path before any work is done for it.

    Raises:
        InputError: no file of this suffix can be written, or not in this style.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _WRITERS:
        raise unknown("output suffix", suffix or str(path), _WRITERS)
    plain = FileStyle()
    chosen = [name for name in vars(plain) if style and getattr(style, name) != getattr(plain, name)]
    if extra := [name for name in chosen if name not in _STYLED.get(suffix, ())]:
        wanted = " or ".join(ending for ending, styles in _STYLED.items() if extra[0] in styles)
        raise InputError(f"{extra[0]} can be chosen for {wanted}, but the file is a {suffix}: leave it out")


def _npz(path: Path, motion: MotionFile, _: FileStyle) -> None:
    save_npz(path, motion)


def _npy(path: Path, motion: MotionFile, _: FileStyle) -> None:
    np.save(path, motion.joints)


def _csv(path: Path, motion: MotionFile, _: FileStyle) -> None:
    names = [f"{joint}_{axis}" for joint in motion.skeleton.joint_names for axis in "xyz"]
    seconds = np.arange(len(motion.joints)) / motion.skeleton.fps
    table = np.column_stack([seconds, motion.joints.reshape(len(seconds), -1)])
    np.savetxt(path, table, "%.6f", delimiter=",", header=",".join(["seconds", *names]), comments="")


def _bvh(path: Path, motion: MotionFile, style: FileStyle) -> None:
    from atm.export.bvh import save_bvh

    save_bvh(path, motion.joints, motion.skeleton, style)


def _glb(path: Path, motion: MotionFile, style: FileStyle) -> None:
    from atm.export.glb import save_glb

    save_glb(path, motion.joints, motion.skeleton, text=motion.text, style=style)


def _film(path: Path, motion: MotionFile, _: FileStyle) -> None:
    from atm.pages.video import save_video

    save_video(path, motion.joints, skeleton=motion.skeleton, text=motion.text)


def _picture(path: Path, motion: MotionFile, _: FileStyle) -> None:
    from atm.pages.strips import film_strip

    seconds = len(motion.joints) / motion.skeleton.fps
    strip = film_strip(motion.joints, min(10, max(5, round(seconds) + 1)), skeleton=motion.skeleton, text=motion.text)
    strip.save(path)


def _page(path: Path, motion: MotionFile, _: FileStyle) -> None:
    path.write_text(motion_page(motion, title=motion.text or "motion"), encoding="utf-8")


def motion_page(motion: MotionFile, *, title: str) -> str:
    """Return a page with a viewer of one motion, and where the motion came from."""
    from atm.pages.page import page
    from atm.pages.viewer import MotionView, Pane, viewer_html

    view = MotionView("", [Pane("", motion.joints, skeleton=motion.skeleton)])
    facts = ", ".join(f"{name} {value}" for name, value in motion.provenance.items())
    return page(title, [viewer_html(view)], footer=facts)


_WRITERS: dict[str, Callable[[Path, MotionFile, FileStyle], None]] = {
    ".npz": _npz,
    ".npy": _npy,
    ".csv": _csv,
    ".bvh": _bvh,
    ".glb": _glb,
    ".mp4": _film,
    ".gif": _film,
    ".png": _picture,
    ".html": _page,
}
_STYLED = {".bvh": ("names", "unit", "fps", "up"), ".glb": ("names", "fps")}
"""Fields of `FileStyle` that a kind of file has; glTF itself says metres and y up."""

SUFFIXES = tuple(_WRITERS)
"""File name endings that `save_motion` can write."""
