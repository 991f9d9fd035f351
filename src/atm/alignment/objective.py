"""The two losses put together: embed, mine, compare, weigh. This is what plugs into a generator's training step."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from atm.alignment.clips import Clips, find_clips, least_aligned, least_clip_frames
from atm.alignment.config import AlignmentConfig
from atm.alignment.distances import row_distance
from atm.alignment.gather import gather_rows, gather_texts, mean_over_processes, processes
from atm.alignment.losses import contrastive_loss, counterfactual_loss, inter_motion_loss, intra_motion_loss
from atm.alignment.negatives import (
    Mined,
    admissible_negatives,
    mine_hard_negatives,
    mine_proxies,
    text_similarity,
)
from atm.interface import Batch, TextMotionSpace
from atm.motion import Motion

TRIPLET_MARGIN = 0.2
"""Margin of the plain triplet loss of table 5, where the config names none (our reading)."""


@dataclass(frozen=True)
class InterDetail:
    """What the inter-motion loss compared, per row."""

    negative: Int[Tensor, "B K"]
    valid: Bool[Tensor, "B K"]
    ratio: Float[Tensor, "B K"]
    loss: Float[Tensor, "B"]


@dataclass(frozen=True)
class IntraDetail:
    """What the intra-motion loss compared, per motion that has a clip."""

    clips: Clips
    row: Int[Tensor, "A"]
    """Row of the motion in the batch."""
    anchor: Int[Tensor, "A"]
    """Its least aligned clip, a number among `clips`."""
    positive: Mined
    negative: Mined
    open: Bool[Tensor, "A"]
    """True where the motion is under gamma, so that the loss acts."""
    loss: Float[Tensor, "A"]


@dataclass(frozen=True)
class AlignmentOutput:
    """One step of the alignment losses."""

    total: Float[Tensor, ""]
    """inter_weight * inter + intra_weight * intra + counterfactual_weight * counterfactual, ready to be added to the
    generator's own loss."""
    inter: Float[Tensor, ""]
    intra: Float[Tensor, ""]
    counterfactual: Float[Tensor, ""]
    """Ours, off by default."""
    log: dict[str, float] = field(default_factory=dict)
    """Shares, counts and quantiles, for the log."""
    inter_detail: InterDetail | None = None
    intra_detail: IntraDetail | None = None


class _Seen(NamedTuple):
    """The rows that negatives are chosen among."""

    z_text: Float[Tensor, "B E"]
    z_generated: Float[Tensor, "B E"]
    z_real: Float[Tensor, "B E"]
    batch: Batch
    """Texts and sentence embeddings of these rows."""
    own: slice
    """Those of this process."""


