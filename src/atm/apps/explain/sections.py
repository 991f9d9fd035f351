"""An explanation as sections of a page, and as film strips for print."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from atm.alignment import AlignmentConfig
from atm.alignment.config import Margin
from atm.apps.explain.mined import Candidate, Explanation, IntraExample, Shown
from atm.pages.page import Column, TableRow, decimal, facts, note, paragraph, quoted, section, table
from atm.pages.strips import Strip
from atm.pages.viewer import Highlight, MotionView, Pane, viewer_html

GENERATED, REAL = "blue", "red"
RULES = {
    "negative": {
        "ratio": "the smallest ratio of generated to real distance (eq. 2)",
        "numerator": "the smallest distance between the generated motions (table 7)",
        "denominator": "the largest distance between the real motions (table 7)",
    },
    "positive proxy": {
        "ratio": "the largest ratio of generated to real distance (eq. 5)",
        "numerator": "the largest distance between the generated clips (table 7)",
        "denominator": "the smallest distance between the real clips (table 7)",
    },
    "negative proxy": {
        "ratio": "the smallest ratio of generated to real distance (eq. 6)",
        "numerator": "the smallest distance between the generated clips (table 7)",
        "denominator": "the largest distance between the real clips (table 7)",
    },
}
"""Rules of choice by kind of example, and a description of what each one looks for."""

SECTIONS = ("The motion and its hard negative", "Its least aligned clip and the two proxies")


def explanation_html(explanation: Explanation) -> str:
    """Return the explanation as sections of a page."""
    return "\n".join([_inter_section(explanation), _intra_section(explanation)])


def motion_strips(explanation: Explanation) -> list[Strip]:
    """Return the motion, its hard negative, and the real pair, as strips."""
    return [_strip(figure) for figure in _four(explanation)]


def clip_strips(intra: IntraExample, stand_in: str | None = None) -> list[Strip]:
    """Return the clip and its proxies, generated and real, as strips."""
    return [_strip(figure) for figure in _six(intra, stand_in)]


def _inter_section(explanation: Explanation) -> str:
    inter, config = explanation.inter, explanation.config
    of_real = "" if explanation.stand_in is None else " (its own: the stand-in's)"
    return section(
        SECTIONS[0],
        paragraph(
            f"Asked for: {quoted(inter.own.text)}. {_seen(explanation)} the generated motion (blue) was confused with "
            f"the one generated for {quoted(inter.negative.text)}: of all motions of the batch whose texts differ "
            f"enough to be a negative, this one has {RULES['negative'][config.inter.rule]}. The real pair (red) "
            "shows how different they should be."
        ),
        *_stand_in_note(explanation),
        viewer_html(MotionView("", [_pane(figure) for figure in _four(explanation)], darkens=True)),
        facts(
            {
                "distance generated to generated": f"{inter.generated_distance:.3f}",
                f"distance real to real{of_real}": f"{inter.real_distance:.3f}",
                "ratio": f"{inter.ratio:.2f}",
                "sentence to its motion": f"{inter.to_own:.3f}",
                "sentence to the negative": f"{inter.to_negative:.3f}",
                _margin_name(config.inter.margin): decimal(inter.margin),
                "loss": f"{inter.loss:.3f}",
            }
        ),
        paragraph(
            _hinge(inter.to_own, inter.to_negative, inter.margin, inter.loss, config.inter.negatives, "negatives")
        ),
        _candidates(
            "candidate",
            inter.candidates,
            _order_of(inter.candidates, config),
        ),
    )


def _intra_section(explanation: Explanation) -> str:
    intra, config = explanation.intra, explanation.config
    if intra is None:
        shortest = f"{config.intra.min_clip_seconds:g} s"
        return section(
            SECTIONS[1],
            paragraph(
                f"There is none: the motion is shorter than the shortest clip ({shortest}), or no other clip could be "
                "its proxy."
            ),
        )
    clips = "; ".join(f"{place}: {away:.3f}" for place, away in intra.away)
    return section(
        SECTIONS[1],
        paragraph(
            f"Distance of each generated clip to the real one at its place: {clips}. The largest is the least "
            f"aligned clip (eq. 4). It should resemble the positive proxy, from {quoted(intra.positive.text)} "
            f"({RULES['positive proxy'][config.intra.positive_rule]}: real clips close, generated ones far), and not "
            f"the negative proxy, from {quoted(intra.negative.text)} "
            f"({RULES['negative proxy'][config.intra.negative_rule]}: real clips far, generated ones close)."
        ),
        *([] if intra.acts else [_above_gamma(intra, config)]),
        viewer_html(_clip_view(intra, explanation.stand_in)),
        facts(
            {
                "clip to its real counterpart": f"{max(away for _, away in intra.away):.3f}",
                "clip to its positive proxy": f"{intra.positive_distances[0]:.3f}",
                "clip to its negative proxy": f"{intra.negative_distances[0]:.3f}",
                _margin_name(config.intra.margin): decimal(intra.margin),
                "loss" if intra.acts else "loss, if it counted": f"{intra.loss:.3f}",
                "cosine of the whole motions": decimal(intra.alike),
            }
        ),
        paragraph(
            _hinge(
                intra.positive_distances[0], intra.negative_distances[0], intra.margin, intra.loss,
                config.intra.proxy_pairs, "proxy pairs",
            )
        ),
        _candidates("positive proxy", intra.positives, "Candidates for the positive proxy, best first by the rule."),
        _candidates("negative proxy", intra.negatives, "Candidates for the negative proxy, best first by the rule."),
    )  # fmt: skip


def _seen(explanation: Explanation) -> str:
    if explanation.noise_level is None:
        return f"In a batch of {explanation.batch_size},"
    return (
        f"In a training step on a batch of {explanation.batch_size}, from a motion noised to "
        f"{100 * explanation.noise_level:.0f}\u00a0% of the schedule,"
    )


def _stand_in_note(explanation: Explanation) -> list[str]:
    if explanation.stand_in is None:
        return []
    return [
        note(
            "No real motion belongs to your sentence. That of the most alike caption of the data set stands in, in "
            f"every figure that speaks of its real motion: {quoted(explanation.stand_in)}.",
            "warn",
        )
    ]


def _above_gamma(intra: IntraExample, config: AlignmentConfig) -> str:
    return note(
        f"The loss did not count here: the motion as a whole lies at cosine {intra.alike:.3f} of the real one, and it "
        f"acts below γ = {config.intra.gamma:g} only. Shown is what was mined.",
        "warn",
    )


def _margin_name(margin: Margin) -> str:
    return "margin from the real pair" if margin == "adaptive" else "margin, fixed"


def _order_of(candidates: Sequence[Candidate], config: AlignmentConfig) -> str:
    text = "Candidates, best first by the rule"
    if any(candidate.barred for candidate in candidates):
        text += f", then those that are barred: their text may say the same, since it {_barred_by(config)}"
    return f"{text}."


def _barred_by(config: AlignmentConfig) -> str:
    if config.similarity == "meaning":
        return f"means the same, or is more alike than ε = {config.epsilon:g} and contradicts in nothing"
    where = "in the space" if config.similarity == "space" else f"for {config.sentence_encoder}"
    return f"is more alike {where} than ε = {config.epsilon:g}"


def _hinge(near: float, far: float, margin: float, loss: float, count: int, what: str) -> str:
    """Return the loss as a sum that can be followed."""
    one = max(0.0, near - far + margin)
    text = f"Loss: max(0, {near:.3f} − {far:.3f} {'+' if margin >= 0 else '−'} {abs(margin):.3f}) = {one:.3f}."
    return text if count == 1 else f"{text} Of {count} {what} the first is shown; the mean over all is {loss:.3f}."


def _candidates(first: str, candidates: Sequence[Candidate], caption: str) -> str:
    with_text = candidates[0].similarity is not None
    columns = [
        Column("", "", prose=True),
        Column("generated", "distance"),
        Column("real", "distance"),
        Column("ratio", "generated / real"),
        *([Column("texts", "cosine")] if with_text else []),
    ]
    rows = [
        TableRow(
            f"{quoted(candidate.text)}" + (f", {candidate.place}" if candidate.place else ""),
            [
                "chosen" if candidate.chosen else "too alike" if candidate.barred else "",
                candidate.generated_distance,
                candidate.real_distance,
                f"{candidate.ratio:.2f}",
                *([candidate.similarity] if with_text else []),
            ],
            reference=candidate.barred,
            best=range(len(columns)) if candidate.chosen else (),
        )
        for candidate in candidates
    ]
    return table(first, columns, rows, caption=caption)


class _Figure(NamedTuple):
    """One figure of a view or a sheet."""

    name: str
    shown: Shown
    generated: bool
    caption: str

    @property
    def joints(self) -> Float[np.ndarray, "T J 3"]:
        return self.shown.generated if self.generated else self.shown.real

    @property
    def colour(self) -> str:
        return GENERATED if self.generated else REAL


def _four(explanation: Explanation) -> list[_Figure]:
    own, negative, stand_in = explanation.inter.own, explanation.inter.negative, explanation.stand_in
    return [
        _Figure("generated", own, True, own.text),
        _Figure("hard negative, generated", negative, True, negative.text),
        _Figure("real" if stand_in is None else "real stand-in", own, False, stand_in or own.text),
        _Figure("hard negative, real", negative, False, negative.text),
    ]


def _six(intra: IntraExample, stand_in: str | None) -> list[_Figure]:
    """Return generated ones first."""

    def caption(shown: Shown, generated: bool) -> str:
        """Return the caption of a clip: a stand-in's own, or the sentence asked for at clips of the motion itself."""
        return stand_in if stand_in and not generated and shown.id == intra.anchor.id else shown.text

    named = {"least aligned clip": intra.anchor, "positive proxy": intra.positive, "negative proxy": intra.negative}
    return [
        _Figure(f"{name}, {'generated' if generated else 'real'}", shown, generated, caption(shown, generated))
        for generated in (True, False)
        for name, shown in named.items()
    ]


def _clip_view(intra: IntraExample, stand_in: str | None) -> MotionView:
    """Return generated above, real below; the motions are shifted in time so that the clips play together."""
    figures = _six(intra, stand_in)
    begin = [figure.shown.span[0] / figure.shown.skeleton.fps for figure in figures]
    panes = [_pane(figure, begins=max(begin) - own) for figure, own in zip(figures, begin, strict=True)]
    return MotionView("", panes, columns=3, start=max(begin), darkens=True)


def _pane(figure: _Figure, *, begins: float = 0.0) -> Pane:
    shown = figure.shown
    return Pane(
        figure.name,
        figure.joints,
        figure.colour,
        highlights=[] if shown.span is None else [Highlight(*shown.span, label="clip")],
        caption=f"{quoted(figure.caption)}" + (f" ({shown.place})" if shown.place else ""),
        skeleton=shown.skeleton,
        begins=begins,
    )


def _strip(figure: _Figure) -> Strip:
    shown = figure.shown
    return Strip(figure.name, figure.joints, figure.colour, figure.caption, shown.span, shown.skeleton)
