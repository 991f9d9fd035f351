"""A generator, a space and data that train in milliseconds."""

from pathlib import Path

import torch
from torch import nn

from atm.alignment import Alignment, AlignmentConfig
from atm.data.batches import BatchSampler
from atm.data.humanml3d import open_dataset
from atm.generators.mdm.config import MDMConfig
from atm.interface import Batch, Capabilities, StepOutput
from atm.motion import Motion
from atm.motion.layers import Normaliser
from atm.space import Space, SpaceConfig
from atm.training.config import TrainConfig
from atm.training.loop import TrainResult, train
from atm.training.record import RunFolder
from atm.training.step import step_generator
from doubles import FakeTextEncoder
from folders import make_folder

ENCODER = FakeTextEncoder()


class StillPose(nn.Module):
    """One pose per text, held still; with dropout, and with noise from the step's generator."""

    capabilities = Capabilities()

    def __init__(self, width: int = 263, dropout: float = 0.2):
        super().__init__()
        self.hidden = nn.Linear(ENCODER.sentence_width, 16)
        self.dropout = nn.Dropout(dropout)
        self.to_pose = nn.Linear(16, width)

    def training_step(self, batch: Batch, rng: torch.Generator) -> StepOutput:
        noise = 0.1 * torch.randn(batch.sentence.shape, generator=rng)
        hidden = self.dropout(self.hidden(batch.sentence + noise).tanh())
        features = self.to_pose(hidden)[:, None, :].expand_as(batch.motion.features)
        squared = (features - batch.motion.features).square().mean(-1) * batch.motion.mask
        return StepOutput(squared.sum(1) / batch.motion.lengths, Motion(features, batch.motion.lengths))


class Bench:
    """Everything that a run of `StillPose` needs, in a folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.data = make_folder(folder / "data", clips=16)
        self.dataset = open_dataset(self.data, "train")

    def config(self, **changes) -> TrainConfig:
        values = {"steps": 6, "batch_size": 4, "log_every": 1, "checkpoint_every": 100, "gradient_log_every": 0}
        values["precision"] = "32-true"
        return TrainConfig(model=MDMConfig(), data=str(self.data), **(values | changes))

    def sampler(self, config: TrainConfig, split: str = "train") -> BatchSampler:
        dataset = self.dataset if split == "train" else open_dataset(self.data, split)
        return BatchSampler(dataset, ENCODER, batch_size=config.batch_size, seed=config.seed)

    def run(self, name: str, config: TrainConfig, *, model: nn.Module | None = None, **options) -> TrainResult:
        options = {"sampler": self.sampler(config), "show_progress": False} | options
        return train(config, model or still_pose(config.seed), run=self.at(name), **options)

    def at(self, name: str) -> RunFolder:
        return RunFolder(self.folder / name)


def still_pose(seed: int = 0, **options) -> StillPose:
    step_generator(seed, 0)
    return StillPose(**options)


def toy_alignment(**changes) -> Alignment:
    """With random spaces the losses mean nothing, but they are there and have a gradient."""
    torch.manual_seed(3)
    config = SpaceConfig(width=8, feed_forward=16, layers=1, decoder_layers=1, heads=1)
    space = Space(config, ENCODER, Normaliser.identity(263))
    return Alignment(AlignmentConfig(**({"inter_weight": 1.0, "intra_weight": 1.0, "gamma": 1.0} | changes)), space)


class Wrapped:
    """A sampler that does something on the way."""

    def __init__(self, sampler: BatchSampler, before):
        self.sampler = sampler
        self.before = before

    def __call__(self, step: int) -> Batch:
        batch = self.sampler(step)
        return self.before(step, batch) or batch


def weights(run: RunFolder) -> dict[str, torch.Tensor]:
    from atm.base.storage import read_model

    return read_model(run.model).state


def losses(run: RunFolder) -> list[dict]:
    """The lines of a run without its times."""
    return [{name: value for name, value in line.items() if name != "seconds"} for line in run.read_metrics()]
