"""A figure that walks forward with its left arm up: it can be told front from back and left from right."""

import numpy as np
import pytest

from atm.motion import HUMANML3D

FRAMES = 40
SPEED = 0.05  # metres per frame, along +z

_MIDDLE = {"pelvis": (0, 0.95, 0), "spine1": (0, 1.06, 0), "spine2": (0, 1.19, 0), "spine3": (0, 1.25, 0)}
_MIDDLE |= {"neck": (0, 1.44, 0), "head": (0, 1.53, 0.03)}
_LEFT = {"hip": (0.09, 0.87, 0), "knee": (0.1, 0.48, 0.02), "ankle": (0.1, 0.08, -0.02), "foot": (0.12, 0.02, 0.12)}
_LEFT |= {"collar": (0.07, 1.36, 0), "shoulder": (0.18, 1.39, 0)}
_LEFT_ARM = {"elbow": (0.3, 1.6, 0), "wrist": (0.32, 1.85, 0.02)}
_RIGHT_ARM = {"elbow": (-0.25, 1.14, 0), "wrist": (-0.27, 0.88, 0.05)}


@pytest.fixture
def walk() -> np.ndarray:
    """(FRAMES, 22, 3), metres."""
    pose = dict(_MIDDLE)
    for name, (x, y, z) in _LEFT.items():
        pose |= {f"left_{name}": (x, y, z), f"right_{name}": (-x, y, z)}
    pose |= {f"left_{name}": place for name, place in _LEFT_ARM.items()}
    pose |= {f"right_{name}": place for name, place in _RIGHT_ARM.items()}
    still = np.array([pose[name] for name in HUMANML3D.joint_names])
    forward = np.arange(FRAMES)[:, None] * [0, 0, SPEED]
    return (still + forward[:, None]).astype(np.float32)
