"""The base of all configs: frozen, plain values, `key=value` overrides, typos answered with the nearest key."""

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from atm.base.errors import InputError, unknown
from atm.base.limits import LARGEST_SEED
from atm.base.reading import check_brackets, read_yaml

C = TypeVar("C", bound="Config")

MOST = {
    "layers": 1000,
    "width": 65_536,
    "feed_forward": 262_144,
    "heads": 1024,
    "max_frames": 100_000,
    "diffusion_steps": 100_000,
    "batch_size": 1_000_000,
    "seed": LARGEST_SEED,
}
"""Largest whole numbers of fields whose names end so: far above every model of the field."""
MOST_WEIGHTS = 20_000_000_000
"""Weights of the layers of one network."""


class Config(BaseModel):
    """Base of every config. A variant is `config.model_copy(update=...)` or `override(config, ["key=value"])`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    former: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Former keys, each with the dotted keys that took its place: still read, in files, in Python and on the command
    line, and never written."""

    def model_copy(self: C, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> C:
        """Return the config with these fields changed, not validated. For dotted and former keys take `changed`."""
        unknown_fields = sorted((update or {}).keys() - type(self).model_fields.keys())
        if unknown_fields:
            raise ValueError(f"{type(self).__name__} has no field {', '.join(unknown_fields)}")
        return super().model_copy(update=update, deep=deep)

    @model_validator(mode="after")
    def _has_a_size_that_can_be_meant(self: C) -> C:
        """Refuse what no machine can hold before it is built: a digit too many, or a file of bad intent."""
        for name in type(self).model_fields:
            value = getattr(self, name)
            most = next((most for ending, most in MOST.items() if name.endswith(ending)), None)
            if most is not None and isinstance(value, int) and value > most:
                raise ValueError(f"{name} = {value:,} is more than any model has (at most {most:,})")
        width = getattr(self, "width", 0)
        weights = getattr(self, "layers", 0) * width * (4 * width + 2 * getattr(self, "feed_forward", 0))
        if weights > MOST_WEIGHTS:
            raise ValueError(f"its layers alone would have {weights:,} weights, at most {MOST_WEIGHTS:,} are built")
        return self

    @model_validator(mode="before")
    @classmethod
    def _read_former_keys(cls, data: Any) -> Any:
        if not isinstance(data, dict) or cls.former.keys().isdisjoint(data):
            return data
        read = {key: value for key, value in data.items() if key not in cls.former}
        for old, value in data.items():
            for new in cls.former.get(old, ()):
                _put(read, new, value, old)
        return read


@dataclass(frozen=True)
class ByName:
    """Marks a field whose class is what a table has under the `name` among its keys: a union that stays open.

    `model: Annotated[SerializeAsAny[Config], ByName(find)]`, where `find` gives the class of a name, or raises.
    """

    find: Callable[[str], type[Config]]

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], CoreSchema]) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._read, handler(source))

    def _read(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        if not isinstance(value.get("name"), str):
            raise ValueError("its `name` says which it is, but there is none")
        return self.find(value["name"]).model_validate(value)


def override(config: C, assignments: list[str]) -> C:
    """Return the config with `key=value` assignments applied and validated.

    Keys are dotted paths; of two assignments to one key the later wins, former keys (`Config.former`) included.
    `none` (or `null`) is None. Assigning below a field that is None starts from the defaults of that field's class, so
    `alignment.space=RUN` turns the alignment on.

    Raises:
        InputError: no `=`, an unknown key (with the nearest right one), or a value out of range.
    """
    data = config.model_dump(mode="json")
    for assignment in assignments:
        key, text = _split(assignment)
        _assign(type(config), data, key.split("."), partial(_value, text, assignment), assignment)
    return validate(type(config), data, source=" ".join(assignments))


def changed(config: C, values: Mapping[str, Any]) -> C:
    """Return the config with these dotted keys set and validated: what `override` does, for values of Python.

    Raises:
        InputError: an unknown key (with the nearest right one), or a value out of range.
    """
    data = config.model_dump(mode="json")
    for key, value in values.items():
        _assign(type(config), data, key.split("."), lambda _field, value=value: value, f"{key}={value}")
    return validate(type(config), data, source=", ".join(f"{key}={value}" for key, value in values.items()))


def validate(kind: type[C], data: dict[str, Any], *, source: str) -> C:
    """Return `data` as a config of this class; the error names the key, what came and what is allowed."""
    try:
        return kind.model_validate(data)
    except RecursionError:
        raise InputError(f"nested too deeply for a config (in {source})") from None
    except ValidationError as error:
        faults = error.errors()
        key, came = _key(kind, data, faults[0]), faults[0]["input"]
        # A field that may hold one of several types has a fault for each of them.
        messages = [fault["msg"].removeprefix("Value error, ") for fault in faults if _key(kind, data, fault) == key]
        shown = key or "config" if isinstance(came, dict) else f"{key} = {came!r}"
        raise InputError(f"{shown}: {' or '.join(messages)} (in {source})") from None


def save(config: Config, path: Path) -> None:
    """Write the config as YAML."""
    path.write_text(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False), encoding="utf-8")


def load(kind: type[C], path: Path) -> C:
    """Return a config that `save` wrote."""
    try:
        data = read_yaml(path)
    except InputError as error:
        raise InputError(f"cannot read the config: {path} {error}") from None
    if not isinstance(data, dict):
        raise InputError(f"{path} is no config: expected `key: value` lines, got {type(data).__name__}")
    return validate(kind, data, source=str(path))


