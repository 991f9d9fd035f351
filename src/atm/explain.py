"""Why a loss is what it is: which example was mined for a generated motion, by which numbers, and how it looks.

The paper's figure 8: for a generated motion its hard negative and the real pair behind it; its least aligned clip,
the clips that became its proxies, and their real counterparts. Generated motions are blue, real ones red.
"""

from dataclasses import dataclass

import numpy as np
import torch

from atm.alignment import Alignment
from atm.alignment.distances import row_distance
from atm.errors import InputError
from atm.export.page import facts, paragraph, section
from atm.export.viewer import Highlight, MotionView, Pane, viewer_html
from atm.interface import Batch, Generator
from atm.motion import Motion

GENERATED, REAL = "blue", "red"


@dataclass(frozen=True)
class Shown:
    """A generated motion, or a clip of one, with the real one at its place."""

    text: str
    generated: np.ndarray
    """(T, J, 3) metres; the whole motion."""
    real: np.ndarray
    span: tuple[int, int] | None = None
    """Frames of the clip; None: the whole motion is meant."""


@dataclass(frozen=True)
class InterExample:
    """What the inter-motion loss saw."""

    own: Shown
    negative: Shown
    generated_distance: float
    """D(generated own, generated negative)."""
    real_distance: float
    to_own: float
    """D(text, generated own)."""
    to_negative: float
    """D(text, generated negative)."""
    margin: float
    loss: float

    @property
    def ratio(self) -> float:
        return self.generated_distance / max(self.real_distance, 1e-12)


@dataclass(frozen=True)
class IntraExample:
    """What the intra-motion loss saw."""

    anchor: Shown
    positive: Shown
    negative: Shown
    away: float
    """D(generated clip, real clip) of the least aligned clip."""
    positive_distances: tuple[float, float]
    """D(clip, proxy): generated, real."""
    negative_distances: tuple[float, float]
    margin: float
    loss: float


@dataclass(frozen=True)
class Explanation:
    """One row of a batch, explained."""

    inter: InterExample
    intra: IntraExample | None
    """None: the motion has no clip, or lies above gamma."""


def explain_batch(
    generator: Generator, alignment: Alignment, batch: Batch, *, seed: int = 0, row: int | None = None
) -> Explanation:
    """Run one training step on a batch, without training, and open it up.

    Args:
        generator: its estimate of the clean motion is what is explained, as in training.
        alignment: with both losses on and the ratio rule.
        batch: real motions and texts.
        seed: of noise levels and noise.
        row: which motion; None: the one with the largest inter-motion loss among those whose intra-motion loss acts.

    Raises:
        InputError: no row of the batch has a hard negative.
    """
    with torch.no_grad():
        step = generator.training_step(batch, torch.Generator().manual_seed(seed))
        if step.motion is None:
            raise InputError("this model's training step gives no motion: there is nothing to explain")
        generated = step.motion.detach()
        output = alignment(generated, batch, step.noise_level)
        if output.inter_detail is None or not output.inter_detail.valid[:, 0].any():
            raise InputError("no text of the batch differs enough from another to give a hard negative; lower epsilon")
        chosen = _most_telling(output) if row is None else row
        shown = _Shower(generated, batch)
        return Explanation(
            _inter(alignment, output, generated, batch, chosen, shown),
            _intra(alignment, output, generated, batch, chosen, shown),
        )


def explanation_html(explanation: Explanation) -> str:
    """The explanation as sections of a page."""
    inter, intra = explanation.inter, explanation.intra
    parts = [
        section(
            "The motion and its hard negative",
            paragraph(
                f"Asked for: “{inter.own.text}”. In this training step the generated motion (blue) was confused with "
                f"the one generated for “{inter.negative.text}”: of all motions of the batch that may serve as a "
                "negative, this one has the smallest ratio of generated to real distance (eq. 2). The real pair (red) "
                "shows how different they should be."
            ),
            viewer_html(
                MotionView(
                    "",
                    [
                        Pane("generated", inter.own.generated, GENERATED, caption=inter.own.text),
                        Pane("its hard negative", inter.negative.generated, GENERATED, caption=inter.negative.text),
                        Pane("real", inter.own.real, REAL, caption=inter.own.text),
                        Pane(
                            "real counterpart of the negative", inter.negative.real, REAL, caption=inter.negative.text
                        ),
                    ],
                )
            ),
            facts(
                {
                    "distance generated to generated": f"{inter.generated_distance:.3f}",
                    "distance real to real": f"{inter.real_distance:.3f}",
                    "ratio": f"{inter.ratio:.2f}",
                    "sentence to its motion": f"{inter.to_own:.3f}",
                    "sentence to the negative": f"{inter.to_negative:.3f}",
                    "margin from the real pair": f"{inter.margin:.3f}",
                    "loss": f"{inter.loss:.3f}",
                }
            ),
        )
    ]
    if intra is None:
        parts.append(paragraph("The motion as a whole lies above γ or has no clip: the intra-motion loss did not act."))
        return "\n".join(parts)
    names = (
        ("least aligned clip", intra.anchor),
        ("positive proxy", intra.positive),
        ("negative proxy", intra.negative),
    )
    parts.append(
        section(
            "Its least aligned clip and the two proxies",
            paragraph(
                "The highlighted clip is furthest from the real one at its place (eq. 4). It should resemble the "
                f"positive proxy, from “{intra.positive.text}” (real clips close, generated ones far), and not the "
                f"negative proxy, from “{intra.negative.text}” (real clips far, generated ones close): eq. 5 and 6."
            ),
            viewer_html(MotionView("generated", [_clip_pane(*name, generated=True) for name in names])),
            viewer_html(MotionView("real", [_clip_pane(*name, generated=False) for name in names])),
            facts(
                {
                    "clip to its real counterpart": f"{intra.away:.3f}",
                    "to the positive proxy, generated / real": _pair(intra.positive_distances),
                    "to the negative proxy, generated / real": _pair(intra.negative_distances),
                    "margin from the real clips": f"{intra.margin:.3f}",
                    "loss": f"{intra.loss:.3f}",
                }
            ),
        )
    )
    return "\n".join(parts)


