import os
import subprocess
import sys
import textwrap

import pytest

from experiments.common.storage import (
    BatchLog,
    damage_named,
    file_stem,
    locked,
    read_json,
    read_record,
    write_atomically,
    write_json,
)
from persuade_env.errors import RunError


def test_batches_are_read_back_and_a_torn_last_line_is_cut_off(tmp_path):
    log = BatchLog(tmp_path / "log.jsonl")
    log.append("0", [{"a": 1}])
    log.append("8", [{"a": 2}, {"a": "ü"}])
    whole = log.path.read_bytes()
    for cut in range(len(whole.splitlines(keepends=True)[0]), len(whole)):
        log.path.write_bytes(whole[:cut])
        assert log.read() == {"0": [{"a": 1}]}
        log.append("8", [{"a": 2}, {"a": "ü"}])
        assert log.path.read_bytes() == whole


def test_damage_in_the_middle_is_an_error(tmp_path):
    log = BatchLog(tmp_path / "log.jsonl")
    log.path.write_text('{"batch": "0", "ro\n{"batch": "8", "rows": []}\n')
    with pytest.raises(RunError, match="damaged"):
        log.read()


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_json(path, {"x": 1})

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "half")
    assert read_json(path) == {"x": 1}
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]


def test_a_name_never_leaves_its_folder_nor_meets_another():
    names = ["../x", ".._x", "/etc/x", "a/b", "a_b", ".hidden", "a\nb", "é" * 300, "é" * 301]
    stems = [file_stem(name) for name in names]
    assert len(set(stems)) == len(names)
    assert not any("/" in stem or stem.startswith(".") or len(stem) > 140 for stem in stems)


def test_an_unreadable_file_says_what_to_do(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(RunError, match="delete it"):
        read_json(tmp_path / "a.json")
    assert read_json(tmp_path / "none.json") is None


def test_two_processes_don_t_share_a_run(tmp_path):
    code = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from experiments.common.storage import locked
        with locked(Path(sys.argv[1])):
            pass
        """
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with locked(tmp_path):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "in use by another process" in done.stderr
    assert subprocess.run(command, check=False).returncode == 0


@pytest.mark.parametrize("text", ["[1]", "3", '"x"', "{", "", "[" * 100_000])
def test_a_record_is_an_object_or_an_error_that_names_its_file(tmp_path, text):
    path = tmp_path / "timings.json"
    assert read_record(path) == {}
    path.write_text(text)
    with pytest.raises(RunError, match=r"timings.json.*delete it"):
        read_record(path)


@pytest.mark.parametrize(
    "error",
    [
        KeyError("x"),
        TypeError("x"),
        ValueError("x"),
        AttributeError("x"),
        IndexError("x"),
        OverflowError("x"),
    ],
)
def test_what_wrong_content_leads_to_names_the_file(tmp_path, error):
    with (
        pytest.raises(RunError, match=r"rows.json is damaged; delete it to have it made anew"),
        damage_named(tmp_path / "rows.json"),
    ):
        raise error
