"""What can be trained, by name."""

import pytest

from atm.errors import InputError
from atm.generators import GENERATORS, STAGES, load_generator
from atm.generators.mld.presets import mld_vae_small
from atm.generators.mld.stage import VAEStage
from atm.layers import Normaliser
from atm.storage import save_model
from atm.training.table import find_trainable


@pytest.mark.parametrize("name", [*GENERATORS, *STAGES, "space", "evaluator"])
def test_every_row_is_found_by_the_name_in_its_config(name):
    assert find_trainable(name).config.model_fields["name"].default == name


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="unknown model 'momask_masks': did you mean 'momask_mask'"):
        find_trainable("momask_masks")


def test_a_trained_stage_is_no_generator_and_says_what_is_next(tmp_path):
    row = find_trainable("mld_vae")
    stage = VAEStage(mld_vae_small(), Normaliser.identity(263))
    save_model(tmp_path / "model.safetensors", stage, stage.config, row.kind)
    with pytest.raises(InputError, match=r"holds a mld_vae, a stage .*: train an mld with model\.vae=RUN"):
        load_generator(tmp_path)
