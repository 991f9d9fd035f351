"""Overrides and their errors: a typo is answered with the nearest key at its own level."""

from typing import Annotated, Literal

import pytest
from pydantic import Field, SerializeAsAny

from atm.base.config import ByName, Config, load, override, save, validate
from atm.base.errors import InputError, unknown


class Walk(Config):
    name: Literal["walk"] = "walk"
    speed: Annotated[float, Field(gt=0)] = 1.0
    stride: float | None = None


class Sit(Config):
    name: Literal["sit"] = "sit"
    height: float = 0.45


class Losses(Config):
    weight: Annotated[float, Field(ge=0)] = 0.01


class Gait(Config):
    name: Literal["gait"] = "gait"
    walk: Walk | None = None


def find(name: str) -> type[Config]:
    table = {"walk": Walk, "sit": Sit, "gait": Gait}
    if name not in table:
        raise unknown("move", name, table)
    return table[name]


class Open(Config):
    """Like `Run`, but what `model` may be is a matter of the table."""

    model: Annotated[SerializeAsAny[Config], ByName(find)]


class Run(Config):
    model: Annotated[Walk | Sit, Field(discriminator="name")] = Walk()
    losses: Losses | None = None
    seed: int = 0


def test_values_are_set_by_dotted_keys():
    config = override(Run(), ["model.speed=1e-1", "seed=7"])
    assert config.model.speed == 0.1
    assert config.seed == 7


def test_none_is_none():
    assert override(Run(losses=Losses()), ["losses=none"]).losses is None


def test_a_key_below_a_field_that_is_none_starts_from_its_defaults():
    assert override(Run(), ["losses.weight=0.5"]).losses == Losses(weight=0.5)


def test_the_hint_comes_from_the_chosen_member_of_a_union():
    with pytest.raises(InputError, match=r"model\.heigth.*did you mean 'model\.height'"):
        override(Run(model=Sit()), ["model.heigth=1"])


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("sed=1", "did you mean 'seed'"),
        ("seed", "expected key=value"),
        ("seed=abc", "seed = 'abc': Input should be a valid integer"),
        ("model.speed=0", r"model\.speed = 0: Input should be greater than 0"),
        ("seed.x=1", "has no keys below it"),
    ],
)
def test_bad_assignments_get_one_clear_sentence(assignment, message):
    with pytest.raises(InputError, match=message):
        override(Run(), [assignment])


def test_a_saved_config_comes_back_equal(tmp_path):
    config = Run(model=Sit(height=0.5), losses=Losses())
    save(config, tmp_path / "config.yaml")
    assert load(Run, tmp_path / "config.yaml") == config


def test_a_file_that_is_no_config_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_text("just words")
    with pytest.raises(InputError, match="is no config"):
        load(Run, tmp_path / "config.yaml")


def test_a_field_by_name_holds_whatever_the_table_names(tmp_path):
    config = override(Open(model=Gait()), ["model.walk.speed=2"])
    assert config == Open(model=Gait(walk=Walk(speed=2)))
    save(config, tmp_path / "config.yaml")
    assert load(Open, tmp_path / "config.yaml") == config


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"model": {"name": "sitt"}}, "unknown move 'sitt': did you mean 'sit'"),
        ({"model": {"height": 1}}, "model: its `name` says which it is, but there is none"),
        ({"model": 3}, "model = 3"),
        ({"model": {"name": "sit", "heigth": 1}}, r"model\.heigth = 1: Extra inputs"),
        ({"model": {"name": "gait", "walk": {"speed": 0}}}, r"model\.walk\.speed = 0: Input should be greater than 0"),
    ],
)
def test_faults_below_a_field_by_name_are_named_as_elsewhere(data, message):
    with pytest.raises(InputError, match=message):
        validate(Open, data, source="here")


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("model.heigth=1", r"did you mean 'model\.height'"),
        ("model.name=gate", "unknown move 'gate'"),
        ("model.height.x=1", r"model\.height has no keys below it"),
    ],
)
def test_assignments_below_a_field_by_name_are_answered_from_its_class(assignment, message):
    with pytest.raises(InputError, match=message):
        override(Open(model=Sit()), [assignment])


class Place(Config):
    data: str | None = None
    keep: Literal["last", "best"] = "last"
    steps: int = 1
    layers: int = 1


AS_TYPED = [
    "/x/run #2", "/x/a: b", "123", "007", "2024-01-01", "1e3", "[old]", "yes", "~", "/x/a\nb", "a, b", "'q'", "/x/ ",
    "@x", "{x}", "%x", "C:\\new\\t", "*x", "!x", "${HOME}/x", "a=b", "",
]  # fmt: skip


@pytest.mark.parametrize("path", AS_TYPED)
def test_a_path_is_taken_as_it_was_typed(path):
    assert override(Place(), [f"data={path}"]).data == path


@pytest.mark.parametrize("nothing", ["none", "None", "null"])
def test_none_is_no_path(nothing):
    assert override(Place(data="x"), [f"data={nothing}"]).data is None


def test_a_path_that_looks_like_a_number_comes_back_from_a_file(tmp_path):
    save(Place(data="007"), tmp_path / "config.yaml")
    assert load(Place, tmp_path / "config.yaml").data == "007"


@pytest.mark.parametrize(
    "assignment",
    ["steps[0]=1", "steps=" + "9" * 5000, "steps=" + "[" * 5000, "keep=none", "steps=${nope}", "steps=???", "=1",
     "a.b=1", "steps=" + "a" * 100_000],
)  # fmt: skip
def test_whatever_is_typed_is_answered_in_one_short_sentence(assignment):
    with pytest.raises(InputError) as caught:
        override(Place(), [assignment])
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 12_000


@pytest.mark.parametrize("name", ["-1", "none", "[mdm]", "{a: 1}"])
def test_a_name_that_is_no_word_is_bad_input(name):
    with pytest.raises(InputError):
        override(Open(model=Sit()), [f"model.name={name}"])


def test_a_model_that_no_machine_can_hold_is_refused_before_it_is_built():
    with pytest.raises(InputError, match="layers = 10,000,000 is more than any model has"):
        override(Place(), ["layers=10000000"])


@pytest.mark.parametrize("content", [b"\xff\xfe", b"model: {name: [mdm]}", b"[" * 20_000, b"- " * 5000 + b"x"])
def test_a_config_file_that_is_none_is_bad_input(tmp_path, content):
    (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(InputError):
        load(Open, tmp_path / "config.yaml")
