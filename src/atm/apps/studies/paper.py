"""The paper's tables and figures as studies, with the figures that it prints.

Figures of the supplement (tables 6 to 8, figures 6 and 7) are as printed. Those of the main paper (tables 1 to 5) are
second-hand: they were taken from a public reading note.
"""

from collections.abc import Callable, Sequence

from atm.apps.studies.study import DATABASE, Row, Said, Study

H3D, KIT = "HumanML3D", "KIT-ML"
WITHOUT = ("alignment=none",)
"""Of rows whose preset has no losses, too: a user's `alignment.space=RUN` would turn them on."""
ARMS = {"": WITHOUT, "_atm": ()}
"""Endings of the names of presets and rows, and what their rows change."""
BUILDS_ON = {
    "mld": ("model.vae=run:mld_vae",),
    "remodiffuse": (f"model.database=run:remodiffuse_database/{DATABASE}",),
}
"""Rows of `generators` that take what an earlier row has made."""
RULES = {"negative": "inter.rule", "positive-proxy": "intra.positive_rule", "negative-proxy": "intra.negative_rule"}
"""What chooses each kind of example."""
SECOND_HAND = "Its figures are second-hand."


def losses() -> Study:
    """Return table 3: each loss alone, and both."""
    return Study(
        name="losses",
        title="Which of the two losses helps?",
        about=f"Table 3 of the paper: without the losses, with each, with both. {SECOND_HAND}",
        against="none",
        rows=(
            Row(name="none", what="the model's own loss alone", settings=WITHOUT,
                published=_h3d(0.425, 0.570)),
            Row(name="inter", what="+ L_inter", settings=("alignment.intra.weight=0",), published=_h3d(0.502, 0.383)),
            Row(name="intra", what="+ L_intra", settings=("alignment.inter.weight=0",), published=_h3d(0.480, 0.391)),
            Row(name="both", what="+ both", published=_h3d(0.519, 0.320)),
        ),
    )  # fmt: skip


def margins() -> Study:
    """Return table 4: fixed margins against the adaptive one."""
    fixed = [
        Row(name=f"{margin}", what="a fixed margin", settings=_margins(f"{margin}"), said="worse")
        for margin in (0.1, 0.2, 0.3, 0.4, 0.5)
    ]
    adaptive = Row(name="adaptive", what="the margin of the real motions",
                   settings=_margins("adaptive"), published={H3D: {"r_precision_1": 0.519}})  # fmt: skip
    return Study(
        name="margins",
        title="A margin from the real motions, or a fixed one?",
        about=f"Table 4 of the paper: the best of the fixed margins has a top 1 of 0.420. {SECOND_HAND}",
        against="adaptive",
        rows=(*fixed, adaptive),
    )


def metric_losses() -> Study:
    """Return table 5: the inter-motion loss against plain metric losses."""
    rows = (("triplet", "triplet", 0.420), ("contrastive", "contrastive", 0.473), ("inter", "hard_negative", 0.502))
    return Study(
        name="metric-losses",
        title="The inter-motion loss, or a plain metric loss?",
        about=f"Table 5 of the paper; the intra-motion loss is off in every row. {SECOND_HAND}",
        settings=("alignment.intra.weight=0",),
        against="inter",
        rows=tuple(
            Row(name=name, settings=(f"alignment.inter.loss={value}",), published={H3D: {"r_precision_1": top}})
            for name, value, top in rows
        ),
    )


def examples() -> Study:
    """Return table 6: more than one hard negative, more than one proxy pair."""
    rows = (
        ("one", "one hard negative, one proxy pair", (), 0.434, 0.354),
        ("negatives-3", "3 hard negatives", ("alignment.inter.negatives=3",), 0.421, 0.366),
        ("negatives-5", "5 hard negatives", ("alignment.inter.negatives=5",), 0.416, 0.362),
        ("proxies-3", "3 proxy pairs", ("alignment.intra.proxy_pairs=3",), 0.402, 0.525),
        ("proxies-5", "5 proxy pairs", ("alignment.intra.proxy_pairs=5",), 0.367, 0.779),
    )
    return Study(
        name="examples",
        title="How many hard negatives and proxies?",
        about="Table 6 of the paper (KIT-ML).",
        against="one",
        rows=tuple(
            Row(name=name, what=what, settings=settings, published={KIT: {"r_precision_1": top, "fid": fid}})
            for name, what, settings, top, fid in rows
        ),
    )


