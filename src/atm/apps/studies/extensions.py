"""Studies that go beyond the paper."""

from atm.apps.studies.study import Row, Study

PAPER_EPSILON = "alignment.epsilon=0.85"
MEANING = "alignment.similarity=meaning"
COUNTERFACTUAL = "alignment.counterfactual.weight=1"
"""Two captions that differ in a number lie close: at 0.1, the small presets' weight of the other losses, this loss is a
tenth of theirs, as measured on a trained generator."""


def meaning() -> Study:
    """Return numbers, sides and directions: the limit that the paper names, and what is done about it here."""
    return Study(
        name="meaning",
        title="Do the losses hear numbers, sides and directions?",
        about=(
            "The paper names its limit: texts that differ in a number, a side or a direction alone are too similar for "
            "the language model, so they are never negatives. Ours: captions whose meanings contradict are negatives "
            "all the same, and each caption is set against a copy with one number, side or direction exchanged. For "
            "scripted motions, where oracles know what was asked; the scores of combinations that training never shows "
            "stand apart. Give alignment.space=RUN, a space that was taught numbers (docs/studies.md): the packaged "
            "one does not hear them."
        ),
        against="baseline",
        metrics=tuple(
            f"oracle_{name}{of}" for of in ("", "_held_out") for name in ("count", "side", "direction", "all")
        ),
        rows=(
            Row(name="baseline", what="the model's own loss alone", settings=("alignment=none",)),
            Row(name="atm", what="both losses, the preset's epsilon"),
            Row(name="atm-0.85", what="both losses, the paper's epsilon", settings=(PAPER_EPSILON,)),
            Row(name="meaning", what="negatives by meaning", settings=(PAPER_EPSILON, MEANING)),
            Row(
                name="counterfactual",
                what="and counterfactual captions",
                settings=(PAPER_EPSILON, MEANING, COUNTERFACTUAL),
            ),
        ),
    )
