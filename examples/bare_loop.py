"""The whole idea in one loop: data, a generator, the frozen space, the losses, an optimiser. `python bare_loop.py DATA`

DATA is a folder in the HumanML3D layout; `atm data scripted DATA --clips 500` makes one. The real loop, with resuming,
logs, moving average, several devices, is src/atm/training/loop.py.
"""

import sys

import torch

from atm.alignment import Alignment, AlignmentConfig
from atm.data.batches import BatchSampler
from atm.data.humanml3d import open_dataset
from atm.generators.mdm.model import MDM
from atm.generators.mdm.presets import mdm_small
from atm.motion.layers import Normaliser
from atm.space import find_space
from atm.text import CachedTextEncoder, load_text_encoder


def train(data: str, steps: int = 200, batch_size: int = 32) -> list[float]:
    """Return the loss of each step."""
    dataset = open_dataset(data, "train")
    text = CachedTextEncoder(load_text_encoder("minilm"))  # a small language model that comes with the package
    sampler = BatchSampler(dataset, text, batch_size=batch_size, seed=0)
    generator = MDM(mdm_small(), text, Normaliser(torch.from_numpy(dataset.mean), torch.from_numpy(dataset.std)))
    space = find_space(None, width=dataset.skeleton.feature_width, encoder_of=lambda _name: text)
    alignment = Alignment(AlignmentConfig(inter={"weight": 0.1}, intra={"weight": 0.1}, epsilon=0.99), space)
    optimizer = torch.optim.AdamW(generator.parameters(), lr=5e-4)
    rng, losses = torch.Generator().manual_seed(0), []
    for number in range(steps):
        batch = sampler(number)
        step = generator.training_step(batch, rng)  # text -> generator -> motion
        aligned = alignment(step.motion, batch, step.noise_level)  # motion -> embedding -> losses
        loss = step.loss.mean() + aligned.total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        print(f"step {number}: own {step.loss.mean():.4f}, inter {aligned.inter:.4f}, intra {aligned.intra:.4f}")
    return losses


if __name__ == "__main__":
    train(sys.argv[1])
