"""A motion as an FBX file, by Blender: the format is closed, and Blender is what writes it freely.

Blender runs as a process of its own, for it brings a Python and libraries of other versions. It is looked for where
`ATM_BLENDER` says (the program, or a Python that has `bpy`), then as `bpy` beside this package, then as `blender`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jaxtyping import Float

from atm.base.errors import InputError
from atm.export.glb import save_glb
from atm.export.names import FileStyle
from atm.motion import Skeleton

PLACE = "ATM_BLENDER"
"""Environment variable that names Blender, or a Python that has it as a module."""
_SCRIPT = Path(__file__).with_name("blender_script.py")
_LONGEST = 600
"""Seconds after which Blender is given up."""


def blender_command() -> list[str]:
    """Return how Blender is started with a script.

    Raises:
        InputError: there is no Blender.
    """
    if place := os.environ.get(PLACE):
        found = shutil.which(place)
        if found is None:
            raise InputError(f"{PLACE} is {place!r}, which is no program: set it to Blender, or to a Python with bpy")
        return [found] if "python" in Path(found).name.lower() else _program(found)
    if find_spec("bpy"):
        return [sys.executable]
    if found := shutil.which("blender"):
        return _program(found)
    raise InputError(
        "FBX is written by Blender, which is not here: pip install bpy into a Python environment of its own (it wants "
        f"an older numpy), and set {PLACE} to that environment's python, or to Blender's program"
    )


def save_fbx(
    path: Path | str,
    joints: Float[np.ndarray, "T J 3"],
    skeleton: Skeleton,
    *,
    text: str = "",
    style: FileStyle | None = None,
) -> None:
    """Write skeleton, motion and figure, as the GLB file has them.

    Args:
        path: where to.
        joints: in metres, y up.
        skeleton: names the joints.
        text: becomes the animation's name.
        style: names, frame rate and upward axis.

    Raises:
        InputError: there is no Blender, or it fails.
    """
    style = style or FileStyle()
    command = blender_command()
    with tempfile.TemporaryDirectory(prefix="atm-") as folder:
        glb, made = Path(folder) / "motion.glb", Path(folder) / "motion.fbx"
        save_glb(glb, joints, skeleton, text=text, style=FileStyle(names=style.names, fps=style.fps))
        words = [*command, str(_SCRIPT), *(["--"] if command[1:] else [])]
        _run([*words, str(glb), str(made), repr(float(style.fps or skeleton.fps)), style.up], made)
        Path(path).write_bytes(made.read_bytes())


def _program(blender: str) -> list[str]:
    return [blender, "--background", "--factory-startup", "--python-exit-code", "1", "--python"]


def _run(words: list[str], made: Path) -> None:
    # This process's search path would give Blender's Python our libraries.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_LONGEST, env=environment, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"Blender cannot be run as {words[0]}: {error}") from None
    if done.returncode or not made.is_file():
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:] or ["it said nothing"]
        raise InputError(f"Blender ({words[0]}) wrote no FBX file: {said[0]}")
