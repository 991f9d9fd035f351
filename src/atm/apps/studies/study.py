"""A study as data: rows of configs that differ in one thing, and what the paper prints beside them."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, model_validator

from atm.apps.train import with_model_of
from atm.base.config import Config, load, override
from atm.base.errors import InputError, unknown
from atm.training.config import TrainConfig
from atm.training.presets import preset

REFERENCE = "run:"
"""A setting `model.vae=run:NAME` stands for the run folder of row NAME, of the same study and seed, and
`model.database=run:NAME/FILE` for a file in it."""
DATABASE = "database.safetensors"

Said = Literal["better", "worse", "no better"]


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+_-]*$")]
"""Names a folder, so letters, digits and . + _ - only."""


class Row(Config):
    """One line of a study's table: a training run that differs from the base by its settings."""

    name: Name
    what: str = ""
    """In words, for the reader of a table."""
    base: str | TrainConfig | None = None
    """A preset's name or a whole config; none: the study's."""
    settings: tuple[str, ...] = ()
    """`key=value` changes to the base, after the study's and the user's own."""
    published: dict[str, dict[str, float]] = Field(default_factory=dict)
    """What the paper prints: data set -> metric -> value."""
    said: Said | None = None
    """What the paper says of this row against its reference where it prints no figure (of the first metric)."""
    against: str | None = None
    """The row that this one is compared with; none: the study's."""
    measured: bool = True
    """False: a stage that other rows build on; it is trained and stands in no table."""
    assembles: str | None = None
    """A generator that is put together from the runs of the rows in `of`, and not trained; none: the row is trained."""
    of: tuple[str, ...] = ()
    """See `assembles`."""
    database: bool = False
    """The row is no training, but what a ReMoDiffuse like its base retrieves from: `database.safetensors` in its run
    folder, made of the training split."""


class Study(Config):
    """Rows to be run and compared."""

    name: Name
    title: str
    about: str = ""
    """What is varied, where the paper has it, and how its figures have to be read."""
    kind: Literal["evaluation", "cost"] = "evaluation"
    """`evaluation`: every row is trained and evaluated; `cost`: training steps of all rows are timed."""
    base: str | TrainConfig = "mdm_small_atm"
    """A preset's name or a whole config."""
    settings: tuple[str, ...] = ()
    """`key=value` changes to the base of every row."""
    rows: Annotated[tuple[Row, ...], Field(min_length=1)]
    against: str | None = None
    """The row that the others are compared with."""
    metrics: tuple[str, ...] = ("r_precision_1", "fid")
    """What the paper prints, and what the order of rows is judged by."""
    x_label: str = ""
    """Set where the rows are values of one quantity: the figure then has an axis of it."""

    @model_validator(mode="after")
    def _rows_fit_together(self) -> "Study":
        names = [row.name for row in self.rows]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"rows need names of their own, {', '.join(twice)} is there twice")
        if not any(row.measured for row in self.rows):
            raise ValueError("no row is measured: a study needs one with measured: true")
        for row in self.rows:
            asked = row.against or self.against
            if asked is not None and asked not in names:
                raise ValueError(f"row {row.name} is compared with {asked}, which is no row")
        return self

    def row(self, name: str) -> Row:
        """Return the row of this name; an InputError names the nearest."""
        for row in self.rows:
            if row.name == name:
                return row
        raise unknown("row", name, [row.name for row in self.rows])

    def config(self, row: Row, *more: str, from_model: Path | None = None) -> TrainConfig | None:
        """Return the whole config of a row, None where it is put together.

        Args:
            row: one of the study's.
            more: `key=value` changes that come before the row's own.
            from_model: run folder or model file whose model takes the place of the base's before any change; None:
                the base's own.

        Raises:
            InputError: an unknown key, or a `from_model` of another kind.
        """
        if row.assembles is not None:
            return None
        base = as_config(row.base or self.base)
        if from_model is not None:
            base = with_model_of(base, from_model)
        return override(base, [*self.settings, *more, *row.settings])

    def needs(self, row: Row, *settings: str) -> set[str]:
        """Return the rows whose run folders a row builds on; `settings` are `key=value` changes to every row."""
        config = self.config(row, *settings)
        return set(row.of) | (needs(config) if config else set())

    def check_order(self, *settings: str) -> None:
        """Refuse a row that builds on one that does not stand before it; `settings` as for `needs`."""
        known, before = {row.name for row in self.rows}, set()
        for row in self.rows:
            lacking = sorted(self.needs(row, *settings) - before)
            if lacking:
                where = "does not stand before it" if lacking[0] in known else "is no row"
                raise InputError(f"row {row.name} builds on {lacking[0]}, which {where}")
            before.add(row.name)

    def on(self, base: str) -> "Study":
        """Return the study on another preset. Rows that have a base of their own take the one of the same data set.

        Args:
            base: a preset; where every row has a base of its own, also `small`, `humanml3d` or `kit`.

        Raises:
            InputError: no such preset, or nothing in its name that says which data set it is for.
        """
        own = [row for row in self.rows if row.base is not None or row.assembles is not None]
        if len(own) < len(self.rows):
            as_config(base)
        size = re.search(r"(?:^|_)(small|humanml3d|kit)(?:_|$)", base)
        if own and size is None:
            raise InputError(f"--base {base}: expected small, humanml3d or kit in it, since rows of {self.name} differ")
        rows = [
            row if not isinstance(row.base, str) else row.model_copy(update={"base": _of_size(row.base, size.group(1))})
            for row in self.rows
        ]
        return self.model_copy(update={"base": base if len(own) < len(self.rows) else self.base, "rows": tuple(rows)})

    def check(self, *settings: str, from_model: Path | None = None) -> None:
        """Refuse what no row could be run by, before anything is made.

        Args:
            settings: the user's `key=value` changes to every row.
            from_model: what the rows shall start from.

        Raises:
            InputError: an unknown key; a base without the losses for a study about them, whose rows would say less
                than they seem to; a start that not all rows can take; a row that builds on none before it, or on
                any where all rows are timed together.
        """
        if from_model is not None:
            self._check_start(from_model)
        for row in self.rows:
            self.config(row, *settings, from_model=from_model)
        self.check_order(*settings)
        built = [row.name for row in self.rows if self.needs(row, *settings) or row.database]
        if self.kind == "cost" and built:
            raise InputError(f"a cost study times all rows at once: {', '.join(built)} must not build on another row")
        on_base = [row for row in self.rows if row.base is None and row.assembles is None]
        varied = [setting for row in on_base for setting in (*self.settings, *row.settings)]
        if any(setting.startswith("alignment.") for setting in varied) and as_config(self.base).alignment is None:
            raise InputError(
                f"the study {self.name} varies the alignment losses, and its base has none: give --base a preset "
                "that has them, such as mdm_small_atm"
            )

    def _check_start(self, from_model: Path) -> None:
        if self.kind == "cost":
            raise InputError(f"the study {self.name} times steps, which no weights make longer: give it no --from")
        own = [row.name for row in self.rows if row.base is not None or row.assembles is not None]
        if own:
            raise InputError(
                f"--from {from_model} is for rows that vary one base, and of the study {self.name} {', '.join(own)} "
                "have bases of their own: leave --from out, or leave out these rows"
            )

    def only(self, names: list[str]) -> "Study":
        """Return the study with these rows and the stages that they build on."""
        chosen = {self.row(name).name for name in names}
        for row in reversed(self.rows):
            if row.name in chosen:
                chosen |= self.needs(row)
        against = self.against if self.against in chosen else None
        rows = [
            row.model_copy(update={"against": row.against if row.against in chosen else None})
            for row in self.rows
            if row.name in chosen
        ]
        return self.model_copy(update={"rows": tuple(rows), "against": against})


