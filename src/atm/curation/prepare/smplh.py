"""Joints of the SMPL+H body from AMASS poses.

Positions of joints need four small parts of a body model (template, shape directions, joint regressor, tree), so they
are computed here from the model's file; its skin is not needed. The files have a licence of their own and must be
fetched from their makers: `model.npz` for male and female, as AMASS recommends them (https://mano.is.tue.mpg.de).

Source: Loper et al. 2015, "SMPL: A Skinned Multi-Person Linear Model"; Romero et al. 2017, "Embodied Hands".
"""

import functools
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

from atm.base.arrays import mistaken
from atm.base.errors import InputError

JOINTS = 52
"""22 of the body, 15 of each hand."""
BETAS = 10
"""Shape parameters that the published pipeline uses."""
_PLACES = ("smplh/{gender}/model.npz", "{gender}/model.npz", "SMPLH_{GENDER}.npz", "smplh/SMPLH_{GENDER}.npz")


@dataclass(frozen=True)
class BodyModel:
    """Parts of a body model on which the joints depend."""

    joints: Float[np.ndarray, "J 3"]
    """Rest positions of the mean shape, in metres."""
    directions: Float[np.ndarray, "J 3 B"]
    """How they move with each shape parameter."""
    parents: Int[np.ndarray, "J"]
    """-1 for the root."""

    def pose(
        self, betas: Float[np.ndarray, "B"], poses: Float[np.ndarray, "T P"], root: Float[np.ndarray, "T 3"]
    ) -> Float[np.ndarray, "T J 3"]:
        """Return joint positions.

        Args:
            betas: shape.
            poses: axis and angle (radians) of each joint relative to its parent, three numbers each.
            root: translation, in metres.
        """
        rest = self.joints + self.directions @ betas
        turns = Rotation.from_rotvec(poses.reshape(-1, 3)).as_matrix().reshape(len(poses), -1, 3, 3)
        positions = np.zeros((len(poses), len(rest), 3))
        world = turns.copy()
        positions[:, 0] = rest[0]
        for joint in range(1, len(rest)):
            parent = self.parents[joint]
            positions[:, joint] = positions[:, parent] + world[:, parent] @ (rest[joint] - rest[parent])
            world[:, joint] = world[:, parent] @ turns[:, joint]
        return positions + root[:, None]


def find_body_model(folder: Path, gender: str) -> Path:
    """Return the model file of a gender.

    Raises:
        InputError: it is in none of the usual places.
    """
    places = [folder / place.format(gender=gender, GENDER=gender.upper()) for place in _PLACES]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise InputError(
            f"no {gender} SMPL+H model: expected {places[0]} (or {places[1]}, {places[2]}), the model.npz of the "
            "extended SMPL+H models; a .pkl file is not read"
        )
    return found


@functools.cache
def load_body_model(file: Path) -> BodyModel:
    """Return a body model of SMPL+H.

    Raises:
        InputError: not such a file.
    """
    try:
        with np.load(file, allow_pickle=False) as content:
            template, shapes, regressor, tree = (
                content[name] for name in ("v_template", "shapedirs", "J_regressor", "kintree_table")
            )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        said = mistaken(file) or error
        raise InputError(f"cannot read {file} as an SMPL+H model of plain arrays: {said}") from None
    if regressor.shape != (JOINTS, len(template)) or shapes.shape[-1] < BETAS:
        raise InputError(
            f"{file} is no SMPL+H model: expected a regressor of {JOINTS} joints and {BETAS} shapes or more, got "
            f"arrays of shape {regressor.shape} and {shapes.shape}"
        )
    parents = tree[0].astype(np.int64)
    parents[0] = -1  # the root's entry is 2^32 - 1
    directions = np.einsum("jv,vcb->jcb", regressor, shapes[..., :BETAS])
    return BodyModel(regressor @ template, directions, parents)
