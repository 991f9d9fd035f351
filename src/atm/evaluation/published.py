"""The protocols that published systems were evaluated by, as far as they are known."""

from typing import Literal

from atm.base.config import Config
from atm.base.errors import InputError
from atm.evaluation.evaluator import Tail
from atm.evaluation.report import REPEATS, SAMPLES, Multimodality

Rules = Literal["ours", "published"]
"""`ours` measures every system in the same way, and zeroes frames behind a motion's end; `published` measures each as
its authors did."""
PUBLISHED_TAIL: Tail = "published"


class PublishedProtocol(Config):
    """How a system's authors evaluated it; 20 replications, and tails as they came, in every one."""

    authors: str
    """Authors of the evaluation."""
    samples: int | None = None
    """Generated motions of a replication, rounded up to whole batches of 32; None: one for each entry."""
    multimodality: Multimodality = Multimodality()
    note: str
    """Note that a reader of the numbers should know."""


GUO = PublishedProtocol(
    authors="Guo et al. 2022",
    note="lengths are those of the drawn real motions (Guo et al. drew theirs from a length estimator)",
)
MDM = PublishedProtocol(
    authors="MDM",
    samples=SAMPLES,
    multimodality=Multimodality(texts=128),
    note="the authors took MultiModality from 5 replications of their own, here it is of all; their numbers of before "
    "25 Jan 2024 count captions by their padded length",
)
MOMASK = PublishedProtocol(
    authors="MoMask",
    multimodality=Multimodality(texts=96),
    note="the authors took the last of the 30 motions of a MultiModality text for the other metrics, too",
)

_KNOWN = {"mdm": MDM, "momask": MOMASK}


def published_protocol(system: str) -> PublishedProtocol:
    """Return how the authors of a system evaluated it.

    Source: the public evaluation code of Guo et al. 2022, MDM and MoMask. Which pool and how many texts MLD,
    MotionDiffuse, ReMoDiffuse and BAMM published their numbers with is not known to us: they take the protocol of Guo
    et al. 2022, which their papers name, and their reports say so.
    """
    if system in _KNOWN:
        return _KNOWN[system]
    unknown = f"how many motions and MultiModality texts the numbers of {system} were published with is not known to us"
    return GUO.model_copy(update={"note": f"{unknown}; {GUO.note}"})


def check_rules(rules: str, *, repeats: int | None, limit: int | None, tail: str | None, chosen: bool) -> None:
    """Refuse options that contradict the published protocol.

    Args:
        rules: which protocol was asked for.
        repeats: replications that were asked for; None: those of the protocol. So with `limit` and `tail`.
        limit: motions of a replication.
        tail: frames behind a motion's end.
        chosen: the best of several motions is evaluated.

    Raises:
        InputError: no such protocol, or an option that it does not leave open.
    """
    if rules not in ("ours", "published"):
        raise InputError(f"--protocol takes ours or published, got {rules!r}")
    if rules == "ours":
        return
    clashes = {
        f"--repeats {repeats}": repeats not in (None, REPEATS) and f"it has {REPEATS} replications",
        f"--limit {limit}": limit is not None and "the system's authors decide how many motions are generated",
        f"--tail {tail}": tail not in (None, PUBLISHED_TAIL) and "it leaves frames behind a motion's end as they came",
        "--best-of": chosen and "it evaluates every motion that is generated",
    }
    for option, reason in clashes.items():
        if reason:
            raise InputError(
                f"--protocol published and {option} contradict each other: {reason}. Leave one of them out"
            )
