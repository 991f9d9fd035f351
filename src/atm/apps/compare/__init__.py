"""Several models on the same sentences and the same noise, side by side, each motion with the oracles' verdict."""

from atm.apps.compare.answers import Answer, answer_prompts
from atm.apps.compare.prompts import Prompt, packaged_prompts, read_prompts
from atm.scripted.examine import Finding, examine

__all__ = ["Answer", "Finding", "Prompt", "answer_prompts", "examine", "packaged_prompts", "read_prompts"]
