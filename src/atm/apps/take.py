"""One motion in Python's hands: its joints, what can be read from them, and ways to keep and to see it."""

import html
import tempfile
import webbrowser
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial.transform import Rotation

from atm.apps.export import motion_page, save_motion
from atm.base.errors import InputError
from atm.export.names import FileStyle
from atm.export.npz import MotionFile
from atm.motion import HUMANML3D, Skeleton, features_from_joints
from atm.motion.bodies import planted_feet
from atm.motion.rig import Rig, fit_rig
from atm.scripted.asked import asked_of
from atm.scripted.examine import examine

_HIGH = 560
"""Height of the viewer in a notebook, in pixels."""


@dataclass(frozen=True, eq=False, repr=False)
class Take:
    """One motion. `take[1.0:2.5]` is the part from 1 s to 2.5 s."""

    joints: Float[np.ndarray, "T J 3"]
    """Joint positions in metres, y up."""
    text: str = ""
    """The sentence it was made for."""
    skeleton: Skeleton = HUMANML3D
    """Names of the joints, how they hang together, frames per second."""
    known_features: Float[np.ndarray, "T D"] | None = None
    """The published features, where they came with the motion."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Source of the motion: model, seed, sample, ..."""

    @staticmethod
    def of(motion: MotionFile) -> "Take":
        """Take what a motion file holds."""
        return Take(motion.joints, motion.text, motion.skeleton, motion.features, motion.provenance)

    @property
    def fps(self) -> float:
        """Frames per second."""
        return self.skeleton.fps

    @property
    def seconds(self) -> float:
        """Duration."""
        return len(self.joints) / self.fps

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the joints, in their order."""
        return self.skeleton.joint_names

    @cached_property
    def rig(self) -> Rig:
        """The motion as bones of constant length that turn, as BVH and GLB files hold it."""
        return fit_rig(self.joints.astype(np.float64), self.skeleton)

    @cached_property
    def rotations(self) -> Float[np.ndarray, "T J 4"]:
        """Rotation of each joint relative to its parent, as quaternions (w, x, y, z); all are 1 in the T-pose."""
        return np.stack(
            [
                Rotation.from_matrix(self.rig.rotations[:, joint]).as_quat(scalar_first=True)
                for joint in range(self.skeleton.n_joints)
            ],
            axis=1,
        )

    @cached_property
    def contacts(self) -> Bool[np.ndarray, "T 2"]:
        """True while the left and the right foot stand."""
        return planted_feet(self.joints.astype(np.float64), self.skeleton)

    @property
    def features(self) -> Float[np.ndarray, "S D"]:
        """The published features, that models and spaces read; computed from joints, they have a row less.

        Raises:
            InputError: the published features are undefined for these joints.
        """
        if self.known_features is not None:
            return self.known_features
        return features_from_joints(self.joints / self.skeleton.metres_per_unit, self.skeleton).numpy()

    @property
    def verdict(self) -> str | None:
        """Judgement of the oracles, in words: asked and done; None: they know nothing of what was asked."""
        if self.skeleton != HUMANML3D or (examined := examine(self.joints, asked_of(self.text))) is None:
            return None
        return str(examined)

    def save(
        self,
        path: str | Path,
        *,
        fps: float | None = None,
        names: str = "humanml3d",
        unit: str = "m",
        up: str = "y",
        force: bool = False,
        rig: str | Path | None = None,
    ) -> Path:
        """Write the motion; the suffix says the format, one of `atm.apps.export.SUFFIXES`.

        Args:
            path: folders on the way are made.
            fps: frames per second of skeleton files; None: the motion's own (Kimodo: 30).
            names: of the joints of BVH, GLB, USD and FBX: humanml3d, mixamo, smpl, unreal or vrm.
            unit: of BVH and USD: m, cm or mm.
            up: upward axis of BVH, USD and FBX: y or z.
            rig: a BVH or GLB file on whose skeleton the motion comes out; None: on its own.
            force: replace a file that atm did not write.

        Returns:
            The path.

        Raises:
            InputError: an unknown suffix or word, one that the format has not, a rig that is none, a library that is
                missing, or a file stands there that atm did not write.
        """
        on = None
        if rig is not None:
            from atm.export.own_rig import open_rig  # brings the readers of recordings

            on = open_rig(rig)
        return save_motion(
            path, self.joints, skeleton=self.skeleton, features=self.known_features, text=self.text,
            provenance=self.provenance, style=FileStyle(names, unit, fps, up), rig=on, force=force,
        )  # fmt: skip

    def show(self, path: str | Path | None = None) -> Path:
        """Open the motion in the browser, and return the page; None: it goes to a temporary folder."""
        page = self.save(Path(tempfile.mkdtemp(prefix="atm-")) / "motion.html" if path is None else Path(path))
        webbrowser.open(page.resolve().as_uri())
        return page

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.joints)

    def __getitem__(self, part: Any) -> "Take":
        """Return the part between two times in seconds; those below 0 count from the end.

        Raises:
            InputError: no slice, one with a step, or one that holds no frame.
        """
        if not isinstance(part, slice) or part.step is not None:
            raise InputError(f"a part of a motion is a slice of seconds such as motion[1.0:2.5], got [{part}]")
        bounds = slice(*(None if end is None else round(end * self.fps) for end in (part.start, part.stop)))
        frames = range(len(self))[bounds]
        if not frames:
            raise InputError(f"the motion lasts {self.seconds:g} s and has no frame in [{part.start}:{part.stop}]")
        return replace(self, joints=self.joints[bounds], known_features=None)

    def __repr__(self) -> str:
        return f"<Take {self.text!r}: {self.seconds:g} s, {len(self)} frames of {self.skeleton.name}>"

    def _repr_html_(self) -> str:
        """Return the viewer for a notebook: a page in a frame of its own, which meets no style of the notebook."""
        motion = MotionFile(self.joints, self.skeleton, None, self.text, self.provenance)
        page = html.escape(motion_page(motion, title=self.text or "motion"), quote=True)
        return f'<iframe srcdoc="{page}" style="width: 100%; height: {_HIGH}px; border: 0"></iframe>'
