"""A comparison as sections of a page: who did what was asked, and the motions side by side."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from atm.apps.compare.answers import Answer
from atm.pages.page import TableRow, paragraph, quoted, section, table
from atm.pages.viewer import MotionView, Pane, viewer_html
from atm.scripted.oracles import oracle_scores

SECTIONS = ("Who did what was asked", "Prompt by prompt", "The motions")
ATTRIBUTES = {"all": "everything", "count": "count", "side": "side", "direction": "direction", "order": "order"}
"""Names of the scores that `oracle_scores` gives, and the words that stand for them in tables."""
MOST_MOTIONS = 120
"""Motions that a page shows: about 40 kB each, so that it stays below 5 MB."""


def scores(answers: Sequence[Answer]) -> dict[str, dict[str, dict[str, float]]]:
    """Return oracle scores of each model, over all its motions that were judged."""
    models = dict.fromkeys(answer.model for answer in answers)
    verdicts = {
        model: [one.examined.verdict for one in answers if one.model == model and one.examined] for model in models
    }
    return {model: oracle_scores(found) if found else {} for model, found in verdicts.items()}


def score_rows(answers: Sequence[Answer]) -> list[tuple[str, list[str | None]]]:
    """Return each model with its right ones of those asked, for each of `ATTRIBUTES`: "7 of 12"."""
    rows = []
    for model, found in scores(answers).items():
        counts = {name: found.get(name) for name in ATTRIBUTES}
        rows.append((model, [_of(one) for one in counts.values()]))
    return rows


def score_section(answers: Sequence[Answer]) -> str:
    """Return how many motions of each model did what was asked, by attribute."""
    rows = [TableRow(model, cells) for model, cells in score_rows(answers)]
    return section(
        SECTIONS[0],
        table(
            "model", list(ATTRIBUTES.values()), rows,
            caption=(
                "Motions that were right, of those whose prompt asks for it, as the oracles read the joint positions. "
                "So few motions are an impression; `atm evaluate` on scripted data measures."
            ),
        ),
    )  # fmt: skip


def prompt_section(answers: Sequence[Answer]) -> str:
    """Return, for every prompt and model, the motions that did all that was asked."""
    models = list(dict.fromkeys(answer.model for answer in answers))
    rows = []
    for prompt, own in _by_prompt(answers):
        cells = []
        for model in models:
            judged = [answer.examined.verdict.right for answer in own if answer.model == model and answer.examined]
            cells.append(f"{sum(judged)} of {len(judged)}" if judged else None)
        rows.append(TableRow(quoted(prompt.text), cells))
    caption = "Motions with everything as asked. A dash: the prompt asks for nothing that the oracles know."
    return section(SECTIONS[1], table("prompt", models, rows, caption=caption))


def motion_section(answers: Sequence[Answer]) -> str:
    """Return the motions themselves, prompt by prompt; the page holds at most `MOST_MOTIONS`."""
    shown, parts = 0, []
    for prompt, own in _by_prompt(answers):
        if shown + len(own) > MOST_MOTIONS:
            parts.append(paragraph(f"The page ends here, at {shown} motions; the tables above hold all prompts."))
            break
        parts.append(answer_view(own))
        if prompt.asked.unread:
            parts.append(paragraph(f"Not judged, since the oracles do not know it: {', '.join(prompt.asked.unread)}."))
        shown += len(own)
    return section(
        SECTIONS[2],
        paragraph(
            "Left limbs are warm, right limbs cool. Below each figure: what the oracles, which see joint positions "
            "only, say of what was asked."
        ),
        *parts,
    )


def answer_view(answers: Sequence[Answer], labels: Mapping[str, str] | None = None) -> str:
    """Return the motions of one prompt, in step: a column for each model, a row for each noise.

    Args:
        answers: to one prompt.
        labels: what to call a model, where its name will not do.
    """
    models = list(dict.fromkeys(answer.model for answer in answers))
    several = len(answers) > len(models)
    panes = [
        Pane(
            (labels or {}).get(answer.model, answer.model) + (f", noise {answer.sample + 1}" if several else ""),
            answer.joints,
            caption="not judged" if answer.examined is None else str(answer.examined),
            skeleton=answer.skeleton,
        )
        for answer in answers
    ]
    return viewer_html(MotionView(quoted(answers[0].prompt.text), panes, columns=len(models)))


def _by_prompt(answers: Sequence[Answer]):
    for prompt, own in groupby(answers, key=lambda answer: answer.prompt):
        yield prompt, list(own)


def _of(score: dict[str, float] | None) -> str | None:
    return None if score is None else f"{round(score['right'] * score['n'])} of {round(score['n'])}"
