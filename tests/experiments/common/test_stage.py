import pytest

from experiments.common.stage import Stage


class Maker:
    """Writes one file per call until it is told to die."""

    def __init__(self, dies=False):
        self.calls = 0
        self.dies = dies
        self.found = []

    def __call__(self, folder):
        self.calls += 1
        self.found = sorted(path.name for path in folder.iterdir() if path.suffix == ".txt")
        (folder / f"part-{self.calls}.txt").write_text("x")
        if self.dies:
            raise KeyboardInterrupt


def test_a_stage_is_made_once(tmp_path):
    make = Maker()
    assert Stage("s", make, {"a": 1}).run(tmp_path) is True
    assert Stage("s", make, {"a": 1}).run(tmp_path) is False
    assert make.calls == 1


def test_other_inputs_or_other_outputs_make_it_anew(tmp_path):
    make = Maker()
    Stage("s", make, {"a": 1}).run(tmp_path)
    assert Stage("s", make, {"a": 2}).run(tmp_path) is True
    assert make.found == []
    (tmp_path / "s" / "part-2.txt").write_text("tampered")
    assert Stage("s", make, {"a": 2}).run(tmp_path) is True
    assert make.found == []


def test_a_killed_stage_finds_its_finished_work(tmp_path):
    make = Maker(dies=True)
    with pytest.raises(KeyboardInterrupt):
        Stage("s", make, {"a": 1}).run(tmp_path)
    make.dies = False
    Stage("s", make, {"a": 1}).run(tmp_path)
    assert make.found == ["part-1.txt"]


def test_a_killed_stage_of_other_inputs_leaves_nothing(tmp_path):
    make = Maker(dies=True)
    with pytest.raises(KeyboardInterrupt):
        Stage("s", make, {"a": 1}).run(tmp_path)
    make.dies = False
    Stage("s", make, {"a": 2}).run(tmp_path)
    assert make.found == []
