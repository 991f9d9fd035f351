"""The paper's tables and figures as commands: lists of configs, run as jobs, and compared."""

from atm.apps.studies.jobs import Plan
from atm.apps.studies.registry import STUDIES, find_study
from atm.apps.studies.run import Engine, print_study, run_study
from atm.apps.studies.study import Row, Study, as_yaml, is_file_name, read_study

__all__ = [
    "STUDIES",
    "Engine",
    "Plan",
    "Row",
    "Study",
    "as_yaml",
    "find_study",
    "is_file_name",
    "print_study",
    "read_study",
    "run_study",
]
