"""One motion into a file of any kind; the suffix says which. The table of formats stands at the end."""

import contextlib
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float

from atm.base.errors import InputError, unknown
from atm.base.outputs import output
from atm.export.names import FileStyle
from atm.export.npz import MotionFile, check_joints, save_npz
from atm.motion import HUMANML3D, Skeleton

if TYPE_CHECKING:
    from atm.export.own_rig import OwnRig


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
    rig: "OwnRig | None" = None,
    say: Callable[[str], None] | None = None,
) -> Path:
    """Write one motion; folders on the way are made.

    Args:
        path: its suffix is one of `SUFFIXES`.
        joints: in metres, y up, at the skeleton's frame rate.
        skeleton: names the joints.
        features: the same motion as features in published units; kept in `.npz` only.
        text: the sentence it was made for; kept in `.npz`, shown in pictures and pages.
        provenance: model, seed and the like, plain JSON values; kept in `.npz`.
        style: joint names, unit, frame rate and upward axis, as far as the kind of file has them (`STYLED`); None: the
            defaults.
        rig: skeleton to put the motion on, for a file of the rig's own format; None: the motion's.
        say: gets a line where the file cannot hold the motion as it is; None: it is not said.
        force: replace a file that atm did not write.

    Returns:
        The path that was written.

    Raises:
        InputError: an unknown suffix, a style that this kind of file has not, a library that is not installed, a motion
            that is not finite or not of this skeleton, a path that cannot be written to, or one where a file stands
            that atm did not write.
    """
    path, style = Path(path), style or FileStyle()
    check_suffix(path, style)
    check_joints(joints, skeleton, f"the motion for {path.name}")
    motion = MotionFile(np.asarray(joints, dtype=np.float32), skeleton, features, text, provenance or {})
    if rig:
        _check_rig(path, style, rig)
    with output(path, force=force) as part:
        said = _on_rig(part, motion, style, rig) if rig else _WRITERS[ending_of(path)](part, motion, style)
    if said and say:
        say(f"{path.name}: {said}")
    return path


def ending_of(path: Path | str) -> str:
    """Return the part of a file's name that says its format: `.amass.npz` is one, of which `.npz` is another.

    Raises:
        InputError: no file of this suffix can be written.
    """
    name = Path(path).name.lower()
    found = [ending for ending in _WRITERS if name.endswith(ending)]
    if not found:
        raise unknown("output suffix", Path(path).suffix.lower() or str(path), _WRITERS)
    return max(found, key=len)


def check_suffix(path: Path | str, style: FileStyle | None = None) -> None:
    """Refuse a path before any work is done for it.

    Raises:
        InputError: no file of this suffix can be written, not in this style, or not without a library that is missing.
    """
    suffix = ending_of(path)
    plain = FileStyle()
    chosen = [name for name in vars(plain) if style and getattr(style, name) != getattr(plain, name)]
    if extra := [name for name in chosen if name not in STYLED.get(suffix, ())]:
        wanted = ", ".join(ending for ending, styles in STYLED.items() if extra[0] in styles)
        raise InputError(f"{extra[0]} can be chosen for {wanted}, but the file is a {suffix}: leave it out")
    if suffix in _USD and not find_spec("pxr"):
        raise InputError(
            f"{suffix} is written by the library usd-core, which is not installed: pip install 'atm-motion[usd]'"
        )
    if suffix == ".fbx":
        from atm.export.fbx import blender_command

        blender_command()


def _check_rig(path: Path, style: FileStyle, rig: "OwnRig") -> None:
    if path.suffix.lower() != rig.source.suffix.lower():
        raise InputError(f"on the rig {rig.source.name} a {rig.source.suffix} file is written, got {path.name}")
    if style != FileStyle(fps=style.fps):
        raise InputError("a rig has names, unit and axis of its own: leave names, unit and up out")


def _on_rig(path: Path, motion: MotionFile, style: FileStyle, rig: "OwnRig") -> None:
    from atm.export.own_rig import save_on_rig

    save_on_rig(path, motion.joints, motion.skeleton, rig, text=motion.text, style=style)


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


def _amass(path: Path, motion: MotionFile, style: FileStyle) -> str:
    from atm.export.amass import save_amass

    return save_amass(path, motion.joints, motion.skeleton, style)


def _kimodo(path: Path, motion: MotionFile, style: FileStyle) -> str:
    from atm.export.kimodo import save_kimodo

    return save_kimodo(path, motion.joints, motion.skeleton, style)


def _constraints(path: Path, motion: MotionFile, style: FileStyle) -> str:
    from atm.export.kimodo import save_constraints

    return save_constraints(path, motion.joints, motion.skeleton, style)