def _pair(distances: tuple[float, float]) -> str:
    generated, real = distances
    return f"{generated:.3f} / {real:.3f} = {generated / max(real, 1e-12):.2f}"


def _clip_pane(name: str, shown: Shown, *, generated: bool) -> Pane:
    joints = shown.generated if generated else shown.real
    return Pane(
        name,
        joints,
        GENERATED if generated else REAL,
        highlights=[Highlight(*shown.span, label=name)],
        caption=shown.text,
    )


class _Shower:
    """Joints of rows and clips of a batch."""

    def __init__(self, generated: Motion, batch: Batch):
        self.generated, self.batch = generated, batch

    def __call__(self, row: int, span: tuple[int, int] | None = None) -> Shown:
        frames = int(self.batch.motion.lengths[row])
        both = [m[row : row + 1].joints[0, :frames].cpu().numpy() for m in (self.generated, self.batch.motion)]
        return Shown(self.batch.text[row], both[0], both[1], span)


def _most_telling(output) -> int:
    score = output.inter_detail.loss.clone()
    score[~output.inter_detail.valid[:, 0]] = -1
    if output.intra_detail is not None:
        acts = torch.zeros_like(score, dtype=torch.bool)
        acts[output.intra_detail.row] = output.intra_detail.loss > 0
        if acts.any():
            score[~acts] -= score.max() + 1
    return int(score.argmax())


def _inter(alignment, output, generated: Motion, batch: Batch, row: int, shown: _Shower) -> InterExample:
    detail = output.inter_detail
    other = int(detail.negative[row, 0])
    pick = torch.tensor([row, other])
    space, distance = alignment.space, alignment.config.distance
    z_text = space.encode_text([batch.text[row]]).float()
    z_generated = space.encode_motion(generated[pick]).float()
    z_real = space.encode_motion(batch.motion[pick]).float()
    to_text = [row_distance(z_text, z[k : k + 1], distance).item() for z in (z_generated, z_real) for k in (0, 1)]
    return InterExample(
        shown(row),
        shown(other),
        row_distance(z_generated[0], z_generated[1], distance).item(),
        row_distance(z_real[0], z_real[1], distance).item(),
        to_own=to_text[0],
        to_negative=to_text[1],
        margin=to_text[3] - to_text[2],
        loss=detail.loss[row].item(),
    )


def _intra(alignment, output, generated: Motion, batch: Batch, row: int, shown: _Shower) -> IntraExample | None:
    detail = output.intra_detail
    if detail is None or row not in detail.row.tolist():
        return None
    place = detail.row.tolist().index(row)
    if not detail.open[place] or not detail.positive.valid[place, 0] or not detail.negative.valid[place, 0]:
        return None
    numbers = [int(detail.anchor[place]), int(detail.positive.index[place, 0]), int(detail.negative.index[place, 0])]
    clips = type(detail.clips)(*(part[numbers] for part in detail.clips))
    space, distance = alignment.space, alignment.config.distance
    z_generated = space.encode_motion(clips.cut(generated)).float()
    z_real = space.encode_motion(clips.cut(batch.motion)).float()

    def apart(z: torch.Tensor, k: int) -> float:
        return row_distance(z[0], z[k], distance).item()

    spans = [(int(start), int(start + length)) for _, start, length in zip(*clips, strict=True)]
    anchor, positive, negative = (shown(int(owner), span) for owner, span in zip(clips.owner, spans, strict=True))
    return IntraExample(
        anchor,
        positive,
        negative,
        away=row_distance(z_generated[0], z_real[0], distance).item(),
        positive_distances=(apart(z_generated, 1), apart(z_real, 1)),
        negative_distances=(apart(z_generated, 2), apart(z_real, 2)),
        margin=apart(z_real, 2) - apart(z_real, 1),
        loss=detail.loss[place].item(),
    )
