"""The evaluator's row of the table of models."""

from atm.evaluation.evaluator import EvaluatorConfig
from atm.evaluation.presets import fitted, from_data_statistics
from atm.evaluation.weights import RELEASE
from atm.interface import ModelSpec

SPECS = (ModelSpec("evaluator", EvaluatorConfig, from_data_statistics, fit=fitted, release=RELEASE),)
