"""ReMoDiffuse (Zhang et al. 2023, arXiv:2304.01116): estimates the clean motion, helped by motions of similar texts.

The published network under the keys of its checkpoints, without their prefix `model.`. Ours differs in the search:
published code remembers the entries of a caption whatever length it is asked for next, so that a motion depends on
what was asked before; ours searches each time. And each row of a batch has coins of its own. Ours beside it: patches
of frames as tokens, for machines without a GPU.
"""

import random
from pathlib import Path

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from atm.base.errors import InputError
from atm.generators.diffusion.steps import Chain, noise_chain, reverse, row_noise, section_levels
from atm.generators.parts.inputs import check_rows, keep_encoder
from atm.generators.parts.linear_transformer import level_features, text_layers, text_window, zeroed
from atm.generators.parts.padding import check_frames, evaluating, frame_weighted_loss, like_batch, normalised_rows
from atm.generators.parts.patches import PatchHead, PatchStem, whole_patches
from atm.generators.remodiffuse.attention import Condition, Layer
from atm.generators.remodiffuse.config import ReMoDiffuseConfig
from atm.generators.remodiffuse.database import Database, best, own_entries, read_database, similarities
from atm.generators.remodiffuse.mixture import guidance, mix_weights, passes
from atm.generators.remodiffuse.retrieval import RetrievalEncoder
from atm.interface import Batch, Capabilities, StepOutput, TextEmbedding, TextEncoder
from atm.motion import Motion
from atm.motion.layers import Normaliser, length_mask

STYLE = 4
"""Widths of a token in the vector that scales and shifts the blocks (as published)."""


