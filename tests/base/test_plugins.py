"""Generators and presets of other packages: known by name, loaded when asked for, and no harm where they are broken."""

import warnings

import pytest

from atm.apps.importing import find_system, list_systems
from atm.base import plugins
from atm.base.errors import InputError
from atm.models import GENERATORS, all_generators, find_spec, generator_names
from atm.training.presets import all_presets, preset
from installed import install

ROW = """
from typing import Literal
from atm.base.config import Config
from atm.interface import ModelSpec

class ToyConfig(Config):
    name: Literal["toy"] = "toy"
    width: int = 3

def entry():
    return ModelSpec("generator", ToyConfig, lambda config, text_encoder, normaliser: config)
"""
RUN = """
from atm.interface import Preset
from toy import ToyConfig

toy_small = Preset(lambda: ToyConfig(width=5), {"steps": 7}, "a toy", "at once")
"""
PRESETS = all_presets()
POINTS = "[atm.generators]\ntoy = toy:entry\n[atm.presets]\ntoy_small = toy_runs:toy_small\n"


@pytest.fixture(autouse=True)
def every_warning_again():
    plugins._warn.cache_clear()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Installs a package under a name."""

    def put(name: str = "toy-motion", modules: dict[str, str] | None = None, points: str = POINTS) -> None:
        install(
            tmp_path / name, monkeypatch, name, {"toy": ROW, "toy_runs": RUN} if modules is None else modules, points
        )

    return put


def test_a_generator_of_another_package_is_found_trained_and_listed_by_its_name(package):
    assert "toy" not in generator_names()
    package()
    assert generator_names() == [*GENERATORS, "toy"]
    assert find_spec("toy").config().width == 3
    assert dict(all_generators())["toy"].release is None
    assert find_spec("toy").kind == "generator"
    assert preset("toy_small").model.width == 5
    assert all_presets()["toy_small"].what == "a toy"
    assert list(all_presets())[:-1] == list(PRESETS)


def test_names_are_known_without_importing_the_package(package):
    package(modules={})
    assert "toy" in generator_names()


def test_a_name_of_the_house_stays_its_own_with_a_warning(package):
    package(points="[atm.generators]\nmdm = toy:entry\n[atm.presets]\nmdm_small = toy_runs:toy_small\n")
    with pytest.warns(UserWarning, match=r"the package toy-motion 1\.0 registers 'mdm' .* atm's is taken"):
        assert generator_names() == list(GENERATORS)
    with pytest.warns(UserWarning, match="registers 'mdm_small' in atm.presets"):
        assert all_presets().keys() == PRESETS.keys()
    assert find_spec("mdm").config.__name__ == "MDMConfig"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        generator_names()  # said once


def test_a_name_that_two_packages_register_is_nobodys(package):
    package("toy-motion")
    package("toy-again")
    said = r"the packages toy-again 1\.0 and toy-motion 1\.0 all register 'toy' .*: uninstall all but one"
    with pytest.warns(UserWarning, match=said):
        assert "toy" not in generator_names()
    with pytest.raises(InputError, match=said):
        find_spec("toy")
    with pytest.raises(InputError, match="all register 'toy_small'"):
        preset("toy_small")


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("import nothing_of_this_name", r"cannot be loaded: ModuleNotFoundError: No module named 'nothing_of"),
        ("1 / 0", "cannot be loaded: ZeroDivisionError"),
        ("", "cannot be loaded: AttributeError: .*entry"),
        ("entry = lambda: 3", r"must be a function that gives an atm\.interface\.ModelSpec, but gives int"),
        (ROW.replace('"toy"', '"boy"'), "ToyConfig whose `name` is 'boy': it must be 'toy'"),
        (ROW.replace('    name: Literal["toy"] = "toy"\n', ""), "whose `name` is ''"),
        (ROW.replace("return ModelSpec", "raise OSError('no disk')\n    return ModelSpec"), "OSError: no disk"),
    ],
)
def test_a_broken_generator_says_whose_it_is_and_leaves_the_others_alone(package, module, words):
    package(modules={"toy": module, "toy_runs": RUN})
    with pytest.raises(InputError, match=words):
        find_spec("toy")
    with pytest.warns(UserWarning, match=words):
        assert [name for name, _ in all_generators()] == list(GENERATORS)
    with pytest.warns(UserWarning, match="toy_small|toy"):
        assert all_presets().keys() == PRESETS.keys()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert "mdm\n" in list_systems()
        assert find_system("mdm").name == "mdm"


def test_a_preset_that_is_none_is_refused_and_left_out_of_the_list(package):
    package(points="[atm.presets]\ntoy_small = toy_runs:toy_small\n", modules={"toy_runs": "toy_small = 3"})
    with pytest.raises(InputError, match=r"'toy_small' in .* must be an atm\.interface\.Preset, but is int"):
        preset("toy_small")
    with pytest.warns(UserWarning, match="but is int"):
        assert all_presets().keys() == PRESETS.keys()


def test_a_file_of_a_generator_whose_package_is_gone_says_what_may_be_missing():
    with pytest.raises(InputError, match="unknown model 'toy': .*; is the package installed that brings it?"):
        find_spec("toy")
