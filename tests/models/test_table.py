"""What can be trained, by name."""

import pytest

from atm.base.errors import InputError
from atm.base.storage import save_model
from atm.generators.mld.presets import mld_vae_small
from atm.generators.mld.stage import VAEStage
from atm.models import GENERATORS, STAGES, find_spec, load_generator
from atm.motion.layers import Normaliser


@pytest.mark.parametrize("name", [*GENERATORS, *STAGES, "space", "evaluator"])
def test_every_row_is_found_by_the_name_in_its_config(name):
    assert find_spec(name).config.model_fields["name"].default == name


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="unknown model 'momask_masks': did you mean 'momask_mask'"):
        find_spec("momask_masks")


def test_a_trained_stage_is_no_generator_and_says_what_is_next(tmp_path):
    row = find_spec("mld_vae")
    stage = VAEStage(mld_vae_small(), Normaliser.identity(263))
    save_model(tmp_path / "model.safetensors", stage, stage.config, row.kind)
    with pytest.raises(InputError, match=r"holds a mld_vae, a stage .*: train an mld with model\.vae=RUN"):
        load_generator(tmp_path)
