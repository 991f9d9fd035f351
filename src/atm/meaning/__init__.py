"""Fine-grained meaning: captions as actions with count, side, direction, speed and order, and where two contradict."""

from atm.meaning.batch import MeaningReader
from atm.meaning.compare import Difference, MeaningAttribute, differs, same_meaning
from atm.meaning.counterfactual import Counterfactual, counterfactuals
from atm.meaning.exact_attributes import VALUES, exact_attributes
from atm.meaning.parser import parse_meaning
from atm.meaning.structure import Count, Event, Meaning

__all__ = [
    "VALUES",
    "Count",
    "Counterfactual",
    "Difference",
    "Event",
    "Meaning",
    "MeaningAttribute",
    "MeaningReader",
    "counterfactuals",
    "differs",
    "exact_attributes",
    "parse_meaning",
    "same_meaning",
]
