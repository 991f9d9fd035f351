"""One option of an evaluation takes the place of several: what it asks for."""

from types import SimpleNamespace

import pytest
import torch

from atm.apps import evaluate as start
from atm.apps.options import EvaluateOptions
from atm.base.errors import InputError
from atm.evaluation.published import GUO, MDM
from doubles import FakeTextEncoder
from folders import make_folder


class Asked(Exception):
    """Ends the evaluation where it would begin; its argument is what was asked."""


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """What an evaluation of a generator of this system is asked for."""

    def evaluate(*_, **options):
        raise Asked(options)

    def call(system: str = "mdm", **options) -> dict:
        generator = torch.nn.Module()
        generator.config, generator.text_encoder = SimpleNamespace(name=system), FakeTextEncoder()
        generator.normaliser = SimpleNamespace(mean=torch.zeros(263))
        monkeypatch.setattr(start, "open_generator", lambda _: SimpleNamespace(generator=generator))
        monkeypatch.setattr(start, "best_of", lambda generator, *_, **__: generator)
        with pytest.raises(Asked) as caught:
            start.evaluate_path(model, data=data, options=EvaluateOptions(**options), show_progress=False)
        return caught.value.args[0]

    monkeypatch.setenv("ATM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(start, "evaluate", evaluate)
    data, model = make_folder(tmp_path / "data"), tmp_path / "model.safetensors"
    model.write_bytes(b"weights")
    return call


def test_without_it_every_system_is_measured_alike(asked):
    options = asked()
    assert (options["repeats"], options["tail"], options["samples"], options["published"]) == (20, "zero", None, None)
    assert options["multimodality"].texts == 100


@pytest.mark.parametrize(("system", "protocol"), [("mdm", MDM), ("bamm", GUO)])
def test_with_it_each_system_is_measured_as_its_authors_did(asked, system, protocol):
    options = asked(system, protocol="published", repeats=20, tail="published")
    assert options["repeats"] == 20 and options["published"].authors == protocol.authors
    assert options["multimodality"] is not None
    assert asked(system, protocol="published", multimodality=False)["multimodality"] is None


def test_a_folder_of_motions_is_not_generated_anew(tmp_path):
    motions = tmp_path / "motions"
    motions.mkdir()
    with pytest.raises(InputError, match="published generates anew .* is a folder of motions: leave --protocol out"):
        start.evaluate_path(
            motions,
            data=make_folder(tmp_path / "data"),
            options=EvaluateOptions(protocol="published"),
            show_progress=False,
        )
