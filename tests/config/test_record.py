"""The recorded config: exact round trips, and records of other versions stay readable."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dreamerlab.config.catalogue import leaves
from dreamerlab.config.record import Rename, load_config, load_recorded, original_name, spell, to_yaml
from dreamerlab.config.schema import Config
from dreamerlab.config.strict_yaml import parse_value
from dreamerlab.config.validation import flatten, from_flat
from dreamerlab.errors import ConfigError, NotFound
from tests.config.strategies import any_flats


@given(any_flats())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
def test_writing_and_reading_gives_back_the_same_config(tmp_path: Path, flat: dict[str, object]) -> None:
    config = from_flat(flat)
    path = tmp_path / "config.yaml"
    path.write_text(to_yaml(config))
    assert load_config(path) == config
    recorded = load_recorded(path)
    assert recorded == flatten(config)
    assert [type(value) for value in recorded.values()] == [type(value) for value in flatten(config).values()]
    assert to_yaml(load_config(path)) == path.read_text()


@given(any_flats())
@settings(max_examples=30, deadline=None)
def test_a_common_yaml_reader_sees_the_same_values(flat: dict[str, object]) -> None:
    """PyYAML reads YAML 1.1, where `1e-05` is text; other tools read records with it."""
    config = from_flat(flat)
    read = yaml.safe_load(to_yaml(config))
    for key, value in flatten(config).items():
        section, _, name = key.partition(".")
        assert read[section][name] == (list(value) if isinstance(value, tuple) else value)


@given(st.text(max_size=100))
@settings(deadline=None)
@example("1e-3")
@example("null")
@example("yes")
@example("~")
@example("")
@example("a: b # c")
@example('"\\\u2028\x7f\U0001f600')
def test_any_text_is_spelled_so_that_it_reads_back(text: str) -> None:
    spelled = spell(text)
    assert parse_value(spelled) == text
    assert "\n" not in spelled
    assert yaml.safe_load(spelled) == text


def test_the_text_is_grouped_by_section_with_one_line_a_leaf() -> None:
    lines = to_yaml(Config()).splitlines()
    assert lines[:4] == ["schema: 1", "env:", "  id: CartPole-v1", "  time_limit: null"]
    assert "  support: [-20.0, 20.0]" in lines
    assert "  lr_actor: 4.0e-05" in lines
    assert sum(line.startswith("  ") for line in lines) == len(leaves())


def record(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return path


RENAMES = (Rename(3, "optimizer.lr", "optimizer.lr_world"), Rename(2, "opt.rate", "optimizer.lr"))


@pytest.mark.parametrize(
    ("schema", "key", "today"),
    [
        (1, "opt.rate", "optimizer.lr_world"),
        (1, "optimizer.lr", "optimizer.lr_world"),
        (2, "optimizer.lr", "optimizer.lr_world"),
        (2, "opt.rate", "opt.rate"),
        (3, "optimizer.lr", "optimizer.lr"),
    ],
)
def test_keys_renamed_since_get_todays_name(tmp_path: Path, schema: int, key: str, today: str) -> None:
    path = record(tmp_path, f"schema: {schema}\n{key}: 0.5\n")
    assert load_recorded(path, RENAMES) == {today: 0.5}


def test_a_config_from_before_a_rename_still_loads(tmp_path: Path) -> None:
    path = record(tmp_path, "schema: 1\nopt: {rate: 0.5}\n")
    assert load_config(path, RENAMES).optimizer.lr_world == 0.5


def test_a_renamed_leaf_remembers_its_first_name() -> None:
    assert original_name("optimizer.lr_world", RENAMES) == "opt.rate"
    assert original_name("optimizer.lr_actor", RENAMES) == "optimizer.lr_actor"


def test_leaves_of_other_versions_are_kept_and_never_validated(tmp_path: Path) -> None:
    path = record(tmp_path, "schema: 99\nmodel: {deter: huge, wings: [1, [a, 2]]}\nnew_section: {x: null}\n")
    flat = load_recorded(path)
    assert flat == {"model.deter": "huge", "model.wings": (1, ("a", 2)), "new_section.x": None}


def test_the_trainer_refuses_a_config_it_cannot_understand(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="recorded by a later version"):
        load_config(record(tmp_path, "schema: 99\n"))
    with pytest.raises(ConfigError, match=r"config.yaml:2\): no such key"):
        load_config(record(tmp_path, "schema: 1\nmodel.wings: 2\n"))
    with pytest.raises(ConfigError, match=r"config.yaml:1: not valid YAML"):
        load_config(record(tmp_path, "a: ]\n"))
    with pytest.raises(ConfigError, match="schema version must be a whole number"):
        load_config(record(tmp_path, "schema: x\n"))
    with pytest.raises(NotFound, match="no recorded config"):
        load_config(tmp_path / "absent.yaml")


def test_a_record_without_a_version_is_of_the_first(tmp_path: Path) -> None:
    assert load_config(record(tmp_path, "model: {deter: 64}\n")).model.deter == 64
