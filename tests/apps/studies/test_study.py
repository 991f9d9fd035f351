"""Studies as data: what they ask for, and that a printed one can be given back."""

from pathlib import Path

import pytest
import torch
import yaml
from fakes import small_study

from atm.apps.studies import STUDIES, Plan, Row, as_yaml, find_study, read_study
from atm.apps.studies.jobs import JobFolder, plan_jobs
from atm.apps.studies.study import Study
from atm.base.config import changed, override
from atm.base.errors import InputError
from atm.base.packaged import packaged
from atm.base.storage import save_model
from atm.cli.app import app
from atm.generators.mdm.config import MDMConfig
from atm.training.presets import preset


@pytest.mark.parametrize("name", STUDIES)
def test_a_printed_study_given_back_asks_for_the_same_configs(name, tmp_path):
    study = find_study(name)
    (tmp_path / "mine.yaml").write_text(as_yaml(study))
    again = read_study(tmp_path / "mine.yaml")
    for row, other in zip(study.rows, again.rows, strict=True):
        assert again.config(other) == study.config(row)
        assert other.model_copy(update={"base": None}) == row.model_copy(update={"base": None})
    assert (again.against, again.metrics, again.kind, again.x_label) == (
        study.against, study.metrics, study.kind, study.x_label,
    )  # fmt: skip


@pytest.mark.parametrize("name", STUDIES)
def test_every_row_of_a_study_is_a_run_of_its_own(name):
    """A setting that changes nothing would be a row that says nothing."""
    study = find_study(name)
    runs = [(row.assembles, row.of, str(study.config(row))) for row in study.rows]
    assert len(set(runs)) == len(runs)


def test_the_rows_of_the_paper_change_what_its_tables_vary():
    rules = find_study("rules")
    of = {row.name: rules.config(row).alignment for row in rules.rows}
    base = preset("mdm_small_atm").alignment
    keys = {"negative": "inter.rule", "positive-proxy": "intra.positive_rule", "negative-proxy": "intra.negative_rule"}
    assert of == {"ratio": base} | {
        f"{name}-{rule}": changed(base, {key: rule})
        for name, key in keys.items()
        for rule in ("numerator", "denominator")
    }
    assert find_study("losses").config(find_study("losses").row("none")).alignment is None
    weights = [find_study("weight").config(row).alignment for row in find_study("weight").rows]
    assert [one.inter.weight for one in weights] == [one.intra.weight for one in weights]
    assert [one.inter.weight for one in weights] == [0.001, 0.003, 0.01, 0.03, 0.1]
    assert [find_study("batch").config(row).batch_size for row in find_study("batch").rows] == [16, 32, 64, 128]


@pytest.mark.parametrize(
    ("name", "former"),
    [
        ("losses", {"inter": ["intra_weight=0"], "intra": ["inter_weight=0"]}),
        ("margins", {"0.1": ["margin=0.1"], "0.5": ["margin=0.5"], "adaptive": []}),
        ("clip", {"1.5": ["clip_seconds=1.5"]}),
        ("gamma", {"0.95": ["gamma=0.95"]}),
    ],
)
def test_rows_are_the_same_runs_as_when_the_keys_were_flat(name, former):
    """A study's folder that was begun before goes on: its jobs are known by their whole configs."""
    study = find_study(name)
    for row, settings in former.items():
        losses = override(preset("mdm_small_atm"), [f"alignment.{setting}" for setting in settings])
        assert study.config(study.row(row)).alignment == losses.alignment


def test_the_study_of_meaning_varies_what_is_a_negative_and_nothing_else():
    """Rows from the paper's epsilon on differ from one another in one thing each."""
    study = find_study("meaning")
    of = {row.name: study.config(row).alignment for row in study.rows}
    assert of["baseline"] is None and of["atm"] == preset("mdm_small_atm").alignment
    wanted = [changed(of["atm"], {"epsilon": 0.85})]
    wanted.append(changed(wanted[-1], {"similarity": "meaning"}))
    wanted.append(changed(wanted[-1], {"counterfactual.weight": 1}))
    assert [of["atm-0.85"], of["meaning"], of["counterfactual"]] == wanted


