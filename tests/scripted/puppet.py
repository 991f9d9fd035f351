"""A stick figure for tests of the oracles: the test says where pelvis, ankles and wrists are, joints follow."""

import numpy as np

FPS = 20
STANDING = 0.952
THIGH, SHANK = 0.392, 0.429
UPPER_ARM, FOREARM = 0.26, 0.268
HANGING = (0.08, -0.5, 0.03)
"""Wrist from its shoulder (outward, up, ahead) when the arm hangs."""


def ramp(frames: int, at: float, seconds: float) -> np.ndarray:
    """0 before `at` (seconds), 1 after `at + seconds`, minimum jerk between."""
    u = np.clip((np.arange(frames) / FPS - at) / seconds, 0, 1)
    return u**3 * (10 - 15 * u + 6 * u**2)


def bump(frames: int, at: float, seconds: float) -> np.ndarray:
    """0, up to 1 in the middle of `at` to `at + seconds`, and back to 0."""
    return ramp(frames, at, seconds / 2) - ramp(frames, at + seconds / 2, seconds / 2)


class Puppet:
    """Stands until told otherwise. All signals are arrays over the frames and may be changed before `joints()`."""

    def __init__(self, seconds: float):
        self.frames = round(seconds * FPS)
        self.pelvis = np.tile([0.0, STANDING, 0.0], (self.frames, 1))
        self.ankles = np.tile([[[0.075, 0.06, -0.07]], [[-0.075, 0.06, -0.07]]], (1, self.frames, 1))
        self.yaw = np.zeros(self.frames)
        self.feet_yaw = np.zeros((2, self.frames))
        self.lean = np.zeros(self.frames)
        self.wrists = np.tile([[HANGING], [HANGING]], (1, self.frames, 1))
        self.roll_back = np.zeros(self.frames)

    def ramp(self, at: float, seconds: float) -> np.ndarray:
        return ramp(self.frames, at, seconds)

    def bump(self, at: float, seconds: float) -> np.ndarray:
        return bump(self.frames, at, seconds)

    def joints(self) -> np.ndarray:
        """(T, 22, 3), facing +z at yaw 0, left = +x."""
        joints = np.zeros((self.frames, 22, 3))
        joints[:, 0] = self.pelvis
        for side, out in ((0, 1), (1, -1)):
            joints[:, 1 + side] = self.pelvis + self._turned(np.array([out * 0.064, -0.085, 0.0]))
            ankle = self.ankles[side]
            heading = np.radians(self.feet_yaw[side])
            toe = ankle + np.stack([0.13 * np.sin(heading), 0 * heading - 0.06, 0.13 * np.cos(heading)], -1)
            ahead = self._turned(np.array([0.0, 0.0, 1.0]))
            joints[:, 4 + side] = _bent(joints[:, 1 + side], ankle, THIGH, SHANK, ahead)
            joints[:, 7 + side], joints[:, 10 + side] = ankle, toe
        up = np.array([0.0, 1.0, 0.0])
        for joint, height in ((3, 0.13), (6, 0.27), (9, 0.33), (12, 0.55), (15, 0.65)):
            joints[:, joint] = self.pelvis + self._leaned(height * up)
        for side, out in ((0, 1), (1, -1)):
            joints[:, 13 + side] = self.pelvis + self._leaned(np.array([out * 0.07, 0.45, 0.0]))
            shoulder = self.pelvis + self._leaned(np.array([out * 0.18, 0.48, 0.0]))
            offset = self.wrists[side] * np.array([out, 1, 1])
            wrist = shoulder + self._turned(offset)
            joints[:, 16 + side], joints[:, 20 + side] = shoulder, wrist
            below = self._turned(np.array([0.3 * out, -1.0, -0.3]))
            joints[:, 18 + side] = _bent(shoulder, wrist, UPPER_ARM, FOREARM, below)
        return joints

    def _turned(self, offset: np.ndarray) -> np.ndarray:
        offset = np.broadcast_to(offset, (self.frames, 3))
        cos, sin = np.cos(np.radians(self.yaw)), np.sin(np.radians(self.yaw))
        x, y, z = offset.T
        return np.stack([x * cos + z * sin, y, -x * sin + z * cos], -1)

    def _leaned(self, offset: np.ndarray) -> np.ndarray:
        cos, sin = np.cos(np.radians(self.lean)), np.sin(np.radians(self.lean))
        x, y, z = np.broadcast_to(offset, (self.frames, 3)).T
        return self._turned(np.stack([x, y * cos - z * sin, y * sin + z * cos], -1))


def _bent(start: np.ndarray, end: np.ndarray, first: float, second: float, towards: np.ndarray) -> np.ndarray:
    """The joint between two bones of given lengths, bent towards a direction."""
    line = end - start
    distance = np.clip(np.linalg.norm(line, axis=-1, keepdims=True), 1e-6, first + second - 1e-6)
    along = line / np.linalg.norm(line, axis=-1, keepdims=True)
    shift = (distance**2 + first**2 - second**2) / (2 * distance)
    out = towards - (towards * along).sum(-1, keepdims=True) * along
    out /= np.linalg.norm(out, axis=-1, keepdims=True)
    return start + along * shift + out * np.sqrt(np.maximum(first**2 - shift**2, 0))