def as_config(base: str | TrainConfig) -> TrainConfig:
    """Return a preset by its name, or the config itself."""
    return preset(base) if isinstance(base, str) else base


def _of_size(preset_name: str, size: str) -> str:
    """Return the same system's preset for another data set."""
    sizes = {"small": "scripted"} if preset_name.startswith(("space_", "evaluator_")) else {}
    return re.sub(r"_(small|scripted|humanml3d|kit)(?=_|$)", f"_{sizes.get(size, size)}", preset_name)


def needs(config: TrainConfig) -> set[str]:
    """Return the rows whose run folders a config names."""
    return {_parted(value)[0] for value in _strings(config.model_dump(mode="json"))}


def referring(config: TrainConfig, folder_of: dict[str, Path]) -> TrainConfig:
    """Return the config with `run:NAME` replaced by the run folder of that row."""

    def replaced(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: replaced(one) for key, one in value.items()}
        if isinstance(value, list):
            return [replaced(one) for one in value]
        if isinstance(value, str) and value.startswith(REFERENCE):
            name, rest = _parted(value)
            return str(folder_of[name] / rest)
        return value

    return TrainConfig.model_validate(replaced(config.model_dump(mode="json")))


def _parted(reference: str) -> tuple[str, str]:
    """Return row and file of `run:NAME/FILE`."""
    name, _, rest = reference.removeprefix(REFERENCE).partition("/")
    return name, rest


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [found for one in value.values() for found in _strings(one)]
    if isinstance(value, list):
        return [found for one in value for found in _strings(one)]
    return [value] if isinstance(value, str) and value.startswith(REFERENCE) else []


def as_yaml(study: Study) -> str:
    """Return the study as a file that can be edited and given back; presets are written out, so that every value
    shows."""
    data = study.model_dump(mode="json", exclude_defaults=True)
    shown = {"name": study.name, "title": study.title, "about": study.about, "kind": study.kind}
    shown["base"] = as_config(study.base).model_dump(mode="json")
    shown |= {key: value for key, value in data.items() if key not in shown}
    for row, line in zip(study.rows, shown["rows"], strict=True):
        if row.base is not None:
            line["base"] = as_config(row.base).model_dump(mode="json")
    return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=110)


def read_study(path: Path) -> Study:
    """Return what `as_yaml` wrote, or a user did.

    Raises:
        InputError: no such file, no YAML, an unknown key, or rows that do not fit together.
    """
    study = load(Study, path)
    try:
        study.check_order()
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return study


def is_file_name(name: str) -> bool:
    """Return whether the user named a file rather than one of the paper's studies."""
    return re.search(r"\.ya?ml$", name) is not None