def _usd(path: Path, motion: MotionFile, style: FileStyle) -> None:
    from atm.export.usd import save_usd

    save_usd(path, motion.joints, motion.skeleton, ending=ending_of(path), text=motion.text, style=style)


def _vrma(path: Path, motion: MotionFile, style: FileStyle) -> None:
    from atm.export.vrma import save_vrma

    save_vrma(path, motion.joints, motion.skeleton, text=motion.text, style=style)


def _fbx(path: Path, motion: MotionFile, style: FileStyle) -> None:
    from atm.export.fbx import save_fbx

    save_fbx(path, motion.joints, motion.skeleton, text=motion.text, style=style)


def _film(path: Path, motion: MotionFile, _: FileStyle) -> None:
    from atm.pages.video import save_video

    save_video(path, motion.joints, skeleton=motion.skeleton, text=motion.text)


def _picture(path: Path, motion: MotionFile, _: FileStyle) -> None:
    from atm.pages.strips import film_strip

    seconds = len(motion.joints) / motion.skeleton.fps
    strip = film_strip(motion.joints, min(10, max(5, round(seconds) + 1)), skeleton=motion.skeleton, text=motion.text)
    strip.save(path)


def _page(path: Path, motion: MotionFile, _: FileStyle) -> None:
    path.write_text(motion_page(motion, title=motion.text or "motion", files=True), encoding="utf-8")


def motion_page(motion: MotionFile, *, title: str, files: bool = False) -> str:
    """Return a page with a viewer of one motion, and where the motion came from; `files`: with buttons that hand out
    the motion as `CARRIED`, which the page carries in it."""
    from atm.pages.page import downloads, page
    from atm.pages.viewer import MotionView, Pane, viewer_html

    view = MotionView("", [Pane("", motion.joints, skeleton=motion.skeleton, contacts=_stands(motion))])
    facts = ", ".join(f"{name} {value}" for name, value in motion.provenance.items())
    carried = [downloads(_carried(motion))] if files else []
    return page(title, [viewer_html(view), *carried], footer=facts)


def _stands(motion: MotionFile) -> Bool[np.ndarray, "T 2"]:
    from atm.motion.bodies import planted_feet

    return planted_feet(motion.joints.astype(np.float64), motion.skeleton)


def _carried(motion: MotionFile) -> dict[str, bytes]:
    """Return the motion's files by their names."""
    made = {}
    with tempfile.TemporaryDirectory(prefix="atm-") as folder:
        for ending in CARRIED:
            part = Path(folder) / f"motion{ending}"
            with contextlib.suppress(InputError):  # a body that cannot be put on bones still has its page
                _WRITERS[ending](part, motion, FileStyle())
                made[part.name] = part.read_bytes()
    return made


CARRIED = (".bvh", ".glb", ".npz")
"""Files that a page of one motion hands out."""
_USD = (".usd", ".usda", ".usdc")
_WRITERS: dict[str, Callable[[Path, MotionFile, FileStyle], str | None]] = {
    ".npz": _npz,
    ".npy": _npy,
    ".csv": _csv,
    ".bvh": _bvh,
    ".glb": _glb,
    ".vrma": _vrma,
    **dict.fromkeys(_USD, _usd),
    ".fbx": _fbx,
    ".amass.npz": _amass,
    ".kimodo.npz": _kimodo,
    ".constraints.json": _constraints,
    ".mp4": _film,
    ".gif": _film,
    ".png": _picture,
    ".html": _page,
}
STYLED = {
    ".bvh": ("names", "unit", "fps", "up"),
    ".glb": ("names", "fps"),
    ".vrma": ("fps",),
    **dict.fromkeys(_USD, ("names", "unit", "fps", "up")),
    ".fbx": ("names", "fps", "up"),
    ".amass.npz": ("fps",),
    ".kimodo.npz": ("fps",),
}
"""Fields of `FileStyle` that a kind of file has; the others say their own unit and axis (glTF: metres, y up)."""

SUFFIXES = tuple(_WRITERS)
"""File name endings that `save_motion` can write."""
FORMATS = {ending.split(".")[1]: ending for ending in SUFFIXES}
"""Name of a format -> the ending of its files: `amass` -> `.amass.npz`."""


def ending_of_format(name: str) -> str:
    """Return the ending of files of a format, which may be called by its name or its ending.

    Raises:
        InputError: no such format.
    """
    name = name.strip().lower()
    if name.lstrip(".") in FORMATS:
        return FORMATS[name.lstrip(".")]
    if f".{name.lstrip('.')}" in SUFFIXES:
        return f".{name.lstrip('.')}"
    raise unknown("output format", name, FORMATS)
