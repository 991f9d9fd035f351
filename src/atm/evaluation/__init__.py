"""The field's evaluator, its metrics and its protocol, and measures that no training can fool."""

from atm.evaluation.evaluator import Evaluator, EvaluatorConfig
from atm.evaluation.kinematics import KinematicReference
from atm.evaluation.protocol import Generate, entries_of, evaluate, evaluate_folder, reference_of
from atm.evaluation.published import PublishedProtocol, published_protocol
from atm.evaluation.replication import Entry
from atm.evaluation.report import REAL, Multimodality, Report, table
from atm.evaluation.weights import load_evaluator, save_evaluator

__all__ = [
    "REAL",
    "Entry",
    "Evaluator",
    "EvaluatorConfig",
    "Generate",
    "KinematicReference",
    "Multimodality",
    "PublishedProtocol",
    "Report",
    "entries_of",
    "evaluate",
    "evaluate_folder",
    "load_evaluator",
    "published_protocol",
    "reference_of",
    "save_evaluator",
    "table",
]
