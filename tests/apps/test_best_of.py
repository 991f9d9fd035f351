"""The best of several motions, chosen by a space."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import atm.apps.best_of as module
from atm.apps.best_of import BestOf, best_of, candidate_seed, share_done
from atm.apps.options import SampleOptions
from atm.base.errors import InputError
from atm.base.packaged import packaged
from atm.interface import Capabilities
from atm.motion import HUMANML3D, Motion, features_from_joints
from atm.motion.program import Action, Program
from atm.scripted.motion.perform import perform

TEXT = ["a person walks", "a person sits down", "a person waves"]
LENGTHS = torch.tensor([5, 3, 4])
SEEDS = [7, 7, 11]


class Toy:
    """Motions that are noise of their seeds."""

    capabilities = Capabilities()
    normaliser = SimpleNamespace(mean=torch.zeros(263))

    def training_step(self, batch, rng):
        raise NotImplementedError

    def sample(self, text, lengths, *, seeds, guidance_scale=None, progress=False):
        rows = [torch.randn(8, 263, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        return Motion(torch.stack(rows)[:, : int(lengths.max())], lengths)


class FirstFrame:
    """A space in which a motion lies where its first frame does, and every text on the first axis."""

    def encode_text(self, text):
        return torch.eye(263)[:1].repeat(len(text), 1)

    def encode_motion(self, motion):
        return motion.features[:, 0]


def cosines(motion: Motion) -> torch.Tensor:
    return torch.nn.functional.normalize(FirstFrame().encode_motion(motion), dim=-1)[:, 0]


def test_the_candidate_nearest_to_its_text_is_kept():
    made = [Toy().sample(TEXT, LENGTHS, seeds=[candidate_seed(s, k) for s in SEEDS]) for k in range(4)]
    kept = BestOf(Toy(), FirstFrame(), 4).sample(TEXT, LENGTHS, seeds=SEEDS)
    nearest = torch.stack([cosines(one) for one in made])
    assert torch.equal(cosines(kept), nearest.max(dim=0).values)
    assert len(set(nearest.argmax(dim=0).tolist())) > 1
    for row, choice in enumerate(nearest.argmax(dim=0).tolist()):
        frames = int(LENGTHS[row])
        assert torch.equal(kept.features[row, :frames], made[choice].features[row, :frames])
    assert torch.equal(kept.lengths, LENGTHS)


def test_the_first_candidate_is_what_the_generator_makes_alone():
    alone = Toy().sample(TEXT, LENGTHS, seeds=SEEDS)
    kept = BestOf(Toy(), FirstFrame(), 1).sample(TEXT, LENGTHS, seeds=SEEDS)
    assert torch.equal(kept.features[0, :5], alone.features[0, :5])


def test_a_batch_of_one_equals_its_row_in_a_batch_of_many():
    many = BestOf(Toy(), FirstFrame(), 3).sample(TEXT, LENGTHS, seeds=SEEDS)
    one = BestOf(Toy(), FirstFrame(), 3).sample(TEXT[1:2], LENGTHS[1:2], seeds=SEEDS[1:2])
    assert torch.equal(one.features[0], many.features[1, :3])


def test_one_candidate_is_the_generator_itself():
    toy = Toy()
    assert best_of(toy, 1, space=None, model=Path("model.safetensors")) is toy


def test_the_packaged_generator_has_a_space_that_chooses():
    assert isinstance(best_of(Toy(), 2, space=None, model=packaged("generator")), BestOf)


@pytest.mark.parametrize(
    ("count", "space", "said"),
    [
        (0, None, "the best of how many motions"),
        (1, Path("space"), "--space chooses among several motions: give --best-of"),
        (2, None, "--best-of chooses by a space of the data that mine.safetensors was trained on: give --space RUN"),
        (2, Path("runs/none"), "no model at runs/none"),
    ],
)
def test_what_cannot_choose_is_refused(count, space, said):
    with pytest.raises(InputError, match=said):
        best_of(Toy(), count, space=space, model=Path("mine.safetensors"))


def test_by_verdict_what_is_done_counts_before_what_is_near(monkeypatch):
    """The space's favourite is kept only among those that do most of what is asked."""
    made = [Toy().sample(TEXT, LENGTHS, seeds=[candidate_seed(s, k) for s in SEEDS]) for k in range(4)]
    done = {float(one.features[row, 0, 0]): float(k in (1, 2)) for k, one in enumerate(made) for row in range(3)}
    monkeypatch.setattr(module, "share_done", lambda motion, sentence: done[float(motion.features[0, 0, 0])])
    kept = BestOf(Toy(), FirstFrame(), 4, by_verdict=True).sample(TEXT, LENGTHS, seeds=SEEDS)
    nearest = torch.stack([cosines(one) for one in made[1:3]]).max(dim=0).values
    assert torch.equal(cosines(kept), nearest)


def test_the_share_that_is_done_is_that_of_the_oracles_checks():
    program = Program((Action("wave", 2, "left"), Action("bow", 1)))
    joints = torch.from_numpy(perform(program, np.random.default_rng(0)))
    motion = Motion(features_from_joints(joints, HUMANML3D)[None], torch.tensor([len(joints) - 1]))
    assert share_done(motion, "a person waves twice with the left hand and then bows once") == 1.0
    assert 0 < share_done(motion, "a person waves four times with the left hand and then bows once") < 1
    assert share_done(motion, "a person dances") == 0.0


def test_a_way_to_choose_that_there_is_not_is_refused():
    with pytest.raises(InputError, match="unknown way to choose 'taste'"):
        SampleOptions(best_by="taste")
    with pytest.raises(InputError, match="--by verdict chooses among several"):
        best_of(Toy(), 1, space=None, model=packaged("generator"), by_verdict=True)
