"""Motion files: npz, BVH, GLB. Pictures and pages are in `atm.pages`; `atm.apps.export` writes any kind."""

from atm.export.npz import MotionFile, load_motion, load_motions

__all__ = ["MotionFile", "load_motion", "load_motions"]
