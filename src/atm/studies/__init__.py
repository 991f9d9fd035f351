"""The paper's tables and figures as commands: lists of configs, run as jobs, and compared."""

from atm.studies.jobs import Plan
from atm.studies.known import STUDIES, find_study
from atm.studies.run import Engine, print_study, run_study
from atm.studies.study import Row, Study, as_yaml, is_file_name, read_study

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