def test_a_printed_study_shows_every_value_of_its_base():
    data = yaml.safe_load(as_yaml(small_study(base="mdm_small_atm")))
    assert data["base"]["alignment"]["intra"]["gamma"] == 0.8 and data["base"]["learning_rate"] == 5e-4


def test_a_user_changes_a_printed_study(tmp_path):
    data = yaml.safe_load(as_yaml(small_study()))
    data["rows"].append({"name": "mine", "settings": ["alignment.gamma=0.5"]})
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(data))
    study = read_study(tmp_path / "mine.yaml")
    assert study.config(study.row("mine")).alignment.intra.gamma == 0.5


def test_the_users_changes_come_before_a_rows_own():
    study = small_study()
    assert study.config(study.row("none"), "alignment.space=runs/space").alignment is None
    for key in ("alignment.intra.weight", "alignment.intra_weight"):
        assert study.config(study.row("inter"), f"{key}=7").alignment.intra.weight == 0
    assert study.config(study.row("both"), "steps=7").steps == 7


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rows": [{"name": "a"}, {"name": "a"}]}, "a is there twice"),
        ({"rows": [{"name": "a", "against": "b"}]}, "compared with b, which is no row"),
        ({"rows": [{"name": "a", "measured": False}]}, "no row is measured"),
        ({"rows": [{"name": "a/b"}]}, "'a/b': String should match pattern"),
        ({"rows": [{"name": "a", "setings": []}]}, "setings"),
        ({"rows": [{"name": "a", "settings": ["alignment.space=run:b"]}]}, "builds on b, which is no row"),
        (
            {"rows": [{"name": "a", "settings": ["alignment.space=run:b"]}, {"name": "b"}]},
            "mine.yaml: row a builds on b, which does not stand before it",
        ),
        ({"rows": []}, "rows"),
    ],
)  # fmt: skip
def test_rows_that_do_not_fit_together_are_named(change, said, tmp_path):
    data = {"name": "mine", "title": "Mine"} | change
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(data))
    with pytest.raises(InputError, match=said):
        read_study(tmp_path / "mine.yaml")


def test_a_users_change_that_lets_rows_wait_for_one_another_is_refused():
    """`inter` would wait for the run of `both`, which waits for itself: for ever."""
    with pytest.raises(InputError, match="row inter builds on both, which does not stand before it"):
        small_study().check("alignment.space=run:both")


def test_rows_that_are_timed_together_build_on_none():
    rows = (Row(name="first"), Row(name="last", settings=("alignment.space=run:first",)))
    small_study(rows=rows, against=None).check()
    with pytest.raises(InputError, match="a cost study times all rows at once: last must not build"):
        small_study(rows=rows, against=None, kind="cost").check()


def test_an_unknown_study_or_row_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'losses'"):
        find_study("loses")
    with pytest.raises(InputError, match="did you mean 'both'"):
        small_study().only(["bot"])


@pytest.fixture
def wide(tmp_path) -> Path:
    """A model file whose MDM is wider than the preset's and has another guidance."""
    config = preset("mdm_small").model.model_copy(update={"width": 96, "guidance_scale": 4.0})
    save_model(tmp_path / "wide.safetensors", torch.nn.Linear(1, 1), config, "generator")
    return tmp_path / "wide.safetensors"


def test_rows_that_start_from_a_model_take_its_settings_with_their_own_and_the_users_on_top(wide):
    """Of the three guidances (the model's 4, the user's 3, the row's 1.5) the nearest to the row counts."""
    rows = (Row(name="plain"), Row(name="mine", settings=("model.guidance_scale=1.5",)))
    study = small_study(rows=rows, against=None)
    start = Plan(data="data", from_model=str(wide))

    def models(*settings: str) -> dict[str, MDMConfig]:
        return {
            name: config.model for job in plan_jobs(study, start, *settings) for name, config in job.configs.items()
        }

    assert {name: (model.width, model.guidance_scale) for name, model in models().items()} == {
        "plain": (96, 4.0), "mine": (96, 1.5),
    }  # fmt: skip
    by_user = models("model.guidance_scale=3", "model.condition_dropout=0.3")
    assert {name: model.guidance_scale for name, model in by_user.items()} == {"plain": 3.0, "mine": 1.5}
    assert {model.condition_dropout for model in by_user.values()} == {0.3}


