"""Check of a data folder: its contents, its faults and what they mean; and a repaired copy."""

from atm.curation.check.findings import Finding, FolderReport
from atm.curation.check.folder import check_folder
from atm.curation.check.repair import repair_folder

__all__ = ["Finding", "FolderReport", "check_folder", "repair_folder"]
