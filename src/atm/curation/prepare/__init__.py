"""Data folders in HumanML3D's layout out of motion capture files."""

from atm.curation.prepare.from_amass import prepare_amass
from atm.curation.prepare.from_bvh import prepare_bvh

__all__ = ["prepare_amass", "prepare_bvh"]