def _split(assignment: str) -> tuple[str, str]:
    key, equals, text = assignment.partition("=")
    if not equals or not key:
        raise InputError(f"expected key=value, got {_shown(assignment)}")
    if len(text) > _LONGEST_VALUE:
        raise InputError(
            f"the value of {_shown(key)} has {len(text):,} characters, at most {_LONGEST_VALUE:,} are read"
        )
    return key, text


def _value(text: str, assignment: str, field: FieldInfo) -> Any:
    """Return what was typed, as a field wants it: words (a path may look like anything) as they stand, else YAML."""
    kinds = _kinds(field.annotation)
    if text.lower() in ("none", "null") and (type(None) in kinds or not kinds <= {str}):
        return None
    if kinds <= {str, type(None)}:
        return text
    try:
        check_brackets(text)
        return OmegaConf.to_container(OmegaConf.from_dotlist([f"value={text}"]))["value"]
    except (OmegaConfBaseException, yaml.YAMLError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(f"cannot read {_shown(assignment)}: {_shown(str(error) or 'nested too deeply')}") from None


def _kinds(annotation: Any) -> set[Any]:
    """Return the types that a field may hold; words from a list count as words."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _kinds(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return set().union(*map(_kinds, typing.get_args(annotation)))
    if origin is typing.Literal:
        return {type(word) for word in typing.get_args(annotation)}
    return {annotation}


def _shown(text: str, most: int = 200) -> str:
    """Return what came in one line, and no longer than can be read."""
    return repr(text if len(text) <= most else f"{text[:most]} ...")


_LONGEST_VALUE = 20_000


def _assign(
    kind: type[Config], data: dict[str, Any], path: list[str], value: Callable[[FieldInfo], Any], assignment: str
) -> None:
    """Walk `path` through the classes (a chosen union member decides), so that a typo is answered at its level."""
    for depth, part in enumerate(path):
        if part in kind.former and depth == len(path) - 1:
            for new in kind.former[part]:
                _assign(kind, data, new.split("."), value, assignment)
            return
        if part not in kind.model_fields:
            raise _unknown_key(kind, path, depth)
        if depth == len(path) - 1:
            data[part] = value(kind.model_fields[part])
            return
        members = _classes(kind.model_fields[part], data.get(part))
        if not members or not isinstance(data.get(part), dict | None):
            raise InputError(f"{'.'.join(path[: depth + 1])} has no keys below it (in {_shown(assignment)})")
        if data.get(part) is None:
            data[part] = members[0]().model_dump(mode="json")
        kind, data = _chosen(members, data[part]), data[part]


def _unknown_key(kind: type[Config], path: list[str], depth: int) -> InputError:
    """Return the error for `path`, which leads to nothing in `kind` from `depth` on. A key of a group is found by its
    last part or its former name as well, and named in full."""
    meant = {name: [name] for name in kind.model_fields}
    for group, field in kind.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Config):
            for name in field.annotation.model_fields:
                meant[f"{group}.{name}"] = [f"{group}.{name}"]
                meant.setdefault(name, []).append(f"{group}.{name}")
    meant |= {old: list(new) for old, new in kind.former.items()}
    grouped = len(meant) > len(kind.model_fields)
    before = [f"{part}." for part in path[:depth]]
    in_full = {"".join([*before, name]): ["".join([*before, key]) for key in keys] for name, keys in meant.items()}
    return unknown("key", ".".join(path if grouped else path[: depth + 1]), in_full, answers=in_full)


def _put(data: dict[str, Any], key: str, value: Any, old: str) -> None:
    """Set a dotted key that was given by its former name, and nowhere else."""
    *groups, name = key.split(".")
    for group in groups:
        below = data.get(group, {})
        if not isinstance(below, Mapping | Config):
            raise ValueError(f"{old} is the former name of {key}, and {group} holds no keys: {below!r}")
        data[group] = below.model_dump(exclude_unset=True) if isinstance(below, Config) else dict(below)
        data = data[group]
    if name in data:
        raise ValueError(f"{old} is the former name of {key}: give one of them, not both")
    data[name] = value


def _classes(field: FieldInfo, value: Any) -> list[type[Config]]:
    """Return the config classes that a field may hold; where a table says which, the one that `value` names."""
    for mark in field.metadata:
        if isinstance(mark, ByName):
            named = isinstance(value, dict) and isinstance(value.get("name"), str)
            return [mark.find(value["name"])] if named else []
    return _members(field.annotation)


def _members(annotation: Any) -> list[type[Config]]:
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return [annotation]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, typing.Annotated):
        return [member for part in typing.get_args(annotation) for member in _members(part)]
    return []


def _key(kind: type[Config], data: Any, fault: Mapping[str, Any]) -> str:
    """Return the dotted key of a fault in `data`. Its location also names the members of unions, which are no keys."""
    owners, names = [kind], []
    for part in fault["loc"]:
        owner = next((owner for owner in owners if part in owner.model_fields), None)
        if owner is not None:
            names.append(part)
            data = data.get(part) if isinstance(data, dict) else None
            owners = _classes(owner.model_fields[part], data)
    if fault["type"] == "extra_forbidden":
        names.append(fault["loc"][-1])
    return ".".join(names)


def _chosen(members: list[type[Config]], data: dict[str, Any]) -> type[Config]:
    for member in members:
        field = member.model_fields.get("name")
        if field is not None and field.default == data.get("name"):
            return member
    return members[0]