def test_a_start_that_not_every_row_can_take_is_refused(wide):
    with pytest.raises(InputError, match="of the study generators mld_vae, .* have bases of their own: leave --from"):
        find_study("generators").check(from_model=wide)
    with pytest.raises(InputError, match="the study cost times steps, .* give it no --from"):
        find_study("cost").check(from_model=wide)
    with pytest.raises(InputError, match="holds a model of kind 'mdm', but the preset trains 'mld'"):
        small_study(base="mld_small_atm").check("model.vae=x", from_model=wide)


def test_a_quick_study_starts_from_the_packaged_weights_only_where_they_fit():
    rows = (Row(name="plain", base="causal_flow_tiny"), Row(name="wider", base="causal_flow_small"))
    quick = Plan(data="data", quick=True, scripted=True)
    starts = [job.from_model for job in plan_jobs(small_study(rows=rows, against=None), quick)]
    assert starts == [str(packaged("early")), None]


def test_a_base_without_the_losses_is_refused():
    with pytest.raises(InputError, match="varies the alignment losses, and its base has none"):
        small_study(base="mdm_small").check()
    Study(name="mine", title="Mine", base="mdm_small", rows=({"name": "a", "settings": ("steps=3",)},)).check()


def test_the_generators_are_chains_whose_later_runs_name_the_earlier():
    study = find_study("generators")
    assert study.config(study.row("mld_atm")).model.vae == "run:mld_vae"
    assert study.config(study.row("momask_mask_atm")).model.tokeniser == "run:momask_rvq_atm"
    assert study.needs(study.row("momask")) == {"momask_rvq", "momask_mask", "momask_residual", "momask_length"}
    for row in study.rows:
        config = study.config(row)
        assert config is None or (config.alignment is not None) == (row.base.endswith("_atm")), row.name
    measured = [row.name for row in study.rows if row.measured]
    assert measured[1::2] == [f"{name}_atm" for name in measured[::2]]
    assert [study.row(name).against for name in measured[1::2]] == measured[::2]


@pytest.mark.parametrize("size", ["humanml3d", "kit"])
def test_the_generators_have_their_published_sizes_too(size):
    study = find_study("generators").on(size)
    for row in study.rows:
        assert row.assembles or (size in row.base and study.config(row))
    assert find_study("cost").on(f"mdm_{size}_atm").row("space").base == f"space_{size}"


def test_a_base_for_rows_that_differ_has_to_say_for_which_data():
    with pytest.raises(InputError, match="expected small, humanml3d or kit in it"):
        find_study("generators").on("mdm")
    with pytest.raises(InputError, match="unknown preset"):
        find_study("losses").on("mdm_smal")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ("ours", 3, None, False)),
        (["--protocol", "published"], ("published", 20, None, True)),
        (["--protocol", "published", "--no-multimodality"], ("published", 20, None, False)),
        (["--repeats", "5", "--limit", "64", "--multimodality"], ("ours", 5, 64, True)),
    ],
)
def test_one_option_makes_the_evaluations_of_a_study_the_published_ones(monkeypatch, options, expected):
    asked = []

    def no_run(study, plan, *_, **__):
        asked.append((plan.protocol, plan.repeats, plan.limit, plan.multimodality))
        raise InputError("enough")

    monkeypatch.setattr("atm.apps.studies.run_study", no_run)
    with pytest.raises(InputError, match="enough"):
        app(["study", "losses", *options], standalone_mode=False)
    assert asked == [expected]


def test_a_row_is_evaluated_by_the_protocol_of_its_plan(monkeypatch, tmp_path):
    from atm.apps.studies import rows

    asked = {}

    def no_evaluation(what, **options):
        asked.update(options)
        raise InputError("enough")

    monkeypatch.setattr(rows, "_make", lambda *_: {})
    monkeypatch.setattr(rows, "evaluate_path", no_evaluation)
    study = Study(name="one", title="One row", rows=(Row(name="only"),))
    plan = Plan(data=str(tmp_path), protocol="published", repeats=20, multimodality=True)
    (job,) = plan_jobs(study, plan)
    with pytest.raises(InputError, match="enough"):
        rows.run_row(job, JobFolder(tmp_path / job.name))
    options = asked["options"]
    assert (options.protocol, options.repeats, options.limit, options.multimodality) == ("published", 20, None, True)
