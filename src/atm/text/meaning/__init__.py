"""Fine-grained meaning: captions as actions with count, side, direction, speed and order, and where two contradict."""

from atm.text.meaning.batch import MeaningReader
from atm.text.meaning.compare import Difference, MeaningAttribute, differs, same_meaning
from atm.text.meaning.counterfactual import Counterfactual, counterfactuals
from atm.text.meaning.parser import parse_meaning
from atm.text.meaning.structure import Count, Event, Meaning
from atm.text.meaning.told import VALUES, told

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
    "parse_meaning",
    "same_meaning",
    "told",
]
