import pytest

from experiments.common.stage import Stage, StageMismatchError, digest


class Maker:
    """Writes one file per call until it is told to die."""

    def __init__(self, dies=False):
        self.calls = 0
        self.dies = dies
        self.seen = []

    def __call__(self, folder):
        self.calls += 1
        self.seen = sorted(path.name for path in folder.iterdir() if path.suffix == ".txt")
        (folder / f"part-{self.calls}.txt").write_text("x")
        if self.dies:
            raise KeyboardInterrupt


def test_a_stage_is_made_once(tmp_path):
    make = Maker()
    assert Stage("s", make, {"a": 1}).run(tmp_path) is True
    assert Stage("s", make, {"a": 1}).run(tmp_path) is False
    assert make.calls == 1


def test_other_inputs_are_refused_by_name_and_nothing_is_touched(tmp_path):
    make = Maker()
    Stage("s", make, {"settings": {"beta": 0.1, "rank": 8}, "seed": 0}).run(tmp_path)
    before = digest(tmp_path)
    with pytest.raises(StageMismatchError) as refused:
        Stage("s", make, {"settings": {"beta": 0.2, "rank": 8}, "extra": 1}).run(tmp_path)
    message = str(refused.value)
    assert "settings.beta: 0.1, now 0.2" in message
    assert "seed: 0, now nothing" in message
    assert "extra: now 1" in message
    assert "rank" not in message
    assert digest(tmp_path) == before
    assert make.calls == 1


def test_fresh_moves_the_old_one_aside(tmp_path):
    make = Maker()
    for number in (1, 2, 3):
        assert Stage("s", make, {"a": number}).run(tmp_path, fresh=True) is True
        assert make.seen == []
    assert (tmp_path / "earlier" / "s-1" / "part-1.txt").exists()
    assert (tmp_path / "earlier" / "s-2" / "part-2.txt").exists()
    assert not (tmp_path / "s" / "part-2.txt").exists()


def test_what_was_tampered_with_is_damaged(tmp_path):
    make = Maker()
    Stage("s", make, {"a": 1}).run(tmp_path)
    (tmp_path / "s" / "part-1.txt").write_text("tampered")
    with pytest.raises(StageMismatchError, match="damaged"):
        Stage("s", make, {"a": 1}).run(tmp_path)
    assert (tmp_path / "s" / "part-1.txt").read_text() == "tampered"
    assert Stage("s", make, {"a": 1}).run(tmp_path, fresh=True) is True


def test_a_stranger_s_folder_is_not_written_to(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "thesis.txt").write_text("years of work")
    with pytest.raises(StageMismatchError, match="no stage made"):
        Stage("s", Maker(), {"a": 1}).run(tmp_path)
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["thesis.txt"]


def test_a_run_of_an_earlier_version_is_told(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "done.json").write_text('{"inputs": "0a1b", "outputs": "2c", "seconds": 1}')
    with pytest.raises(StageMismatchError, match="earlier version"):
        Stage("s", Maker(), {"a": 1}).run(tmp_path)


def test_a_killed_stage_finds_its_finished_work(tmp_path):
    make = Maker(dies=True)
    with pytest.raises(KeyboardInterrupt):
        Stage("s", make, {"a": 1}).run(tmp_path)
    make.dies = False
    Stage("s", make, {"a": 1}).run(tmp_path)
    assert make.seen == ["part-1.txt"]


def test_a_killed_stage_of_other_inputs_is_refused_too(tmp_path):
    make = Maker(dies=True)
    with pytest.raises(KeyboardInterrupt):
        Stage("s", make, {"a": 1}).run(tmp_path)
    make.dies = False
    with pytest.raises(StageMismatchError, match="a: 1, now 2"):
        Stage("s", make, {"a": 2}).run(tmp_path)
    Stage("s", make, {"a": 2}).run(tmp_path, fresh=True)
    assert make.seen == []
