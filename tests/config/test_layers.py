"""Layers: who wins, who is named as the origin, and how every kind of mistake is answered."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dreamerlab.config.catalogue import leaves
from dreamerlab.config.layers import env_names, experiment_names, from_flat, resolve, shipped_env_configs
from dreamerlab.config.record import spell
from dreamerlab.config.schema import Config
from dreamerlab.errors import ConfigError, LabError, NotFound, UsageError
from tests.config.strategies import any_flats, value_of

KEY = "optimizer.lr_actor"


def error_of(workspace: Path, *overrides: str, env: str | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        resolve(workspace, env, None, overrides)
    return caught.value.message


@pytest.mark.parametrize("layers", list(product([False, True], repeat=3)))
def test_the_last_layer_that_speaks_wins(workspace: Path, layers: tuple[bool, bool, bool]) -> None:
    env, experiment, override = layers
    resolved = resolve(
        workspace, "cartpole" if env else None, "nano" if experiment else None, [f"{KEY}=5e-4"] if override else []
    )
    value, origin = 4e-5, "default"
    if env:
        value, origin = 1e-3, "env_configs/cartpole.yaml:7"
    if experiment:
        value, origin = 3e-4, "env_configs/experiments/nano.yaml:2"
    if override:
        value, origin = 5e-4, f"command line: {KEY}=5e-4"
    assert (resolved.config.optimizer.lr_actor, resolved.flat[KEY], resolved.origins[KEY]) == (value, value, origin)


def test_every_leaf_has_a_value_and_an_origin_in_the_order_of_the_schema(workspace: Path) -> None:
    resolved = resolve(workspace, "cartpole", "nano", ["deter=64"])
    assert list(resolved.flat) == list(resolved.origins) == list(leaves())
    named = {key: origin for key, origin in resolved.origins.items() if origin != "default"}
    assert named == {
        "env.id": "env_configs/cartpole.yaml:3",
        "env.time_limit": "env_configs/cartpole.yaml:4",
        "reference.random": "env_configs/cartpole.yaml:5",
        "reference.solved": "env_configs/cartpole.yaml:5",
        "model.deter": "command line: deter=64",
        "twohot.support": "env_configs/experiments/nano.yaml:4",
        "optimizer.lr_actor": "env_configs/experiments/nano.yaml:2",
        "optimizer.lr_critic": "env_configs/cartpole.yaml:8",
        "train.batch_size": "env_configs/experiments/nano.yaml:7",
    }
    assert resolved.config.twohot.support == (-5.0, 5.0)


def test_an_integer_written_for_a_number_leaf_becomes_that_number(workspace: Path) -> None:
    value = resolve(workspace, None, None, ["train_ratio=128"]).flat["train.train_ratio"]
    assert value == 128
    assert type(value) is float


@pytest.mark.parametrize(("text", "value"), [("False", False), ("false", False), ("True", True), ("TRUE", True)])
def test_truth_values_are_true_or_false_in_any_case(workspace: Path, text: str, value: bool) -> None:
    assert resolve(workspace, None, None, [f"online={text}"]).config.replay.online is value


@pytest.mark.parametrize(
    ("text", "meant"), [("no", "false"), ("off", "false"), ("0", "false"), ("yes", "true"), ("'y'", "true")]
)
def test_other_words_for_truth_are_refused_with_the_word_to_write(workspace: Path, text: str, meant: str) -> None:
    message = error_of(workspace, f"online={text}")
    assert message.startswith(f"replay.online (command line: online={text}): got ")
    assert message.endswith(f"accepted: true or false; write {meant}")


def test_null_clears_a_leaf_that_may_be_empty(workspace: Path) -> None:
    assert resolve(workspace, "cartpole", None, ["time_limit=null"]).config.env.time_limit is None
    assert "got null, accepted: number > 0 and <= 1" in error_of(workspace, "lr_actor=null")


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
def test_every_accepted_value_can_be_given_on_the_command_line(workspace: Path, data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(list(leaves())))
    value = data.draw(value_of(key))
    resolved = resolve(workspace, None, None, [f"{key}={spell(value)}"])
    assert resolved.flat[key] == value
    assert type(resolved.flat[key]) is type(value)


@given(base=any_flats(), top=any_flats())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
def test_layers_merge_leaf_by_leaf(workspace: Path, base: dict[str, object], top: dict[str, object]) -> None:
    for name, flat in (("env_configs/base.yaml", base), ("env_configs/experiments/top.yaml", top)):
        (workspace / name).write_text("".join(f"{key}: {spell(value)}\n" for key, value in flat.items()))
    resolved = resolve(workspace, "base", "top", [])
    assert resolved.config == from_flat({**base, **top})
    for key, origin in resolved.origins.items():
        if key in top:
            assert origin == f"env_configs/experiments/top.yaml:{list(top).index(key) + 1}"
        else:
            assert origin == (f"env_configs/base.yaml:{list(base).index(key) + 1}" if key in base else "default")


@given(
    st.one_of(
        st.text(max_size=40),
        st.sampled_from(list(leaves())).flatmap(lambda k: st.text(max_size=20).map(lambda v: f"{k}={v}")),
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_override_is_accepted_or_refused_in_our_own_words(workspace: Path, override: str) -> None:
    try:
        resolve(workspace, None, None, [override])
        message = ""
    except LabError as error:
        message = error.message
    assert "\n" not in message
    assert message == "" or message.isprintable()
    assert "Input should" not in message
    assert "pydantic" not in message


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("lr_actr=1", "lr_actr (command line: lr_actr=1): no such key (did you mean 'optimizer.lr_actor'?)"),
        (
            "every=3",
            "every (command line: every=3): may be any of eval.every, log.every, checkpoint.every; write one of them",
        ),
        ("optimizer=3", "this is a group of keys, not a value; its keys are lr_world, lr_actor"),
        ("lr_actor", "command line: lr_actor: an override is written KEY=VALUE"),
        ("=3", "command line: =3: an override is written KEY=VALUE"),
        ("lr_actor=", "optimizer.lr_actor (command line: lr_actor=): there is no value"),
        ("lr_actor=fast", "got the text 'fast', accepted: number > 0 and <= 1"),
        ("lr_actor=true", "got true, accepted: number > 0 and <= 1"),
        ("lr_actor=0", "got 0, accepted: number > 0 and <= 1"),
        ("lr_actor=.nan", "got nan, accepted: number > 0 and <= 1"),
        ("lr_actor=1e999", "got inf, accepted: number > 0 and <= 1"),
        ("lr_actor=[1, 2]", "got [1, 2], accepted: number > 0 and <= 1"),
        ("lr_actor={a: 1}", "a mapping is not a value"),
        ("lr_actor=!!python/name:os.system x", "is not allowed: values are plain YAML"),
        ("deter=1.5", "model.deter (command line: deter=1.5): got 1.5, accepted: integer 1..32768"),
        ("deter=64.0", "got 64.0, accepted: integer 1..32768; write 64"),
        ("amount=1e6", "got 1000000.0, accepted: integer 1..10000000000; write 1000000"),
        ("amount=30k", "got the text '30k', accepted: integer 1..10000000000; write 30000"),
        ("amount=0", "got 0, accepted: integer 1..10000000000"),
        (f"amount={'9' * 400}", "accepted: integer 1..10000000000"),
        ("unit=steps", "accepted: one of env_steps, updates, actor_updates, wall_clock (did you mean 'env_steps'?)"),
        ("time_limit=x", "got the text 'x', accepted: integer 1..10000000000, or null"),
        ("env.id=''", "got the text '', accepted: text of 1..200 characters out of A-Za-z0-9_.:/-"),
        ("env.id=5", "env.id (command line: env.id=5): got 5, accepted: text"),
        ("support=[1, 2, 3]", "got [1, 2, 3], accepted: [number, number]"),
        ("support=5", "got 5, accepted: [number, number]"),
        ("support=[-1, 2]", "must be [-x, x] with 0 < x <= 80 (twohot.support: command line: support=[-1, 2])"),
        ("deter=7", "model.deter=7 is not divisible by model.blocks=8 (model.deter: command line: deter=7)"),
        ("low=95", "return_norm.low=95.0 must be below return_norm.high=95.0"),
        ("imagination_starts=1", "train.imagination_starts=1 must be 'all' or 2..64, the batch length"),
        ("imagination_starts=some", "got the text 'some', accepted: 'all' or integer"),
        ("capacity=99", "replay.capacity (command line: capacity=99): got 99, accepted: integer 100..1000000000"),
    ],
)
def test_how_a_mistake_is_answered(workspace: Path, override: str, message: str) -> None:
    seen = error_of(workspace, override)
    assert message in seen
    assert len(seen) < 400


def test_all_problems_of_all_layers_are_reported_together(workspace: Path) -> None:
    (workspace / "env_configs/bad.yaml").write_text("optimizer:\n  lr_actr: 1\n  lr_world: fast\nmodel: 3\n")
    (workspace / "env_configs/experiments/torn.yaml").write_text("train: {batch_size: [\n")
    with pytest.raises(ConfigError) as caught:
        resolve(workspace, "bad", "torn", ["deter=7", "nonsense=1", "online=no", "online=true"])
    head, *lines = caught.value.message.splitlines()
    assert head == "7 problems in the configuration:"
    assert [line.split(":")[0].strip() for line in lines] == [
        "env_configs/experiments/torn.yaml",
        "nonsense (command line",
        "replay.online (command line",
        "optimizer.lr_actr (env_configs/bad.yaml",
        "model (env_configs/bad.yaml",
        "model.deter=7 is not divisible by model.blocks=8 (model.deter",
        "optimizer.lr_world (env_configs/bad.yaml",
    ]
    assert "optimizer.lr_world (env_configs/bad.yaml:3): got the text 'fast'" in caught.value.message
    assert caught.value.hint is not None


def test_a_wrong_file_is_not_answered_with_thousands_of_lines(workspace: Path) -> None:
    (workspace / "env_configs/wrong.yaml").write_text("".join(f"k{n}: 1\n" for n in range(5000)))
    message = error_of(workspace, env="wrong")
    assert message.startswith("5000 problems")
    assert message.endswith("... and 4970 more")
    assert len(message.splitlines()) == 32


def test_a_value_that_would_drive_the_terminal_is_shown_escaped(workspace: Path) -> None:
    (workspace / "env_configs/odd.yaml").write_text('env: {id: "\\e[31mred"}\n"\\e[2J": 1\n')
    message = error_of(workspace, "deter=\x1b[31m", env="odd")
    assert "\x1b" not in message


@pytest.mark.parametrize(
    "name",
    ["../secret", "a/b", "/etc/passwd", "..", "", "a\\b", "a\0b", "a b", ".hidden", "ALE/../Pong-v5/", "x" * 300],
)
def test_a_path_is_no_name_and_never_reaches_the_disk(tmp_path: Path, name: str) -> None:
    nowhere = tmp_path / "no such workspace"
    for env, experiment in ((name, None), (None, name)):
        with pytest.raises(UsageError, match="is a name, not a path") as caught:
            resolve(nowhere, env, experiment, [])
        assert caught.value.exit_code == 2


def test_a_namespaced_gymnasium_id_is_an_environment_though_it_looks_like_a_path(workspace: Path) -> None:
    assert resolve(workspace, "ALE/Pong-v5", None, []).config.env.id == "ALE/Pong-v5"
    with pytest.raises(UsageError, match="is a name, not a path"):
        resolve(workspace, None, "ALE/Pong-v5", [])
    assert resolve(workspace, None, None, ["env.id=ALE/Pong-v5"]).config.env.id == "ALE/Pong-v5"


def test_an_unknown_env_or_experiment_is_answered_with_those_there_are(workspace: Path) -> None:
    with pytest.raises(NotFound, match=r"did you mean 'cartpole'\?\); env configs here: acrobot, cartpole"):
        resolve(workspace, "cartpol", None, [])
    with pytest.raises(NotFound, match=r"did you mean 'nano'\?\); experiments here: nano"):
        resolve(workspace, None, "nanno", [])
    with pytest.raises(NotFound, match="this workspace has no env configs"):
        resolve(workspace / "elsewhere", "cartpole", None, [])
    assert (env_names(workspace), experiment_names(workspace)) == (["acrobot", "cartpole"], ["nano"])


def test_a_gymnasium_id_needs_no_file(workspace: Path) -> None:
    resolved = resolve(workspace, "Pendulum-v1", None, [])
    assert resolved.config.env.id == "Pendulum-v1"
    assert resolved.origins["env.id"] == "command line: --env Pendulum-v1"


def test_a_file_named_like_an_id_wins_over_the_id(workspace: Path) -> None:
    (workspace / "env_configs/Pendulum-v1.yaml").write_text("env: {id: Other-v0}\n")
    assert resolve(workspace, "Pendulum-v1", None, []).config.env.id == "Other-v0"


def test_a_broken_file_is_named_with_its_line(workspace: Path) -> None:
    (workspace / "env_configs/twice.yaml").write_text("env: {id: A}\nmodel: {}\nenv: {}\n")
    assert error_of(workspace, env="twice") == "env_configs/twice.yaml:3: the key 'env' is given twice, first on line 1"


def test_a_yaml_tag_does_not_run_anything(workspace: Path, tmp_path: Path) -> None:
    target = tmp_path / "made"
    for text in (
        f"env: {{id: !!python/object/apply:os.mkdir [{target}]}}",
        f"!!python/object/apply:os.mkdir [{target}]",
    ):
        (workspace / "env_configs/evil.yaml").write_text(text)
        assert "tag" in error_of(workspace, env="evil")
    assert not target.exists()


def test_from_flat_takes_lists_for_tuples_and_lists_every_problem() -> None:
    assert from_flat({"twohot.support": [-5, 5]}).twohot.support == (-5.0, 5.0)
    assert from_flat({}) == Config()
    with pytest.raises(ConfigError, match="2 problems"):
        from_flat({"model.deter": "x", "nonsense": 1})


def test_the_shipped_env_configs_resolve() -> None:
    folder = shipped_env_configs()
    workspace = folder.parent
    assert "cartpole" in env_names(workspace)
    for env, experiment in product(env_names(workspace), [None, *experiment_names(workspace)]):
        resolved = resolve(workspace, env, experiment, [])
        assert resolved.config.reference.solved is not None, f"{env} does not say when it counts as solved"
    assert yaml.safe_load((folder / "cartpole.yaml").read_text())["env"]["id"] == "CartPole-v1"