class Alignment:
    """The alignment objective (the paper's eq. 8 without L_mse) in a frozen space.

    Not a module: it has nothing to train and nothing to save.

    Args:
        config: which losses, rules, margins and weights.
        space: the frozen space. It is put into eval mode and its gradients are turned off, for good.
    """

    def __init__(self, config: AlignmentConfig, space: TextMotionSpace):
        self.config = config
        self.space = space
        if isinstance(space, torch.nn.Module):
            # eval() as well as requires_grad_(False): with dropout on, one motion would land in two places of the
            # space. No no_grad() below: the gradient must pass through the space to reach the generator.
            space.eval().requires_grad_(False)

    def __call__(
        self,
        motion: Motion,
        batch: Batch,
        noise_level: Float[Tensor, "B"] | None = None,
        rng: torch.Generator | None = None,
    ) -> AlignmentOutput:
        """The losses of generated motions against the batch that they were generated for.

        Args:
            motion: the generator's estimate of the clean motions, row for row as in the batch, published units.
            batch: texts, their sentence embeddings, and the real motions; `meaning` too, where the config reads it.
            noise_level: 0 to 1 per row; only `max_noise` reads it.
            rng: of the random negatives of the plain triplet form, None: torch's own. The paper's losses draw nothing.

        Raises:
            ValueError: the generated motions are not as long as the real ones, or the config asks for a meaning that
                the batch does not carry.
        """
        if self.config.reads_meaning() and batch.meaning is None:
            raise ValueError("similarity = meaning and counterfactual_weight > 0 need batches with a `meaning`")
        if not torch.equal(motion.lengths, batch.motion.lengths):
            raise ValueError(
                "generated and real motions must have the same lengths row by row, "
                f"got {motion.lengths.tolist()} and {batch.motion.lengths.tolist()}"
            )
        with torch.no_grad():
            z_text = self.space.encode_text(batch.text).float()
            z_real = self.space.encode_motion(batch.motion).float()
        z_generated = self.space.encode_motion(motion).float()
        takes_part = torch.ones(len(batch), dtype=torch.bool, device=z_text.device)
        if noise_level is not None:
            takes_part = noise_level <= self.config.max_noise
        seen = self._see(z_text, z_generated, z_real, batch)

        # Keeps the graph whole where no loss is active: with `gather`, the other processes wait for this one's part.
        zero = seen.z_generated.sum() * 0
        inter, intra, counterfactual, log, inter_detail, intra_detail = zero, zero, zero, {}, None, None
        if self.config.inter_weight > 0:
            inter, inter_detail = self._inter(seen, takes_part, rng, log)
        if self.config.intra_weight > 0:
            alike = 1 - row_distance(z_generated, z_real, "cosine").detach()
            is_open = (alike < self.config.gamma) & takes_part
            log["intra/under_gamma"] = is_open.float().mean().item()
            intra, intra_detail = self._intra(motion, batch.motion, z_generated, seen.own, is_open, zero, log)
        total = self.config.inter_weight * inter + self.config.intra_weight * intra
        log["inter/loss"], log["intra/loss"] = inter.item(), intra.item()
        if self.config.counterfactual_weight > 0:
            counterfactual = self._counterfactual(z_text, z_generated, z_real, batch, takes_part, zero, log)
            total = total + self.config.counterfactual_weight * counterfactual
        return AlignmentOutput(total, inter, intra, counterfactual, log, inter_detail, intra_detail)

    @property
    def _gathers(self) -> bool:
        return self.config.gather and processes() > 1

    def _see(self, z_text, z_generated, z_real, batch) -> "_Seen":
        """The rows that negatives are chosen among: those of this process, or with `gather` of all."""
        if not self._gathers:
            return _Seen(z_text, z_generated, z_real, batch, slice(0, len(batch)))
        every_generated, own = gather_rows(z_generated)
        sentence, _ = gather_rows(batch.sentence)
        every = replace(batch, text=gather_texts(batch.text), sentence=sentence)
        return _Seen(gather_rows(z_text)[0], every_generated, gather_rows(z_real)[0], every, own)

    def _inter(self, seen, takes_part, rng, log):
        config, own = self.config, seen.own
        z_text, z_generated, z_real = seen.z_text, seen.z_generated, seen.z_real
        admissible = self.admissible(seen.batch, z_text)
        log["inter/admissible"] = admissible.sum(1).float().mean().item()
        margin = None if config.margin == "adaptive" else config.margin
        if config.inter_loss == "contrastive":
            loss = contrastive_loss(z_text, z_generated, admissible, temperature=config.temperature)
            loss = loss[own] * takes_part
            log["inter/active"] = (loss > 0).float().mean().item()
            return self._mean(loss), None
        if config.inter_loss == "triplet":
            mined = self._random_negative(z_generated, z_real, admissible, rng)
            margin = TRIPLET_MARGIN if margin is None else margin
        else:
            mined = mine_hard_negatives(
                z_generated, z_real, admissible,
                rule=config.negative_rule, count=config.negatives, floor=config.floor, distance=config.distance,
            )  # fmt: skip
        each = inter_motion_loss(
            z_text, z_generated, z_real, mined.index,
            margin=margin, distance=config.distance, detach_negative=config.detach_negative,
        )  # fmt: skip
        mined = Mined(*(part[own] for part in mined))
        z_text, z_own_real = z_text[own], z_real[own]
        valid = mined.valid & takes_part[:, None]
        loss = _mean_of_valid(each[own], valid)
        log["inter/active"] = (loss > 0).float().mean().item()
        log["inter/without_negative"] = (~mined.valid.any(1)).float().mean().item()
        _quantiles(log, "inter/ratio", mined.ratio[valid])
        text = z_text[:, None].expand(-1, mined.index.shape[1], -1)
        real = row_distance(text, z_real[mined.index], config.distance)
        to_own = row_distance(z_text, z_own_real, config.distance)
        _quantiles(log, "inter/margin", (real - to_own[:, None])[valid])
        _quantiles(log, "inter/distance_to_text", row_distance(z_text, z_generated[own], config.distance))
        return self._mean(loss), InterDetail(mined.index, valid, mined.ratio, loss.detach())

    def similarity(self, batch: Batch, z_text: Float[Tensor, "B E"]) -> Float[Tensor, "B B"]:
        """Raw cosine of every pair of texts, where the config says that they are compared."""
        return text_similarity(z_text if self.config.similarity == "space" else batch.sentence).float()

    def admissible(self, batch: Batch, z_text: Float[Tensor, "B E"]) -> Bool[Tensor, "B B"]:
        """Which motions of the batch may be negatives of which."""
        return admissible_negatives(
            self.similarity(batch, z_text), batch.text, epsilon=self.config.epsilon,
            meaning=batch.meaning if self.config.similarity == "meaning" else None,
        )  # fmt: skip

    def _counterfactual(self, z_text, z_generated, z_real, batch, takes_part, zero, log):
        others = [(row, text) for row, text in enumerate(batch.meaning.counterfactual) if text is not None]
        log["counterfactual/rows"], log["counterfactual/active"] = len(others) / len(batch), 0.0
        log["counterfactual/loss"] = 0.0
        if not others:
            return zero
        row = torch.tensor([row for row, _ in others], device=z_text.device)
        with torch.no_grad():
            z_other = self.space.encode_text([text for _, text in others]).float()
        each = counterfactual_loss(
            z_text[row], z_other, z_generated[row], z_real[row],
            margin=None if self.config.margin == "adaptive" else self.config.margin, distance=self.config.distance,
        )  # fmt: skip
        loss = z_text.new_zeros(len(batch)).index_put((row,), each * takes_part[row])
        margin = row_distance(z_other, z_real[row], self.config.distance)
        _quantiles(log, "counterfactual/margin", margin - row_distance(z_text[row], z_real[row], self.config.distance))
        log["counterfactual/active"] = (loss > 0).float().mean().item()
        mean = self._mean(loss)
        log["counterfactual/loss"] = mean.item()
        return mean

    def _intra(self, generated: Motion, real: Motion, z_whole, own, is_open, zero, log):
        config = self.config
        fps = real.skeleton.fps
        clip_frames = max(1, round(config.clip_seconds * fps))
        min_frames = min(clip_frames, least_clip_frames(config.min_clip_seconds, fps))
        clips = find_clips(real.lengths, clip_frames=clip_frames, min_frames=min_frames)
        log["intra/active"] = 0.0
        if (clips is None or not is_open.any()) and not self._gathers:
            return zero, None
        if clips is None:  # the other processes have some, and wait for what this one has to say
            none = torch.zeros(0, dtype=torch.long, device=z_whole.device)
            clips, row, anchor, z_generated, z_real = Clips(none, none, none), none, none, z_whole[:0], z_whole[:0]
        else:
            with torch.no_grad():
                z_real = self.space.encode_motion(clips.cut(real)).float()
            z_generated = self.space.encode_motion(clips.cut(generated)).float()
            row, anchor = least_aligned(z_generated, z_real, clips.owner, distance=config.distance)
        if self._gathers:
            clips, anchor, z_generated, z_real = _with_all_clips(clips, anchor, z_generated, z_real, own.start)
        candidate = torch.ones(len(anchor), len(clips.owner), dtype=torch.bool, device=anchor.device)
        if config.proxies_from == "motion":
            candidate = clips.owner[anchor][:, None] == clips.owner[None, :]
        if len(clips.owner) < 2:
            return zero, None
        positive, negative = mine_proxies(
            z_generated, z_real, anchor, candidate,
            positive_rule=config.positive_proxy_rule, negative_rule=config.negative_proxy_rule,
            count=config.proxy_pairs, floor=config.floor, distance=config.distance,
        )  # fmt: skip
        each = intra_motion_loss(
            z_generated, z_real, anchor, positive.index, negative.index,
            margin=None if config.margin == "adaptive" else config.margin,
            distance=config.distance, detach_proxies=config.detach_proxies,
        )  # fmt: skip
        valid = positive.valid & negative.valid & is_open[row][:, None]
        loss = _mean_of_valid(each, valid)
        log["intra/active"] = (loss > 0).float().sum().item() / len(real)
        _quantiles(log, "intra/ratio_positive", positive.ratio[valid])
        _quantiles(log, "intra/ratio_negative", negative.ratio[valid])
        _quantiles(log, "intra/clip_distance", row_distance(z_generated[anchor], z_real[anchor], config.distance))
        rows = loss.new_zeros(len(real)).index_put((row,), loss)
        return self._mean(rows), IntraDetail(clips, row, anchor, positive, negative, is_open[row], loss.detach())

    def _mean(self, loss: Float[Tensor, "B"]) -> Float[Tensor, ""]:
        if self.config.average == "batch":
            return loss.mean()
        active = (loss > 0).sum()
        if self._gathers:
            return loss.sum() / mean_over_processes(active).clamp_min(1 / processes())
        return loss.sum() / active.clamp_min(1)

    def _random_negative(self, z_generated, z_real, admissible, rng) -> Mined:
        """One admissible row at random for each row: the plain triplet of table 5."""
        chance = torch.rand(admissible.shape, generator=rng).to(admissible.device)
        itself = torch.eye(len(admissible), dtype=torch.bool, device=admissible.device)
        chance = chance.masked_fill(~admissible, 2.0).masked_fill(itself, 3.0)
        index = chance.argsort(dim=1)[:, : min(self.config.negatives, len(chance) - 1)]
        own = torch.arange(len(admissible), device=admissible.device)[:, None].expand_as(index)
        generated = row_distance(z_generated[own], z_generated[index], self.config.distance).detach()
        real = row_distance(z_real[own], z_real[index], self.config.distance)
        return Mined(index, (admissible & ~itself).gather(1, index), generated / real.clamp_min(self.config.floor))


def _with_all_clips(clips: Clips, anchor, z_generated, z_real, first_row: int):
    """Clips and embeddings of all processes, rows counted over all batches; and the own anchors among them."""
    every_generated, here = gather_rows(z_generated)
    places, _ = gather_rows(torch.stack([clips.owner + first_row, clips.start, clips.length], dim=1))
    return Clips(*places.unbind(1)), anchor + here.start, every_generated, gather_rows(z_real.detach())[0]


def _mean_of_valid(each: Float[Tensor, "A K"], valid: Bool[Tensor, "A K"]) -> Float[Tensor, "A"]:
    """Mean over the valid choices of each row; 0 where there is none."""
    return (each * valid).sum(1) / valid.sum(1).clamp_min(1)


def _quantiles(log: dict[str, float], name: str, values: Float[Tensor, "*n"]) -> None:
    """The 10 %, 50 % and 90 % quantiles into the log; nothing where there is no value."""
    if values.numel():
        points = torch.tensor([0.1, 0.5, 0.9], device=values.device)
        for label, value in zip(("p10", "p50", "p90"), values.detach().float().flatten().quantile(points), strict=True):
            log[f"{name}/{label}"] = value.item()
