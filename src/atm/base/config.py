"""The base of all configs: frozen, plain values, `key=value` overrides, typos answered with the nearest key."""

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from atm.base.errors import InputError, unknown

C = TypeVar("C", bound="Config")


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
        key, value = _split(assignment)
        _assign(type(config), data, key.split("."), value, assignment)
    return validate(type(config), data, source=" ".join(assignments))


def changed(config: C, values: Mapping[str, Any]) -> C:
    """Return the config with these dotted keys set and validated: what `override` does, for values of Python.

    Raises:
        InputError: an unknown key (with the nearest right one), or a value out of range.
    """
    data = config.model_dump(mode="json")
    for key, value in values.items():
        _assign(type(config), data, key.split("."), value, f"{key}={value}")
    return validate(type(config), data, source=", ".join(f"{key}={value}" for key, value in values.items()))


def validate(kind: type[C], data: dict[str, Any], *, source: str) -> C:
    """Return `data` as a config of this class; the error names the key, what came and what is allowed."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        faults = error.errors()
        key, came = _key(kind, data, faults[0]), faults[0]["input"]
        # A field that may hold one of several types has a fault for each of them.
        messages = [fault["msg"].removeprefix("Value error, ") for fault in faults if _key(kind, data, fault) == key]
        shown = key or "config" if isinstance(came, dict) else f"{key} = {came!r}"
        raise InputError(f"{shown}: {' or '.join(messages)} (in {source})") from None


def save(config: Config, path: Path) -> None:
    """Write the config as YAML."""
    path.write_text(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))


def load(kind: type[C], path: Path) -> C:
    """Return a config that `save` wrote."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"cannot read the config {path}: {error}") from None
    if not isinstance(data, dict):
        raise InputError(f"{path} is no config: expected `key: value` lines, got {type(data).__name__}")
    return validate(kind, data, source=str(path))


def _split(assignment: str) -> tuple[str, Any]:
    key, equals, _ = assignment.partition("=")
    if not equals or not key:
        raise InputError(f"expected key=value, got {assignment!r}")
    try:
        parsed = OmegaConf.to_container(OmegaConf.from_dotlist([assignment]))
    except (OmegaConfBaseException, yaml.YAMLError) as error:
        raise InputError(f"cannot read {assignment!r}: {error}") from None
    for part in key.split("."):
        parsed = parsed[part]
    return key, None if isinstance(parsed, str) and parsed.lower() == "none" else parsed


def _assign(kind: type[Config], data: dict[str, Any], path: list[str], value: Any, assignment: str) -> None:
    """Walk `path` through the classes (a chosen union member decides), so that a typo is answered at its level."""
    for depth, part in enumerate(path):
        if part in kind.former and depth == len(path) - 1:
            for new in kind.former[part]:
                _assign(kind, data, new.split("."), value, assignment)
            return
        if part not in kind.model_fields:
            raise _unknown_key(kind, path, depth)
        if depth == len(path) - 1:
            data[part] = value
            return
        members = _classes(kind.model_fields[part], data[part])
        if not members or not isinstance(data[part], dict | None):
            raise InputError(f"{'.'.join(path[: depth + 1])} has no keys below it (in {assignment!r})")
        if data[part] is None:
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
            return [mark.find(value["name"])] if isinstance(value, dict) and "name" in value else []
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
