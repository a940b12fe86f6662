"""Auxiliary heads as they are written in a config (M-HK-15)."""

from __future__ import annotations

import pytest

from dreamerlab.config.heads import HeadSpec, parse_head
from dreamerlab.config.validation import from_flat
from dreamerlab.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("binary:reward_within_15", HeadSpec("reward_within_15", "binary", "reward_within", steps=15)),
        ("binary:terminal_within_20", HeadSpec("terminal_within_20", "binary", "terminal_within", steps=20)),
        ("regression:obs/vector/0", HeadSpec("obs/vector/0", "regression", "obs", key="vector", index=0)),
        ("regression:obs/arm/left/12", HeadSpec("obs/arm/left/12", "regression", "obs", key="arm/left", index=12)),
        ("binary:info/touch_puck", HeadSpec("info/touch_puck", "binary", "info", key="touch_puck")),
    ],
)
def test_each_form_is_read(text: str, head: HeadSpec) -> None:
    assert parse_head(text) == head


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("reward_within_15", "must be KIND:SOURCE"),
        ("binery:reward_within_15", "'binery' is no kind of head (did you mean 'binary'?)"),
        ("binary:reward_withn_15", "is no source (did you mean 'reward_within'?)"),
        ("binary:terminl_within_15", "is no source (did you mean 'terminal_within'?)"),
        ("binary:reward_within_0", "is no source"),
        ("binary:reward_within_999999", "more than the limit of 10000"),
        ("regression:obs/vector", "is one of reward_within_K, terminal_within_K, obs/KEY/INDEX or info/KEY"),
        ("regression:obs/vector/-1", "is no source"),
        ("regression:info/", "is no source"),
        ("", "must be KIND:SOURCE"),
    ],
)
def test_what_is_not_understood_is_answered_in_the_config(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_flat({"heads.auxiliary": [text]})
    assert said in caught.value.message
    assert caught.value.message.startswith("heads.auxiliary: ")


def test_one_source_has_one_head() -> None:
    with pytest.raises(ConfigError, match=r"two heads predict 'obs/vector/1'; each source can have one"):
        from_flat({"heads.auxiliary": ["binary:obs/vector/1", "regression:obs/vector/1"]})