def rules() -> Study:
    """Return table 7: what hard negatives and proxies are chosen by."""
    printed = {
        "negative": ((0.463, 0.879), (0.435, 1.263)),
        "positive-proxy": ((0.383, 0.936), (0.492, 1.195)),
        "negative-proxy": ((0.406, 0.793), (0.495, 1.476)),
    }
    rows = [Row(name="ratio", what="generated over real distance everywhere", published=_h3d(0.519, 0.320))]
    for example, figures in printed.items():
        for rule, (top, fid) in zip(("numerator", "denominator"), figures, strict=True):
            setting = f"alignment.{RULES[example]}={rule}"
            what = f"{example.replace('-', ' ')}: {rule} only"
            rows.append(Row(name=f"{example}-{rule}", what=what, settings=(setting,), published=_h3d(top, fid)))
    return Study(
        name="rules",
        title="What are hard examples chosen by?",
        about="Table 7 of the paper (HumanML3D); ours has real motions in the denominator, see docs/paper.md.",
        against="ratio",
        rows=tuple(rows),
    )


def cost() -> Study:
    """Return table 8: what the losses cost."""
    rows = (
        ("baseline", "the model's own loss alone", "alignment=none", 97.9, 10.9),
        ("inter", "+ L_inter", "alignment.intra.weight=0", 111.2, 12.7),
        ("intra", "+ L_intra", "alignment.inter.weight=0", 113.8, 12.8),
        ("both", "+ both", None, 114.1, 12.9),
    )
    timed = [
        Row(
            name=name, what=what, settings=("steps=400000", *([setting] if setting else [])),
            published={KIT: {"step_ms": ms, "hours": hours}},
        )
        for name, what, setting, ms, hours in rows
    ]  # fmt: skip
    space = Row(name="space", what="training the space, once for all generators", base="space_scripted",
                published={KIT: {"hours": 5.4}})  # fmt: skip
    return Study(
        name="cost",
        title="What do the losses cost?",
        about="Table 8 of the paper (KIT-ML): one training step, and 400,000 of them; of the space: all its steps.",
        kind="cost",
        against="baseline",
        metrics=("step_ms", "hours"),
        rows=(*timed, space.model_copy(update={"against": "space"})),
    )


def weight() -> Study:
    """Return figure 6: lambda."""
    values = ("0.001", "0.003", "0.01", "0.03", "0.1")
    return _sweep(
        "weight", "How much do the losses weigh?", "Figure 6 of the paper: λ is best at 0.01.", "λ", values, "0.01",
        lambda value: (f"alignment.inter.weight={value}", f"alignment.intra.weight={value}"),
        said=["worse", "worse", None, "worse", "worse"],
    )  # fmt: skip


def batch() -> Study:
    """Return figure 6: batch size."""
    return _sweep(
        "batch", "How large a batch?", "Figure 6 of the paper: no gain above a batch of 64.", "batch size",
        ("16", "32", "64", "128"), "64", lambda value: (f"batch_size={value}",), said=[None, None, None, "no better"],
    )  # fmt: skip


def clip() -> Study:
    """Return figure 6: clip duration."""
    return _sweep(
        "clip", "How long a clip?", "Figure 6 of the paper: clips of 2 s are best.", "clip, seconds",
        ("1", "1.5", "2", "2.5", "3"), "2", lambda value: (f"alignment.intra.clip_seconds={value}",),
        said=["worse", "worse", None, "worse", "worse"],
    )  # fmt: skip


_COSINES = ("0.70", "0.75", "0.80", "0.85", "0.90", "0.95")


def epsilon() -> Study:
    """Return figure 7: epsilon."""
    about = (
        "Figure 7 of the paper: ε is best at 0.85, a raw cosine of its sentence encoder. In another encoder the same "
        "number means another thing, see docs/results/epsilon.md."
    )
    return _sweep(
        "epsilon", "When are two texts too alike to be negatives?", about, "ε", _COSINES, "0.85",
        lambda value: (f"alignment.epsilon={value}",), said=["worse", "worse", "worse", None, "worse", "worse"],
    )  # fmt: skip


