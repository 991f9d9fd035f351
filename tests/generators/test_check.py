"""`check_generator` on the presets of MDM, on a toy that keeps every promise, and on toys that break one each."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from atm.generators.mdm.config import MDMConfig
from atm.generators.mdm.model import MDM
from atm.generators.mdm.presets import (
    mdm_humanml3d,
    mdm_humanml3d_50,
    mdm_humanml3d_distilbert,
    mdm_kit,
    mdm_small,
)
from atm.interface import Batch, Capabilities, StepOutput
from atm.models.check import CHECKS, check_generator
from atm.motion import Motion
from atm.motion.layers import Normaliser
from doubles import ABOUT_LENGTHS, FakeTextEncoder

TINY = {"width": 16, "heads": 2, "feed_forward": 32, "layers": 2, "frame_width": 12, "max_frames": 24}
"""Makes a test of a preset quick; nothing else about it changes."""


def make_batch(features: int = 263) -> Batch:
    rng = torch.Generator().manual_seed(0)
    motion = Motion(torch.randn(3, 22, features, generator=rng), torch.tensor([22, 9, 13]))
    text = ["a person walks", "someone sits down slowly", "jump"]
    return Batch(motion, text, torch.zeros(3, 4), ["a", "b", "c"])


class Toy(nn.Module):
    """One pose from a text, held still, with noise of the row's seed. Keeps every promise of a generator."""

    def __init__(self, features: int = 263):
        super().__init__()
        self.text_encoder = FakeTextEncoder()
        self.to_pose = nn.Linear(self.text_encoder.sentence_width, features)
        self.capabilities = Capabilities(guidance=False)

    def training_step(self, batch: Batch, rng: torch.Generator) -> StepOutput:
        features = self._pose(batch.text).expand_as(batch.motion.features)
        squared = (features - batch.motion.features).square().mean(-1) * batch.motion.mask
        return StepOutput(squared.sum(1), Motion(features, batch.motion.lengths))

    @torch.no_grad()
    def sample(self, text: list[str], lengths: Tensor, *, seeds: list[int], guidance_scale: float | None = None):
        poses = self._pose(text).repeat(1, int(lengths.max()), 1)
        noise = [torch.randn(poses.shape[2], generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        return Motion(poses + torch.stack(noise)[:, None], lengths)

    def _pose(self, text: list[str]) -> Tensor:
        return self.to_pose(self.text_encoder(text).sentence)[:, None]


def statuses(generator: nn.Module, batch: Batch | None = None) -> dict[str, str]:
    return {result.name: result.status for result in check_generator(generator, batch or make_batch())}


@pytest.mark.parametrize(
    ("config", "features"),
    [
        (mdm_humanml3d().model_copy(update={"sampling_steps": 5}), 263),
        (mdm_kit().model_copy(update={"sampling_steps": 5, "sampler": "ddim"}), 251),
        (mdm_humanml3d_50(), 263),
        (mdm_humanml3d_distilbert().model_copy(update={"diffusion_steps": 5}), 263),
        (mdm_small().model_copy(update={"diffusion_steps": 5, "sampling_steps": None}), 263),
    ],
    ids=["published", "kit", "50 steps", "distilbert", "small"],
)
def test_every_preset_of_mdm_passes_every_check_that_applies(config: MDMConfig, features: int):
    torch.manual_seed(0)
    config = config.model_copy(update=TINY)
    model = MDM(config, FakeTextEncoder(8, config.text_encoder), Normaliser.identity(features)).train()
    results = check_generator(model, make_batch(features))
    assert [result for result in results if result.status == "fail"] == []
    skipped = {result.name for result in results if result.status == "not applicable"}
    assert skipped == ABOUT_LENGTHS | (set() if config.mask_frames else {"padding does not change a step"})
    assert model.training


def test_a_toy_that_keeps_its_promises_passes():
    found = statuses(Toy())
    assert len(found) == len(CHECKS)
    assert "fail" not in found.values()
    assert found["guidance zero ignores the text"] == "not applicable"
    assert found["guidance one equals conditional"] == "not applicable"
    assert found["a saved generator gives the same motion"] == "not applicable"


class Refusing(FakeTextEncoder):
    """Takes no empty prompt, as language models that users speak to."""

    def __call__(self, text: list[str]):
        assert all(caption.strip() for caption in text), "the prompt is empty"
        return super().__call__(text)

    def embed_nothing(self):
        return super().__call__([""])


def test_the_embedding_of_no_words_is_asked_for_where_an_empty_prompt_is_refused():
    toy = Toy()
    encoder = toy.text_encoder = Refusing()
    assert statuses(toy)["a text of no words gives a motion"] == "pass"
    assert toy.text_encoder is encoder


def deaf(toy: Toy) -> None:
    pose = toy._pose
    toy._pose = lambda text: pose(["the same"] * len(text))


def detached(toy: Toy) -> None:
    change_step(toy, lambda step, batch: replace(step, motion=step.motion.detach()))


def counts_padding(toy: Toy) -> None:
    change_step(toy, lambda step, batch: replace(step, loss=step.loss + batch.motion.features.mean()))


def global_noise(toy: Toy) -> None:
    change_step(toy, lambda step, batch: replace(step, loss=step.loss + torch.rand(len(batch))))


def shared_noise(toy: Toy) -> None:
    change_seeds(toy, lambda seeds: [sum(seeds) + row for row in range(len(seeds))])


def unseeded(toy: Toy) -> None:
    change_seeds(toy, lambda seeds: torch.randint(10**9, (len(seeds),)).tolist())


def raises(toy: Toy) -> None:
    change_seeds(toy, lambda seeds: 1 / 0)


def guided(mix):
    """Gives the toy guidance: `mix` makes one pose of that with the text, that without, and the scale."""

    def change(toy: Toy) -> None:
        sample, pose = toy.sample, toy._pose
        toy.capabilities = Capabilities(guidance=True)

        def guided_sample(text: list[str], lengths: Tensor, *, seeds: list[int], guidance_scale: float = 2.0):
            toy._pose = lambda text: mix(pose(text), pose([""] * len(text)), guidance_scale)
            try:
                return sample(text, lengths, seeds=seeds)
            finally:
                toy._pose = pose

        toy.sample = guided_sample

    return change


def as_published(told: Tensor, untold: Tensor, scale: float) -> Tensor:
    return untold + scale * (told - untold)


def one_too_many(told: Tensor, untold: Tensor, scale: float) -> Tensor:
    """The convention in which 0 is conditional, behind short ways that are right."""
    return {0.0: untold, 1.0: told}.get(scale, told + scale * (told - untold))


def zero_is_conditional(told: Tensor, untold: Tensor, scale: float) -> Tensor:
    return told + scale * (told - untold)


def change_step(toy: Toy, change) -> None:
    step = toy.training_step
    toy.training_step = lambda batch, rng: change(step(batch, rng), batch)


def change_seeds(toy: Toy, change) -> None:
    sample = toy.sample
    toy.sample = lambda text, lengths, *, seeds, **options: sample(text, lengths, seeds=change(seeds), **options)


def same_at_all_steps(toy: Toy) -> None:
    toy.capabilities, sample = replace(toy.capabilities, steps=10), toy.sample
    toy.sample = lambda *asked, steps=None, **options: sample(*asked, **options)


@pytest.mark.parametrize(
    ("break_promise", "check"),
    [
        (deaf, "the text changes the motion"),
        (detached, "gradient of the motion reaches the weights"),
        (counts_padding, "padding does not change a step"),
        (global_noise, "randomness of a step comes from its generator"),
        (shared_noise, "a batch of one equals its row"),
        (unseeded, "a seed means a motion"),
        (same_at_all_steps, "steps that are asked for give a motion"),
        (raises, "samples are finite and as long as asked"),
        (guided(one_too_many), "guidance one equals conditional"),
        (guided(zero_is_conditional), "guidance zero ignores the text"),
    ],
)
def test_a_toy_that_breaks_a_promise_fails_its_check(break_promise, check):
    toy = Toy()
    break_promise(toy)
    assert statuses(toy)[check] == "fail"


def test_a_toy_with_the_published_guidance_passes():
    toy = Toy()
    guided(as_published)(toy)
    found = statuses(toy)
    assert "fail" not in found.values()
    assert found["guidance one equals conditional"] == "pass"


def test_a_batch_that_cannot_show_anything_is_refused():
    batch = make_batch()
    same = replace(batch, text=["a"] * 3)
    with pytest.raises(ValueError, match="different texts"):
        check_generator(Toy(), same)
