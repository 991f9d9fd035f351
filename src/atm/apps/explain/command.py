"""`atm explain`: from paths to a page and its film strips."""

from pathlib import Path

from atm.apps.explain.mined import NOISE, Explanation
from atm.apps.explain.sections import SECTIONS, clip_strips, explanation_html, motion_strips
from atm.apps.explain.subject import open_subject
from atm.apps.explain.survey import SECTIONS as SURVEYED
from atm.apps.explain.survey import survey, survey_html, training_html
from atm.apps.generate import check_text
from atm.base.errors import InputError
from atm.base.outputs import check_output, output
from atm.pages.page import contents, page
from atm.pages.strips import strips_image, strips_svg

SURVEY_BATCHES = 4
POSES = 8
"""Number of poses in a film strip."""


def explain_model(
    model: Path | None,
    *,
    data: Path | None = None,
    index: int | None = None,
    text: str | None = None,
    noise: float = NOISE,
    sampled: bool = False,
    space: Path | None = None,
    split: str = "train",
    batches: int = SURVEY_BATCHES,
    seed: int = 0,
    out: Path,
    show_progress: bool = True,
) -> list[Path]:
    """Explain what the losses mine for one motion of a model, and what they did in its run.

    The batch that is mined is drawn from the split by the seed alone; with `index` that motion is among it. It has
    the size of the run's batches. With `text` the batch is made for the sentence: half of it the most alike captions
    of the split, the other half the most alike of those that differ enough to be negatives, one per motion; all are
    sampled in full, as long as their real motions, and the most alike caption's real motion stands in for the one
    that the sentence has not.

    Args:
        model: run folder or model file; None: the packaged generator. What the losses are is read from the run; a
            run without them, or a file, is explained by the paper's choices, with the space's own epsilon.
        data: data folder; None: the run's.
        index: place of a motion in the split, counted from 0; None: the motion whose example tells most.
        text: a sentence of your own, in place of an index.
        noise: most noise on the motions that a training step of a diffusion model estimates, 0 to 1. The survey has
            all levels, as training has.
        sampled: mine among motions sampled in full from the batch's sentences, not among the estimates that a
            training step makes of noised motions.
        space: run folder or model file of the space; None: the run's, else the packaged one.
        split: of the data folder.
        batches: how many are mined for the survey of the model's present state; 0: no survey.
        seed: of batches, captions, crops and noise.
        out: the page (.html); film strips are written beside it.
        show_progress: bars.

    Returns:
        The film strips' paths and, last, the page's.

    Raises:
        InputError: no data named, an index outside the split, both an index and a text, a noise level outside 0 to 1,
            or what `explain_batch` and the loaders raise.
    """
    if index is not None and text is not None:
        raise InputError("explain one motion: give either an index or a text, not both")
    if not 0 <= noise <= 1:
        raise InputError(f"a noise level lies between 0 (none) and 1 (nothing but noise), got {noise:g}")
    if text is not None:
        check_text([text])
    if out.suffix.lower() != ".html":
        raise InputError(f"the explanation is a page: expected a path that ends in .html, got {out}")
    check_output(out)
    subject = open_subject(model, data=data, space=space, split=split)
    if text is None:
        batch, row = subject.batch(index, seed)
        explanation = subject.explain(batch, row, seed, noise=noise, sampled=sampled, show_progress=show_progress)
    else:
        explanation = subject.explain_sentence(text, seed, show_progress=show_progress)
    parts = [explanation_html(explanation), training_html(subject.metrics, subject.losses)]
    headings = [*SECTIONS, SURVEYED[0]]
    if batches:
        drawn = [subject.batch(None, seed + 1 + number)[0] for number in range(batches)]
        found = survey(subject.generator, subject.alignment, drawn, seed=seed, show_progress=show_progress)
        parts.append(survey_html(found))
        headings.append(SURVEYED[1])
    html = page(
        "What the losses see",
        [contents(headings), *parts],
        kicker="atm explain",
        lead=(
            "One generated motion, the examples that the alignment losses mined for it, and the number behind each "
            "choice. Generated figures are blue, real ones red; space plays, drag turns."
        ),
        footer=f"{subject.name}; {subject.data}, split {split}, seed {seed}",
    )
    strips = _write_strips(explanation, out)
    with output(out) as part:
        part.write_text(html, encoding="utf-8")
    return [*strips, out]


def _write_strips(explanation: Explanation, out: Path) -> list[Path]:
    """Return film strips beside the page: of the motions and, where there are clips, of these."""
    sheets = {"motions": motion_strips(explanation)}
    if explanation.intra is not None:
        sheets["clips"] = clip_strips(explanation.intra, explanation.stand_in)
    paths = []
    for name, strips in sheets.items():
        for suffix in ("png", "svg"):
            path = out.with_name(f"{out.stem}-{name}.{suffix}")
            with output(path) as part:
                if suffix == "png":
                    strips_image(strips, POSES).save(part, format="PNG")
                else:
                    part.write_text(strips_svg(strips, POSES), encoding="utf-8")
            paths.append(path)
    return paths