def gamma() -> Study:
    """Return figure 7: gamma."""
    return _sweep(
        "gamma", "When is a motion good enough for L_intra to rest?", "Figure 7 of the paper: γ is best at 0.8.", "γ",
        _COSINES, "0.80", lambda value: (f"alignment.intra.gamma={value}",),
        said=["worse", "worse", None, "worse", "worse", "worse"],
    )  # fmt: skip


def generators() -> Study:
    """Return tables 1 and 2: each generator without the losses and with them."""
    stages = [
        Row(name="mld_vae", what="MLD's first stage", base="mld_vae_small", settings=WITHOUT, measured=False),
        Row(name="remodiffuse_database", base="remodiffuse_small", settings=WITHOUT, measured=False, database=True),
        Row(name="momask_length", base="momask_length_small", settings=WITHOUT, measured=False),
    ]
    for arm, losses in ARMS.items():
        tokeniser = f"momask_rvq{arm}"
        stages.append(Row(name=tokeniser, base=f"momask_rvq_small{arm}", settings=losses, measured=False))
        stages += [
            Row(name=f"{stage}{arm}", base=f"{stage}_small",
                settings=(*WITHOUT, f"model.tokeniser=run:{tokeniser}"), measured=False)
            for stage in ("momask_mask", "momask_residual", "bamm_transformer")
        ]  # fmt: skip
    whole = [
        Row(name=f"{name}{arm}", base=f"{name}_small{arm}", settings=(*losses, *BUILDS_ON.get(name, ())))
        for name in ("mdm", "mld", "motiondiffuse", "remodiffuse")
        for arm, losses in ARMS.items()
    ]
    assembled = [
        Row(name=f"{name}{arm}", assembles=name, of=tuple(f"{stage}{arm}" for stage in stages_of) + shared)
        for name, stages_of, shared in (
            ("momask", ("momask_rvq", "momask_mask", "momask_residual"), ("momask_length",)),
            ("bamm", ("momask_rvq", "bamm_transformer", "momask_residual"), ()),
        )
        for arm in ARMS
    ]
    printed = {
        "mdm": {H3D: (0.425, 0.570), KIT: (0.392, 0.566)},
        "mdm_atm": {H3D: (0.519, 0.320), KIT: (0.434, 0.354)},
        "momask_atm": {H3D: (0.528, 0.043)},
    }
    return Study(
        name="generators",
        title="Do the losses help every generator?",
        about=(
            "Tables 1 and 2 of the paper: each generator without and with the losses. In token models they act on the "
            f"tokeniser, and the rest is trained on it unchanged (eq. 10, 11). {SECOND_HAND}"
        ),
        rows=tuple(_beside(row, printed.get(row.name, {})) for row in (*stages, *whole, *assembled)),
    )


def _margins(value: str) -> tuple[str, ...]:
    """Return one margin for every loss."""
    return tuple(f"alignment.{loss}.margin={value}" for loss in ("inter", "intra", "counterfactual"))


def _beside(row: Row, printed: dict[str, tuple[float, float]]) -> Row:
    """Return the row with what the paper prints, compared with the same generator without the losses."""
    published = {data: {"r_precision_1": top, "fid": fid} for data, (top, fid) in printed.items()}
    against = row.name.removesuffix("_atm") if row.measured and row.name.endswith("_atm") else None
    return row.model_copy(update={"published": published, "against": against})


def _h3d(top: float, fid: float) -> dict[str, dict[str, float]]:
    return {H3D: {"r_precision_1": top, "fid": fid}}


def _sweep(
    name: str,
    title: str,
    about: str,
    x_label: str,
    values: Sequence[str],
    against: str,
    settings: Callable[[str], tuple[str, ...]],
    *,
    said: Sequence[Said | None],
) -> Study:
    """Return one quantity in several sizes; the paper prints a curve and names the best."""
    rows = [Row(name=value, settings=settings(value), said=word) for value, word in zip(values, said, strict=True)]
    return Study(name=name, title=title, about=about, x_label=x_label, against=against, rows=tuple(rows))
