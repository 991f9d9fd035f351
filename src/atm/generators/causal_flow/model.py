"""CausalFlow (ours): writes a motion latent by latent, each drawn by a small flow head from what a transformer knows.

The family of MAR (Li et al. 2024, arXiv:2406.11838: no codebook, a diffusion head for each token), MARDM (Meng et al.
2024, arXiv:2411.16575: the same for motion) and MotionStreamer (Xiao et al. 2025, arXiv:2503.15451: causal, so that
motions go on). What differs: the latents are linear and in closed form (`latents.py`), no trained autoencoder's; only
the numbers that others follow from are generated (`columns.py`); each token is told how many latents are still to come,
or ends the motion by itself; the head estimates the clean latent, so the step has a motion for the alignment losses.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from atm.base.errors import InputError
from atm.base.progress import progress as progress_bar
from atm.generators.causal_flow.columns import features_of_core
from atm.generators.causal_flow.config import CausalFlowConfig
from atm.generators.causal_flow.flow import FlowHead, draw_times, euler, velocity_error
from atm.generators.causal_flow.latents import MotionLatents
from atm.generators.causal_flow.transformer import CausalTransformer, Front, Memory
from atm.generators.parts.inputs import check_rows, guidance_scale_or_default, keep_encoder
from atm.generators.parts.padding import check_frames, check_width, evaluating, like_batch
from atm.interface import Batch, Capabilities, StepOutput, TextEmbedding, TextEncoder
from atm.motion import Motion, skeleton_of_width
from atm.motion.layers import Normaliser, length_mask, sinusoid


class CausalFlow(nn.Module):
    """A `Generator` (see `atm.interface`)."""

    def __init__(self, config: CausalFlowConfig, text_encoder: TextEncoder, normaliser: Normaliser):
        super().__init__()
        self.config = config
        keep_encoder(self, text_encoder, config.text_encoder, "this CausalFlow")
        self.normaliser = normaliser
        self.skeleton = skeleton_of_width(len(normaliser.mean))
        self.capabilities = Capabilities(
            guidance=config.condition_dropout > 0, predicts_length=config.length_dropout > 0
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
        self.not_told = nn.Parameter(0.02 * torch.randn(width))
        self.register_buffer("numbers", sinusoid(config.max_latents + 1, width), persistent=False)
        self.trunk = CausalTransformer(
            width, config.heads, config.feed_forward, front_layers=config.front_layers, layers=config.layers
        )
        self.head = FlowHead(latent, width, config.head_width, config.head_layers)
        self.ends = nn.Linear(width, 1)

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

        withheld = drawn(rows) < config.condition_dropout
        told = drawn(rows) >= config.length_dropout
        goes_on = drawn(rows) < config.prefix_rate
        blur = config.blur * drawn(rows)[:, None, None]
        blurred = z + blur * torch.randn(z.shape, generator=rng, device=rng.device).to(device)
        before = None
        if config.prefix_rate:
            before = self._ends_of_others(blurred, counts, goes_on, drawn(rows))
        known = self._known(batch.said_by(self.text_encoder), withheld, before, blurred, counts, told)

        times = config.flow_times
        tau = draw_times((rows, z.shape[1], times), rng).to(device)
        # The first time is one for the whole row, so that its motion has one level of noise.
        tau[:, :, 0] = tau[:, :1, 0]
        noise = torch.randn((*z.shape[:2], times, z.shape[2]), generator=rng, device=rng.device).to(device)
        tau, noise, clean = tau[there], noise[there], z[there][:, None]
        x_tau = (1 - tau[..., None]) * noise + tau[..., None] * clean
        modulation = self.head.modulation(known[there][:, None])
        z_hat = self.head(x_tau, modulation, self.head.time(tau))
        error = (velocity_error(z_hat, clean, tau) * self.latents.importance).mean(dim=(1, 2))

        loss = self._per_row(error, there)
        parts = {"flow": loss.detach().mean()}
        if config.end_weight and config.length_dropout:
            ending = self._ending(known, there, counts) * ~told
            parts["ending"] = ending.detach().sum() / (~told).sum().clamp_min(1)
            loss = loss + config.end_weight * ending
        estimate = z.new_zeros(z.shape).masked_scatter(there[..., None], z_hat[:, 0])
        features = features_of_core(self.latents.decode(estimate, counts), self.skeleton)
        made = Motion(features[:, : motion.features.shape[1]], motion.lengths)
        # The row's time is that of its first latent: every row has one.
        row_tau = (x_tau.new_zeros(there.shape).masked_scatter(there, tau[:, 0]))[:, 0]
        return StepOutput(loss, like_batch(made.features, motion), noise_level=1 - row_tau, parts=parts)

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
        far = torch.cdist(z[:, 0] * self.latents.deviations, last * self.latents.deviations)
        far.fill_diagonal_(float("inf"))
        goes_on = goes_on & (rows > 1)
        nearest = far.argmin(dim=1)
        many = (1 + (luck * most).long()).clamp(max=most).minimum(counts[nearest]) * goes_on
        place = counts[nearest][:, None] - most + torch.arange(most, device=z.device)
        return z[nearest].take_along_dim(place.clamp(min=0)[..., None], dim=1), many

    def _known(
        self,
        text: TextEmbedding,
        withheld: Bool[Tensor, "B"],
        before: tuple[Tensor, Tensor] | None,
        z: Float[Tensor, "B N L"],
        counts: Int[Tensor, "B"],
        told: Bool[Tensor, "B"],
    ) -> Float[Tensor, "B N W"]:
        """Return what the transformer knows before each latent."""
        place = torch.arange(z.shape[1], device=z.device)
        begin = self.begin.expand(len(z), 1, -1)
        tokens = torch.cat([begin, self.read_latent(self._weighed(z[:, :-1]))], dim=1)
        tokens = tokens + self._to_come((counts[:, None] - place).clamp(min=0), told)
        return self.trunk(tokens, self._front(text, withheld, before))

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
            tokens = torch.cat([tokens, self.read_before(self._weighed(latents))], dim=1)
            positions = torch.cat([positions, place], dim=1)
            there = torch.cat([there, place >= -many[:, None]], dim=1)
        return self.trunk.front(tokens, positions, there)

    def _weighed(self, z: Float[Tensor, "*b L"]) -> Float[Tensor, "*b L"]:
        """Return latents as the transformer reads them: what moves more is larger."""
        return z * self.latents.importance.sqrt()

    def _to_come(self, count: Int[Tensor, "B N"], told: Bool[Tensor, "B"]) -> Float[Tensor, "B N W"]:
        """Return how many latents are still to come, where it is told."""
        number = self.read_to_come(self.numbers[count.clamp(max=len(self.numbers) - 1)])
        return torch.where(told[:, None, None], number, self.not_told)

    def _ending(
        self, known: Float[Tensor, "B N W"], there: Bool[Tensor, "B N"], counts: Int[Tensor, "B"]
    ) -> Float[Tensor, "B"]:
        """Return cross-entropy of the last latent being the last, and no other, in nats over the motion."""
        last = torch.arange(there.shape[1], device=there.device) == counts[:, None] - 1
        each = F.binary_cross_entropy_with_logits(self.ends(known).squeeze(-1), last.to(known.dtype), reduction="none")
        return (each * there).sum(dim=1)

    @staticmethod
    def _per_row(each: Float[Tensor, "M"], there: Bool[Tensor, "B N"]) -> Float[Tensor, "B"]:
        """Return error of each row, weighted by its length: the mean over rows is that over all latents."""
        spread = each.new_zeros(there.shape).masked_scatter(there, each)
        return spread.sum(dim=1) * len(there) / there.sum()

    # ---- sampling

    @torch.no_grad()
    def sample(
        self,
        text: list[str],
        lengths: Int[Tensor, "B"] | None = None,
        *,
        seeds: list[int],
        guidance_scale: float | None = None,
        prefix: Motion | None = None,
        progress: bool = False,
    ) -> Motion:
        """Return one motion per text.

        Arguments beside, or other than, those of `atm.interface.Generator.sample`:

        Args:
            lengths: frames of each motion; None: until the model ends it.
            guidance_scale: of classifier-free guidance, on the estimate of the clean latent; None: the config's.
            prefix: motions that these go on from; their last `prefix_latents` patches are seen. Features are relative
                to the frame before, so both one after the other are one motion. Longer motions come from giving each
                motion as the next one's prefix.

        Raises:
            InputError: a length below 1 or beyond `config.max_frames`, none for a model that was not trained to end by
                itself, a prefix for one that was not trained to go on, or one of another data set.
        """
        check_rows(text, seeds, lengths, prefix)
        config, device = self.config, self.numbers.device
        if lengths is None and not self.capabilities.predicts_length:
            raise InputError(
                "this CausalFlow was trained with length_dropout=0: say how many frames a motion shall have"
            )
        scale = guidance_scale_or_default(guidance_scale, config.guidance_scale, guided=self.capabilities.guidance)
        before = self._prefix(prefix)
        counts = None
        if lengths is not None:
            check_frames(lengths, config.max_frames, "CausalFlow")
            lengths = lengths.to(device)
            counts = self.latents.count(lengths)
        with evaluating(self):
            z, counts = self._written(self._encode(text), counts, before, self._noise(seeds), scale, progress)
            lengths = (counts * config.frames_per_latent).clamp(max=config.max_frames) if lengths is None else lengths
            features = self._decoded(z, counts, before, prefix)
        return Motion(features[:, : int(lengths.max())], lengths)

    def _noise(self, seeds: list[int]) -> Float[Tensor, "B N L"]:
        """Draw noise for as many latents as a motion can have, whatever its length, which may not be known yet."""
        shape = (self.config.max_latents, self.config.latent_width)
        rows = [torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        return self.config.noise_scale * torch.stack(rows).to(self.numbers.device)

    def _written(
        self,
        text: TextEmbedding,
        counts: Int[Tensor, "B"] | None,
        before: tuple[Tensor, Tensor] | None,
        noise: Float[Tensor, "B N L"],
        scale: float,
        progress: bool,
    ) -> tuple[Float[Tensor, "B M L"], Int[Tensor, "B"]]:
        """Return the latents, one after the other, and how many each row has."""
        config, rows, device = self.config, len(noise), noise.device
        withheld = torch.zeros(rows, dtype=torch.bool, device=device)
        # With and without the text, as one batch; at scales 0 and 1 one of them is enough.
        passes = {0.0: [~withheld], 1.0: [withheld]}.get(float(scale), [withheld, ~withheld])
        many = len(passes)
        front = self._front(
            TextEmbedding(*(torch.cat([part] * many) for part in text)),
            torch.cat(passes),
            None if before is None else tuple(torch.cat([part] * many) for part in before),
        )
        most = config.max_latents if counts is None else int(counts.max())
        memory = Memory(front, most)
        told = torch.full((many * rows,), counts is not None, device=device)
        to_come = torch.zeros(rows, dtype=torch.long, device=device) if counts is None else counts
        times = self.head.time(torch.arange(config.sampling_steps, device=device) / config.sampling_steps)
        ending = _Ending(rows, most, device)
        tokens = self.begin.expand(many * rows, -1)
        written: list[Tensor] = []
        for place in progress_bar(range(most), "sampling", show=progress):
            count = (to_come - place).clamp(min=0).repeat(many)
            known = self.trunk.go_on(tokens + self._to_come(count[:, None], told)[:, 0], place, memory)
            modulation = self.head.modulation(known)

            def estimate(x: Tensor, step: int, modulation: tuple[Tensor, ...] = modulation) -> Tensor:
                time = tuple(part[step] for part in times)
                guesses = self.head(x.repeat(many, 1), modulation, time).chunk(many)
                return guesses[0] if many == 1 else guesses[1] + scale * (guesses[0] - guesses[1])

            written.append(euler(estimate, noise[:, place], config.sampling_steps))
            tokens = self.read_latent(self._weighed(written[-1])).repeat(many, 1)
            if counts is None and ending.all_over(self.ends(known[:rows]).squeeze(-1).sigmoid(), place + 1):
                break
        return torch.stack(written, dim=1), ending.counts if counts is None else counts

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
    ) -> Float[Tensor, "B T D"]:
        """Return features of latents. Rotations count from where a motion begins to face, so a prefix is turned
        along."""
        if prefix is None:
            return features_of_core(self.latents.decode(z, counts), self.skeleton)
        # The first patch joins the last of the prefix as any two patches do.
        core = self.latents.decode(torch.cat([before[0][:, -1:], z], dim=1), counts + 1)
        core = core[:, self.config.frames_per_latent :]
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


class _Ending:
    """End of each motion: it is over when that is likelier than not, by what the model has seen."""

    def __init__(self, rows: int, most: int, device: torch.device):
        self.counts = torch.full((rows,), most, device=device)
        self._lasts = torch.ones(rows, device=device)

    def all_over(self, ends: Float[Tensor, "B"], count: int) -> bool:
        """Return whether all are over with `count` latents, when the last of them was the last with probability
        `ends`."""
        before, self._lasts = self._lasts, self._lasts * (1 - ends)
        self.counts = torch.where((before >= 0.5) & (self._lasts < 0.5), count, self.counts)
        return bool((self._lasts < 0.5).all())
