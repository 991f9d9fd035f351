"""The main job in one command: data, two arms, evaluation, a page to look at."""

from atm.apps.demo.run import run_demo

__all__ = ["run_demo"]
