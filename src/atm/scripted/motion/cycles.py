"""Captured cycles of walking and running as Fourier series: means over 24 clips of walking and 46 of running.

Source: our measurements on captured motion. Where a row was not measured (the sway of a run, the
arms of walking backward apart from their flexion), it is set by eye.
"""

import numpy as np

Cycle = dict[str, tuple[float, ...]]
"""Signal to coefficients (a0, a1, b1, a2, b2, ...)."""

# Fourier series over the left leg's cycle, phase 0 = left foot furthest forward: (a0, a1, b1, a2, b2, ...).
# Degrees and centimetres; the right side is half a cycle later.
WALK = {
    "arm_flex": (0, -21.7, 0.8, 0.2, -0.7, -0.5, 0.5, 0.4, 0.2),
    "elbow": (0, -16.1, -0.6, 3.4, 0.4, -0.1, -2.3, -0.6, -0.2),
    "arm_abd": (0, -4.6, -0.3, 1.2, 0, 0.1, -0.5, 0, 0.1),
    "pelvis_yaw": (0, -7.33, -3.17, 0, 0, 0.69, 0.35, 0.03, 0),
    "pelvis_roll": (0, 1.42, 2.37, 0.03, 0.02, -1.64, -0.08, 0.01, 0.03),
    "shoulder_yaw": (0, 3.06, -0.79, 0, 0.04, -0.28, 0.31),
    "shoulder_roll": (0, -0.42, -1.43, 0, 0, 0.46, 0.08),
    "trunk_lean": (0, 0, 0.17, 1.56, -0.07, 0.02, 0.06, 0.25, 0.18),
    "up": (0, 0, 0, -0.49, -1.77, 0, 0, -0.17, 0),
    "left": (0, -1.26, 2.57, 0, 0, -0.26, -0.03),
    "forward": (0, 0.07, 0, -2.09, 1.38, 0, 0, -0.36, -0.04),
}
RUN = {
    "arm_flex": (-27.0, -27.0, 16.6, -4.1, -0.7, -0.3, -2.3, 0.1, -0.8),
    "elbow": (72.0, -6.7, 12.1, 4.9, -6.7, -1.6, -0.8, 0.1, 1.1),
    "arm_abd": (4.0, -1.7, -2.2, -1.9, 1.4, -0.9, 0.2),
    "pelvis_yaw": (0, -6.25, 4.20, -0.20, -0.09, 0.22, 0.05),
    "pelvis_roll": (0, 2.22, -0.33, 0, 0.18, -3.56, 0.06, 0.10, 0.08),
    "shoulder_yaw": (0, 11.28, -2.18, -0.14, -0.12, -0.99, -0.41),
    "shoulder_roll": (0, -0.42, -1.43, 0, 0, 0.46, 0.08),
    "trunk_lean": (0, 0, 1.15, 0.17, 0, 0.13, 0.44, 0.16, 0.35),
    "up": (0, 0, -0.18, 4.26, -3.85, 0, 0, -0.22, 0.30),
    "left": (0, -0.6, 1.2),
    "forward": (0, 0.64, -0.21, 1.26, 0.09, 0, 0, 0, 0.36),
}
BACKWARD = {
    **WALK,
    "arm_flex": (0, 6.6, 13.2, 0.2, 0.7, -0.7, 0.5, -0.1, 0),
    "elbow": (0, 4.0, 3.0),
    "arm_abd": (0, 1.0, 1.0),
    "pelvis_yaw": (0, 1.09, 2.79, 0, 0.06, -0.33, 0.79, 0, 0.07),
    "pelvis_roll": (0, 1.0, 1.6),
    "up": (0, 0, 0, -1.02, -1.55, 0, 0, 0.09, -0.08),
    "left": (0, -0.35, 2.97, 0, 0, 0, 0.08),
    "forward": (0, 0, 0, -0.8, 0.5),
}


def series(coefficients: tuple[float, ...], phase: np.ndarray) -> np.ndarray:
    """The Fourier series (a0, a1, b1, a2, b2, ...) at a phase in cycles."""
    total = np.full_like(phase, coefficients[0], dtype=float)
    pairs = np.reshape(coefficients[1:], (-1, 2))
    for k, (a, b) in enumerate(pairs, start=1):
        if a:
            total += a * np.cos(2 * np.pi * k * phase)
        if b:
            total += b * np.sin(2 * np.pi * k * phase)
    return total
