"""Why a loss is what it is: which example was mined for a generated motion, by which numbers, and how it looks."""

from atm.apps.explain.mined import Explanation, explain_batch
from atm.apps.explain.sections import explanation_html

__all__ = ["Explanation", "explain_batch", "explanation_html"]
