"""nightdesk.toml: wrong keys and values are refused, with the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from trader.config import BadConfig, read_config

GOOD = """
[connections.sim]
api_url = "http://127.0.0.1:1"
signin_url = "http://127.0.0.1:1"
client_id = "c"
login_file = "login.json"
"""


def configured(folder: Path, text: str) -> Path:
    (folder / "nightdesk.toml").write_text(text)
    return folder


def test_connection_is_named_by_its_section_and_is_sim_by_default(tmp_path: Path) -> None:
    config = read_config(configured(tmp_path, GOOD))
    assert config.connections["sim"].name == "sim"
    assert config.connections["sim"].environment == "SIM"
    assert config.timing.snapshot_every_s == 30.0


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "at least one connection"),
        ("connections = 3", "at least one connection"),
        ("[connections]\nsim = 3", "connections"),
        (GOOD + "api = 3", "api"),
        (GOOD + "[timing]\nsnapshot_every_s = 'often'", "snapshot_every_s"),
        (GOOD + "[timing]\nsnapshot_every = 3.0", "snapshot_every"),
        (GOOD + "[timing]\nsnapshot_every_s = 0.0", r"timing\.snapshot_every_s is 0\.0"),
        (GOOD + "[timing]\nhttp_limit_s = nan", r"timing\.http_limit_s is nan"),
        (GOOD + "[dsk]\nclock = ''", "dsk"),
        ("[connections.sim]\nclient_id = 'c'", "api_url"),
        (GOOD.replace("]", "", 1), r"nightdesk\.toml"),
        (GOOD + "environment = 'LIVE'", "LIVE does not start"),
        (GOOD + "environment = 'PAPER'", "environment"),
        (GOOD + "key_sharers = 1", r"connections\.sim\.key_sharers is counted"),
        (GOOD.replace("sim", "'../../etc'"), "connection name '../../etc': wanted"),
        ("x = " + "[" * 100_000, "nested too deep"),
        ("# " + "x" * 1_000_000, "larger than 1000000 bytes"),
    ],
)
def test_wrong_configuration_is_refused_naming_the_key(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(BadConfig, match=complaint):
        read_config(configured(tmp_path, text))


@pytest.mark.parametrize("content", [GOOD.encode("utf-16"), b"# caf\xe9\n" + GOOD.encode(), bytes(range(256))])
def test_other_encodings_are_refused_with_the_place(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "nightdesk.toml"
    path.write_bytes(content)
    with pytest.raises(BadConfig, match=r"nightdesk\.toml: byte \d+ is not UTF-8"):
        read_config(tmp_path)


def test_a_folder_in_the_files_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "nightdesk.toml").mkdir()
    with pytest.raises(BadConfig, match="Is a directory"):
        read_config(tmp_path)


def test_missing_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=str(tmp_path)):
        read_config(tmp_path)


def test_connections_of_one_key_are_told_how_many_they_are(tmp_path: Path) -> None:
    more = GOOD.replace("sim", "more") + GOOD.replace("sim", "other").replace('"c"', '"d"')
    config = read_config(configured(tmp_path, GOOD + more))
    assert {name: each.key_sharers for name, each in config.connections.items()} == {"sim": 2, "more": 2, "other": 1}