class ReMoDiffuse(nn.Module):
    """A `Generator` (see `atm.interface`)."""

    def __init__(self, config: ReMoDiffuseConfig, text_encoder: TextEncoder, normaliser: Normaliser):
        super().__init__()
        self.config = config
        keep_encoder(self, text_encoder, config.text_encoder, "this ReMoDiffuse")
        self.normaliser = normaliser
        self.capabilities = Capabilities(guidance=True)
        self._chain = noise_chain(config.diffusion_steps, "linear")
        self._entries: Database | None = None

        # Published keys, hence the names.
        features, width, style_width = len(normaliser.mean), config.width, STYLE * config.width
        state_width, patch = text_encoder.token_width, config.frames_per_token
        self.sequence_embedding = nn.Parameter(torch.randn(-(-config.max_frames // patch), width))
        if patch == 1:
            self.joint_embed = nn.Linear(features, width)
            self.out = zeroed(nn.Linear(width, features))
        else:
            self.joint_embed = PatchStem(features, width, config.frame_width, patch)
            self.out = PatchHead(features, width, config.frame_width, patch, time_width=style_width)
            zeroed(self.out.final)
        self.time_embed = nn.Sequential(nn.Linear(width, style_width), nn.SiLU(), nn.Linear(style_width, style_width))
        self.text_pre_proj = nn.Linear(state_width, config.text_width)
        self.textTransEncoder = text_layers(
            config.text_width, config.text_heads, config.text_feed_forward, config.text_layers, config.dropout
        )
        self.text_ln = nn.LayerNorm(config.text_width)
        self.temporal_decoder_blocks = nn.ModuleList(
            Layer(config, state_width, style_width) for _ in range(config.layers)
        )
        self.database = RetrievalEncoder(config, features, state_width)

    def search_in(self, database: Database) -> None:
        """Retrieve from this database from now on, whatever the config names."""
        if database.text_encoder not in (None, self.config.text_encoder):
            raise InputError(
                f"this ReMoDiffuse searches by {self.config.text_encoder!r}, but the database was made with "
                f"{database.text_encoder!r}: build it again with --text-encoder {self.config.text_encoder}"
            )
        own, given = len(self.normaliser.mean), database.features.shape[1]
        if own != given:
            raise InputError(
                f"this ReMoDiffuse was made for {own} features per frame, but the database holds motions of {given}: "
                "build one from a data set of the same kind"
            )
        self._entries = database

    def training_step(self, batch: Batch, rng: torch.Generator) -> StepOutput:
        """Return one denoising step per row at a random noise level; all its randomness but dropout comes from
        `rng`."""
        x0, mask = normalised_rows(batch.motion, self.normaliser, "ReMoDiffuse", self.config.max_frames)
        device, rows = x0.device, len(x0)
        t = torch.randint(self.config.diffusion_steps, (rows,), generator=rng, device=rng.device).to(device)
        noise = torch.randn(x0.shape, generator=rng, device=rng.device).to(device)
        luck = torch.rand(2, rows, generator=rng, device=rng.device).to(device)
        text_on, retrieval_on = luck[0] >= self.config.text_dropout, luck[1] >= self.config.retrieval_dropout

        text = batch.said_by(self.text_encoder)
        condition = self.condition(text, batch.motion.lengths, training=True, ids=batch.ids)
        x0_hat = self(self.noised(x0, noise, t), t, condition, mask, text_on, retrieval_on)
        return StepOutput(
            loss=frame_weighted_loss(x0_hat, x0, mask),
            motion=like_batch(self.normaliser.inverse(x0_hat), batch.motion),
            noise_level=t / (self.config.diffusion_steps - 1),
        )

    @torch.no_grad()
    def sample(
        self,
        text: list[str],
        lengths: Int[Tensor, "B"],
        *,
        seeds: list[int],
        guidance_scale: float | None = None,
        progress: bool = False,
    ) -> Motion:
        """Return one motion per text; what stands behind a length means nothing.

        Arguments beside, or other than, those of `atm.interface.Generator.sample`:

        Args:
            guidance_scale: None mixes the four estimates as published; a number is plain guidance between that with
                text and retrieval (1) and that with neither (0).

        Raises:
            InputError: a length below 1 or beyond the position table, or no database.
        """
        check_rows(text, seeds, lengths)
        device = self.sequence_embedding.device
        lengths = lengths.to(device)
        check_frames(lengths, self.config.max_frames, "ReMoDiffuse")
        frames = int(lengths.max())
        mask = length_mask(lengths, frames)
        coins = [random.Random(f"coins of {seed}") for seed in seeds]

        def predict(x_t: Tensor, level: int) -> Tensor:
            heads = torch.tensor([coin.random() < 0.5 for coin in coins], device=device)
            return self.mixed(x_t, level, condition, mask, heads, guidance_scale=guidance_scale)

        drawn = [self.config.max_frames] * len(seeds)
        draw = row_noise(seeds, drawn, (frames, len(self.normaliser.mean)), device)
        with evaluating(self):
            condition = self.condition(self._encode(text), lengths)
            eta = 1.0 if self.config.sampler == "ddpm" else 0.0
            x0 = reverse(predict, draw, self.sampling_chain(), eta=eta, variance="large", show_progress=progress)
        return Motion(self.normaliser.inverse(x0), lengths)

    def forward(
        self,
        x_t: Float[Tensor, "B T D"],
        t: Int[Tensor, "B"],
        condition: Condition,
        mask: Bool[Tensor, "B T"],
        text_on: Bool[Tensor, "B"],
        retrieval_on: Bool[Tensor, "B"],
    ) -> Float[Tensor, "B T D"]:
        """Return the estimate of the clean motion, normalised like its input.

        Args:
            x_t: noisy motions, normalised.
            t: noise levels of the full schedule.
            condition: from `condition`.
            mask: True inside a motion.
            text_on: False where the row sees no text.
            retrieval_on: False where the row sees no retrieved motion.
        """
        style = self.time_embed(level_features(t, self.config.width))
        seen = (condition, text_on, retrieval_on, style)
        if self.config.frames_per_token == 1:
            return self.out(self._trunk(self.joint_embed(x_t), mask, *seen)).float()
        frames, patch = x_t.shape[1], self.config.frames_per_token
        x_t, mask = whole_patches(x_t, mask, patch)
        tokens, skip = self.joint_embed(x_t, mask)
        tokens = self._trunk(tokens, mask[:, ::patch], *seen)
        return self.out(tokens, skip, mask, style)[:, :frames].float()

    def mixed(
        self,
        x_t: Float[Tensor, "B T D"],
        level: int,
        condition: Condition,
        mask: Bool[Tensor, "B T"],
        heads: Bool[Tensor, "B"],
        *,
        guidance_scale: float | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Return the weighted sum of the estimates that this level needs, all passes as one batch."""
        if guidance_scale is None:
            mixed = mix_weights(self.config.mixture, level, self.config.diffusion_steps, heads)
        else:
            mixed = guidance(guidance_scale, len(x_t), x_t.device)
        runs = passes(mixed)
        times = len(runs)
        t = torch.full((times * len(x_t),), level, device=x_t.device)
        text_on, retrieval_on = torch.cat([run.text_on for run in runs]), torch.cat([run.retrieval_on for run in runs])
        estimates = self(
            x_t.repeat(times, 1, 1), t, condition.repeated(times), mask.repeat(times, 1), text_on, retrieval_on
        )
        weight = torch.stack([run.weight for run in runs])  # (times, B)
        return (rearrange(estimates, "(n b) t d -> n b t d", n=times) * weight[..., None, None]).sum(0)

    def condition(
        self,
        text: TextEmbedding,
        lengths: Int[Tensor, "B"],
        *,
        training: bool = False,
        ids: list[str] | None = None,
    ) -> Condition:
        """Return of a text embedding what the network reads, and the motions that it finds by it.

        Args:
            text: from the model's text encoder.
            lengths: frames of each motion to be made.
            training: leave out what could be the row itself (`own_entries`).
            ids: the motions of a training batch.
        """
        entries = self.open_database()
        query, sizes = text.sentence.cpu(), lengths.cpu()
        scores = similarities(entries, query, sizes, length_penalty=self.config.length_penalty)
        skip = own_entries(entries, sizes, ids) if training else None
        states = text_window(text, self.config.text_window).to(self.sequence_embedding.device)
        return Condition(self.read(states), *self.retrieved(*best(scores, self.config.retrieved, skip)))

    def read(self, states: Float[Tensor, "B L S"]) -> Float[Tensor, "B L V"]:
        """Return token states of the frozen language model through the trained text layers."""
        return self.text_ln(self.textTransEncoder(self.text_pre_proj(states)))

    def retrieved(
        self, rows: Int[Tensor, "B R"], found: Bool[Tensor, "B R"]
    ) -> tuple[Float[Tensor, "B R F W"], Float[Tensor, "B R 1 S"], Bool[Tensor, "B R F"]]:
        """Return entries of the database, encoded: motions, texts, and which frames there are."""
        entries, device, frames = self.open_database(), self.sequence_embedding.device, self.config.max_frames
        flat = rows.flatten()
        motions = torch.stack([entries.motion(int(row), frames) for row in flat]).to(device)
        lengths = entries.lengths[flat].where(found.flatten(), 0).to(device)
        if not entries.normalised:
            # Zeros behind an end are put there after the normalisation, as in a database of normalised motions.
            own = length_mask(entries.lengths[flat].to(device), frames)
            motions = self.normaliser(motions) * own[..., None]
        motions, inside = self.database.encode_motions(motions, length_mask(lengths, frames))
        if entries.tokens is None:
            text = self._encode([entries.captions[row] for row in flat.tolist()])
            states = text_window(text, self.config.text_window)
        else:
            states = entries.tokens[flat]
        texts = self.database.encode_texts(states.to(device))
        motions, texts, inside = (part.unflatten(0, rows.shape) for part in (motions, texts, inside))
        return motions, texts, inside

    def noised(
        self, x0: Float[Tensor, "B T D"], noise: Float[Tensor, "B T D"], t: Int[Tensor, "B"]
    ) -> Float[Tensor, "B T D"]:
        """Return the motion at noise level t, and what `forward` starts from."""
        return self._chain.add_noise(x0, noise, t)

    def sampling_chain(self) -> Chain:
        """Return the levels that `sample` visits."""
        kept = section_levels(self.config.diffusion_steps, self.config.sampling_sections)
        return noise_chain(self.config.diffusion_steps, "linear", kept=kept)

    def open_database(self) -> Database:
        """Return what is searched, read when it is first asked for.

        Raises:
            InputError: the config names none, or it is no database, or one of other texts or motions.
        """
        if self._entries is None:
            if self.config.database is None:
                raise InputError(
                    "this ReMoDiffuse has no database to retrieve from: make one of its data set with "
                    f"`atm retrieval build DATA FILE --text-encoder {self.config.text_encoder}`, then give "
                    "model.database=FILE"
                )
            self.search_in(read_database(Path(self.config.database)))
        return self._entries

    def _trunk(
        self,
        tokens: Float[Tensor, "B N W"],
        mask: Bool[Tensor, "B N"],
        condition: Condition,
        text_on: Bool[Tensor, "B"],
        retrieval_on: Bool[Tensor, "B"],
        style: Float[Tensor, "B S"],
    ) -> Float[Tensor, "B N W"]:
        tokens = tokens + self.sequence_embedding[: tokens.shape[1]]
        for layer in self.temporal_decoder_blocks:
            tokens = layer(tokens, mask, condition, text_on, retrieval_on, style)
        return tokens

    def _encode(self, text: list[str]) -> TextEmbedding:
        with torch.no_grad():
            return self.text_encoder(text)


def begin(config: ReMoDiffuseConfig, text_encoder: TextEncoder, normaliser: Normaliser) -> ReMoDiffuse:
    """Return a new ReMoDiffuse to be trained; what is wrong with its database is said at once.

    Args:
        config, text_encoder, normaliser: as for `ReMoDiffuse`.

    Raises:
        InputError: see `ReMoDiffuse.open_database`.
    """
    model = ReMoDiffuse(config, text_encoder, normaliser)
    model.open_database()
    return model
