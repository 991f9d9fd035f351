"""CausalFlow (ours): writes a motion latent by latent, each drawn by a small flow head from what a transformer knows.

The family of MAR (Li et al. 2024, arXiv:2406.11838: no codebook, a diffusion head for each token), MARDM (Meng et al.
2024, arXiv:2411.16575: the same for motion) and MotionStreamer (Xiao et al. 2025, arXiv:2503.15451: causal, so that
motions go on). What differs: a plan stands between the sentence and the motion (`planner.py`): what is done in which
order, how often, to which side and when; each latent is told where in the plan it is. The latents are linear and in
closed form (`latents.py`), no trained autoencoder's; only the numbers that others follow from are generated
(`columns.py`); the head estimates the clean latent, so the step has a motion for the alignment losses.

Plans are learnt where the data have them (scripted motion does). Of other motion the plan is one action, `other`, and
the text alone says what is done.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from atm.base.errors import InputError
from atm.base.progress import progress as progress_bar
from atm.generators.causal_flow.columns import features_of_core
from atm.generators.causal_flow.config import CausalFlowConfig
from atm.generators.causal_flow.flow import MOST_STEPS, FlowHead, draw_times, euler, velocity_error
from atm.generators.causal_flow.latents import MotionLatents
from atm.generators.causal_flow.plan import (
    FEATURES,
    MOST_ACTIONS,
    Plan,
    features,
    given_fields,
    plan_of,
    timelines_of,
)
from atm.generators.causal_flow.planner import LUCK, ActionEmbedding, Planner, fitted
from atm.generators.causal_flow.transformer import CausalTransformer, Front, Memory
from atm.generators.causal_flow.turning import turn_as_asked
from atm.generators.parts.inputs import check_rows, check_steps, guidance_scale_or_default, keep_encoder
from atm.generators.parts.padding import check_frames, check_width, evaluating, like_batch
from atm.interface import Batch, Capabilities, StepOutput, TextEmbedding, TextEncoder
from atm.motion import Motion, skeleton_of_width
from atm.motion.layers import Normaliser, length_mask, sinusoid
from atm.motion.program import Program, Timeline


class _Hidden(NamedTuple):
    """Rows that do not see what the motion is made from."""

    text: Bool[Tensor, "B"]
    plan: Bool[Tensor, "B"]


class CausalFlow(nn.Module):
    """A `Generator` (see `atm.interface`)."""

    def __init__(self, config: CausalFlowConfig, text_encoder: TextEncoder, normaliser: Normaliser):
        super().__init__()
        self.config = config
        keep_encoder(self, text_encoder, config.text_encoder, "this CausalFlow")
        self.normaliser = normaliser
        self.skeleton = skeleton_of_width(len(normaliser.mean))
        self.capabilities = Capabilities(
            guidance=config.condition_dropout > 0,
            goes_on=config.prefix_rate > 0,
            plans=MOST_ACTIONS,
            steps=MOST_STEPS,
            predicts_length=config.length_dropout > 0,
            differentiable_motion=config.learn == "all",
        )
        width, latent = config.width, config.latent_width
        self.latents = MotionLatents(self.skeleton, config.frames_per_latent, latent, normaliser.mean)
        self.read_sentence = nn.Linear(text_encoder.sentence_width, width)
        self.read_word = nn.Linear(text_encoder.token_width, width)
        self.no_text = nn.Parameter(0.02 * torch.randn(width))
        self.read_latent = nn.Linear(latent, width)
        self.read_before = nn.Linear(latent, width)
        self.begin = nn.Parameter(0.02 * torch.randn(width))
        self.read_to_come = nn.Linear(width, width)
        self.read_place = nn.Linear(FEATURES, width)
        self.read_action, self.read_last, self.read_next = (ActionEmbedding(width) for _ in range(3))
        self.into_plan = nn.Sequential(nn.SiLU(), nn.Linear(width, width))
        self.no_plan = nn.Parameter(0.02 * torch.randn(width))
        self.register_buffer("numbers", sinusoid(config.max_latents + 1, width), persistent=False)
        self.trunk = CausalTransformer(
            width, config.heads, config.feed_forward, front_layers=config.front_layers, layers=config.layers
        )
        self.head = FlowHead(latent, width, config.head_width, config.head_layers)
        self.planner = Planner(
            config.planner_width,
            config.planner_heads,
            front_layers=config.planner_front_layers,
            layers=config.planner_layers,
            sentence=text_encoder.sentence_width,
            word=text_encoder.token_width,
            most_latents=config.max_latents,
            frames=config.frames_per_latent,
        )

    @torch.no_grad()
    def learn_latents(self, motions) -> None:
        """Fit the latents to a training split: `motions` are features in published units, (T, D) each."""
        self.latents.fit(motions, noise=self.config.decoder_noise)

    # ---- training

    def training_step(self, batch: Batch, rng: torch.Generator) -> StepOutput:
        """Return every latent of every row at several times of the flow; all randomness comes from `rng`."""
        config, motion = self.config, batch.motion
        check_width(motion, self.normaliser, "CausalFlow")
        check_frames(motion.lengths, config.max_frames, "CausalFlow")
        z, counts = self._encoded(motion)
        there = length_mask(counts, z.shape[1])
        rows, device = len(z), z.device

        def drawn(*shape: int) -> Tensor:
            return torch.rand(shape, generator=rng, device=rng.device).to(device)

        timelines = batch.timelines or [None] * rows
        plan = plan_of(timelines, motion.lengths, self.skeleton.fps).to(device)
        hidden = self._hide(plan, drawn(rows))
        told = drawn(rows) >= config.length_dropout
        text = batch.said_by(self.text_encoder)
        planning = self.planner.loss(text.to(device), plan, told)
        parts = {"plan": planning.detach().mean()}
        if config.learn == "plan":
            return StepOutput(planning, parts=parts)
        goes_on = drawn(rows) < config.prefix_rate
        blur = config.blur * drawn(rows)[:, None, None]
        blurred = z + blur * torch.randn(z.shape, generator=rng, device=rng.device).to(device)
        before = None
        if config.prefix_rate:
            before = self._ends_of_others(blurred, counts, goes_on, drawn(rows))
        guide = self._guide(plan, hidden.plan, counts, z.shape[1])
        known = self._known(text, hidden.text, before, blurred, guide)

        times = config.flow_times
        tau = draw_times((rows, z.shape[1], times), rng).to(device)
        # The first time is one for the whole row, so that its motion has one level of noise.
        tau[:, :, 0] = tau[:, :1, 0]
        noise = torch.randn((*z.shape[:2], times, z.shape[2]), generator=rng, device=rng.device).to(device)
        tau, noise, clean = tau[there], noise[there], z[there][:, None]
        x_tau = (1 - tau[..., None]) * noise + tau[..., None] * clean
        modulation = self.head.modulation(known[there][:, None])
        z_hat = self.head(x_tau, modulation, self.head.time(tau))
        error = velocity_error(z_hat, clean, tau).mean(dim=(1, 2))

        loss = self._per_row(error, there)
        parts = {"flow": loss.detach().mean(), **parts}
        loss = loss + config.plan_weight * planning

        def estimate() -> Motion:
            latents = z.new_zeros(z.shape).masked_scatter(there[..., None], z_hat[:, 0])
            made = features_of_core(self.latents.decode(latents, counts), self.skeleton)
            return like_batch(made[:, : motion.features.shape[1]], motion)

        # The row's time is that of its first latent: every row has one.
        row_tau = (x_tau.new_zeros(there.shape).masked_scatter(there, tau[:, 0]))[:, 0]
        return StepOutput(loss, estimate, noise_level=1 - row_tau, parts=parts)

    def _encoded(self, motion: Motion) -> tuple[Float[Tensor, "B N L"], Int[Tensor, "B"]]:
        """Return latents of motions, and how many; a last patch that is not full goes on with the motion's last
        frame."""
        counts = self.latents.count(motion.lengths)
        frames = int(counts.max()) * self.config.frames_per_latent
        place = torch.arange(frames, device=motion.lengths.device).minimum(motion.lengths[:, None] - 1)
        core = motion.features[..., : self.latents.columns]
        return self.latents.encode(core.take_along_dim(place[..., None], dim=1)), counts

    def _ends_of_others(
        self,
        z: Float[Tensor, "B N L"],
        counts: Int[Tensor, "B"],
        goes_on: Bool[Tensor, "B"],
        luck: Float[Tensor, "B"],
    ) -> tuple[Float[Tensor, "B P L"], Int[Tensor, "B"]]:
        """Return, for rows that go on from another motion, the last latents of the one whose end is nearest to their
        beginning, and how many of them, at least one. Aligned at the right."""
        rows, most = len(z), self.config.prefix_latents
        last = z[torch.arange(rows, device=z.device), counts - 1]
        far = torch.cdist(z[:, 0] * self.latents.scales, last * self.latents.scales)
        far.fill_diagonal_(float("inf"))
        goes_on = goes_on & (rows > 1)
        nearest = far.argmin(dim=1)
        many = (1 + (luck * most).long()).clamp(max=most).minimum(counts[nearest]) * goes_on
        place = counts[nearest][:, None] - most + torch.arange(most, device=z.device)
        return z[nearest].take_along_dim(place.clamp(min=0)[..., None], dim=1), many

    def _hide(self, plan: Plan, luck: Float[Tensor, "B"]) -> _Hidden:
        """Return which rows see no text, and which no plan. Where there is one, the text is seen less often: the plan
        says the same, and a motion without text must still follow it."""
        share = self.config.condition_dropout
        planned = plan.fields[:, 0, 0] > 1
        neither, no_plan = luck < 0.5 * share, luck > 1 - 0.5 * share
        no_text = neither | (luck < torch.where(planned, self.config.text_dropout, share))
        return _Hidden(no_text, planned & (neither | no_plan))

    def _known(
        self,
        text: TextEmbedding,
        withheld: Bool[Tensor, "B"],
        before: tuple[Tensor, Tensor] | None,
        z: Float[Tensor, "B N L"],
        guide: Float[Tensor, "B N W"],
    ) -> Float[Tensor, "B N W"]:
        """Return what the transformer knows before each latent."""
        begin = self.begin.expand(len(z), 1, -1)
        tokens = torch.cat([begin, self.read_latent(z[:, :-1])], dim=1)
        return self.trunk(tokens + guide, self._front(text, withheld, before))

    def _front(self, text: TextEmbedding, withheld: Bool[Tensor, "B"], before: tuple[Tensor, Tensor] | None) -> Front:
        """Return what stands before the first latent: the text, and the end of an earlier motion."""
        device = self.numbers.device
        sentence = torch.where(withheld[:, None], self.no_text, self.read_sentence(text.sentence.to(device)))
        tokens = torch.cat([sentence[:, None], self.read_word(text.tokens.to(device))], dim=1)
        there = F.pad(text.mask.to(device) & ~withheld[:, None], (1, 0), value=True)
        positions = torch.arange(tokens.shape[1], device=device).expand(len(tokens), -1)
        if before is not None:
            latents, many = before
            place = torch.arange(-latents.shape[1], 0, device=device).expand(len(tokens), -1)
            tokens = torch.cat([tokens, self.read_before(latents)], dim=1)
            positions = torch.cat([positions, place], dim=1)
            there = torch.cat([there, place >= -many[:, None]], dim=1)
        return self.trunk.front(tokens, positions, there)

    def _guide(
        self, plan: Plan, hidden: Bool[Tensor, "B"], counts: Int[Tensor, "B"], latents: int
    ) -> Float[Tensor, "B N W"]:
        """Return what each latent is told beside its past: where in the plan it is, and how many are to come."""
        where, place = features(plan, latents, self.config.frames_per_latent)
        neighbours = F.pad(plan.fields, (0, 0, 1, 1))
        parts = zip((self.read_last, self.read_action, self.read_next), (0, 1, 2), strict=True)
        actions = [read(neighbours).take_along_dim((place + shift)[..., None], dim=1) for read, shift in parts]
        planned = self.into_plan(self.read_place(where) + sum(actions))
        number = torch.arange(latents, device=place.device)
        to_come = self.read_to_come(self.numbers[(counts[:, None] - number).clamp(0, len(self.numbers) - 1)])
        return torch.where(hidden[:, None, None], self.no_plan, planned) + to_come

    @staticmethod
    def _per_row(each: Float[Tensor, "M"], there: Bool[Tensor, "B N"]) -> Float[Tensor, "B"]:
        """Return error of each row, weighted by its length: the mean over rows is that over all latents."""
        spread = each.new_zeros(there.shape).masked_scatter(there, each)
        return spread.sum(dim=1) * len(there) / there.sum()

    # ---- sampling

    @torch.no_grad()
    def plan(
        self,
        text: list[str],
        lengths: Int[Tensor, "B"] | None = None,
        *,
        seeds: list[int],
        programs: list[Program | None] | None = None,
    ) -> list[Timeline]:
        """Return what `sample` would make of each text, and when; empty where the sentence names no action that the
        model has plans of.

        Args:
            text: prompts.
            lengths: frames of each motion; None: as many as the actions take.
            seeds: one per row, as for `sample`.
            programs: actions that a row shall have, where they are known: the plan keeps them in their order, and adds
                what they leave open and their times; None: the model reads the actions from the text, in all or in this
                row.

        Raises:
            InputError: as `sample`; another number of programs than of texts.
        """
        check_rows(text, seeds, lengths, None)
        if programs is not None and len(programs) != len(text):
            raise InputError(f"expected one program per text, {len(text)}, got {len(programs)}")
        with evaluating(self):
            written = self._planned(self._encode(text), lengths, self._drawn(seeds)[0], None, programs)
        return timelines_of(written, self.skeleton.fps)

    @torch.no_grad()
    def sample(
        self,
        text: list[str],
        lengths: Int[Tensor, "B"] | None = None,
        *,
        seeds: list[int],
        guidance_scale: float | None = None,
        prefix: Motion | None = None,
        timelines: list[Timeline | None] | None = None,
        steps: int | None = None,
        progress: bool = False,
    ) -> Motion:
        """Return one motion per text.

        Arguments beside, or other than, those of `atm.interface.Generator.sample`:

        Args:
            lengths: frames of each motion; None: as many as the actions take.
            guidance_scale: of classifier-free guidance, on the estimate of the clean latent; None: the config's.
            prefix: motions that these go on from; their last `prefix_latents` patches are seen. Features are relative
                to the frame before, so both one after the other are one motion. Longer motions come from giving each
                motion as the next one's prefix.
            timelines: what each motion shall do when, in place of the plan that the model would write; None: the
                model's own, of all or of this row.
            steps: Euler steps of the flow for each latent, 1 to 100; None: the config's `sampling_steps`.

        Raises:
            InputError: a length below 1 or beyond `config.max_frames`, none for a model that was not trained to find
                it, a prefix for one that was not trained to go on, or one of another data set; another number of
                timelines than of texts; more steps than there are.
        """
        check_rows(text, seeds, lengths, prefix)
        check_steps(steps, self.capabilities.steps)
        config, device = self.config, self.numbers.device
        if lengths is None and not self.capabilities.predicts_length:
            raise InputError(
                "this CausalFlow was trained with length_dropout=0: say how many frames a motion shall have"
            )
        if timelines is not None and len(timelines) != len(text):
            raise InputError(f"expected one timeline per text, {len(text)}, got {len(timelines)}")
        scale = guidance_scale_or_default(guidance_scale, config.guidance_scale, guided=self.capabilities.guidance)
        before = self._prefix(prefix)
        if lengths is not None:
            check_frames(lengths, config.max_frames, "CausalFlow")
            lengths = lengths.to(device)
        with evaluating(self):
            said = self._encode(text)
            luck, noise = self._drawn(seeds)
            plan = self._planned(said, lengths, luck, timelines)
            if lengths is None:
                lengths = plan.ends[:, -1].round().long().clamp(config.frames_per_latent, config.max_frames)
            counts = self.latents.count(lengths)
            z = self._written(said, plan, counts, before, noise, scale, steps or config.sampling_steps, progress)
            made = self._decoded(z, counts, before, prefix, plan, lengths)
        return Motion(made[:, : int(lengths.max())], lengths)

    def _planned(
        self,
        text: TextEmbedding,
        lengths: Int[Tensor, "B"] | None,
        luck: Float[Tensor, "B K D"],
        timelines: list[Timeline | None] | None,
        programs: list[Program | None] | None = None,
    ) -> Plan:
        """Return the model's plans, with those in their place that are given."""
        device = self.numbers.device
        given = None if programs is None else given_fields(programs).to(device)
        plan = self.planner(text.to(device), lengths, luck, given)
        for row, timeline in enumerate(timelines or ()):
            if not timeline:
                continue
            own = torch.tensor([round(self.skeleton.fps * timeline[-1].end)])
            given = plan_of([timeline], own, self.skeleton.fps).to(device)
            given = fitted(given, (own if lengths is None else lengths[row : row + 1]).to(device))
            plan.fields[row], plan.spans[row] = given.fields[0], given.spans[0]
        return plan

    def _drawn(self, seeds: list[int]) -> tuple[Float[Tensor, "B K D"], Float[Tensor, "B N L"]]:
        """Draw what decides the plan, and noise for as many latents as a motion can have, whatever its length."""
        luck, noise = [], []
        for seed in seeds:
            rng = torch.Generator().manual_seed(seed)
            noise.append(torch.randn(self.config.max_latents, self.config.latent_width, generator=rng))
            luck.append(torch.rand(MOST_ACTIONS, LUCK, generator=rng))
        device = self.numbers.device
        return torch.stack(luck).to(device), self.config.noise_scale * torch.stack(noise).to(device)

    def _written(
        self,
        text: TextEmbedding,
        plan: Plan,
        counts: Int[Tensor, "B"],
        before: tuple[Tensor, Tensor] | None,
        noise: Float[Tensor, "B N L"],
        scale: float,
        steps: int,
        progress: bool,
    ) -> Float[Tensor, "B M L"]:
        """Return the latents, one after the other."""
        rows, device = len(noise), noise.device
        seen = torch.zeros(rows, dtype=torch.bool, device=device)
        # With and without text and plan, as one batch; at scales 0 and 1 one of them is enough.
        passes = {0.0: [~seen], 1.0: [seen]}.get(float(scale), [seen, ~seen])
        many, hidden = len(passes), torch.cat(passes)
        front = self._front(
            TextEmbedding(*(torch.cat([part] * many) for part in text)),
            hidden,
            None if before is None else tuple(torch.cat([part] * many) for part in before),
        )
        most = int(counts.max())
        memory = Memory(front, most)
        guide = self._guide(Plan(*(torch.cat([part] * many) for part in plan)), hidden, counts.repeat(many), most)
        times = self.head.time(torch.arange(steps, device=device) / steps)
        tokens = self.begin.expand(many * rows, -1)
        written: list[Tensor] = []
        for place in progress_bar(range(most), "sampling", show=progress):
            modulation = self.head.modulation(self.trunk.go_on(tokens + guide[:, place], place, memory))

            def estimate(x: Tensor, step: int, modulation: tuple[Tensor, ...] = modulation) -> Tensor:
                time = tuple(part[step] for part in times)
                guesses = self.head(x.repeat(many, 1), modulation, time).chunk(many)
                return guesses[0] if many == 1 else guesses[1] + scale * (guesses[0] - guesses[1])

            written.append(euler(estimate, noise[:, place], steps))
            tokens = self.read_latent(written[-1]).repeat(many, 1)
        return torch.stack(written, dim=1)

    def _prefix(self, prefix: Motion | None) -> tuple[Float[Tensor, "B P L"], Int[Tensor, "B"]] | None:
        """Return the last whole patches of motions, aligned at the right, and how many."""
        if prefix is None:
            return None
        config = self.config
        if not config.prefix_rate:
            raise InputError("this CausalFlow was trained with prefix_rate=0: it goes on from no motion")
        check_width(prefix, self.normaliser, "CausalFlow")
        prefix = prefix.to(self.numbers.device)
        frames = config.prefix_latents * config.frames_per_latent
        core = self._last(prefix, frames)
        many = (-(-prefix.lengths // config.frames_per_latent)).clamp(max=config.prefix_latents)
        return self.latents.encode(core), many

    def _last(self, motion: Motion, frames: int) -> Float[Tensor, "B T C"]:
        """Return the last frames of motions; a shorter one stands still in its first before it begins."""
        place = motion.lengths[:, None] - frames + torch.arange(frames, device=motion.lengths.device)
        return motion.features[..., : self.latents.columns].take_along_dim(place.clamp(min=0)[..., None], dim=1)

    def _decoded(
        self,
        z: Float[Tensor, "B N L"],
        counts: Int[Tensor, "B"],
        before: tuple[Tensor, Tensor] | None,
        prefix: Motion | None,
        plan: Plan,
        lengths: Int[Tensor, "B"],
    ) -> Float[Tensor, "B T D"]:
        """Return features of latents. Rotations count from where a motion begins to face, so a prefix is turned
        along."""
        if prefix is None:
            core = turn_as_asked(self.latents.decode(z, counts), plan, lengths, self.skeleton)
            return features_of_core(core, self.skeleton)
        # The first patch joins the last of the prefix as any two patches do.
        core = self.latents.decode(torch.cat([before[0][:, -1:], z], dim=1), counts + 1)
        core = turn_as_asked(core[:, self.config.frames_per_latent :], plan, lengths, self.skeleton)
        prefix = prefix.to(core.device)
        frames = prefix.features.shape[1]
        whole = torch.cat([self._last(prefix, frames), core], dim=1)
        # What a shorter prefix stands still for must not turn it.
        still = torch.arange(frames, device=core.device) < frames - prefix.lengths[:, None]
        moves = slice(0, self.skeleton.columns["root_step"].stop)
        whole[:, :frames, moves] = whole[:, :frames, moves].masked_fill(still[..., None], 0.0)
        return features_of_core(whole, self.skeleton)[:, frames:]

    def _encode(self, text: list[str]) -> TextEmbedding:
        with torch.no_grad():
            return self.text_encoder(text)
