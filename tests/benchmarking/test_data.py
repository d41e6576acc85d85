import os

from frcnn.benchmarking.data import data_measurements, loading_row, ready_row
from frcnn.benchmarking.rows import Setting


def test_both_loaders_load_the_same_and_nothing_stays_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    row = loading_row("loading", Setting(runs=1), pictures=5, passes=2)
    assert row.pictures == 10
    assert row.notes == ("the same pictures",)
    assert os.listdir(tmp_path) == []  # noqa: PTH208


def test_other_pictures_are_found_out(monkeypatch):
    monkeypatch.setattr("frcnn.benchmarking.data.their_pictures", lambda paths: 1.0)
    row = loading_row("loading", Setting(runs=1), pictures=3, passes=1)
    assert row.notes[0].startswith("NOT the same pictures")


def test_what_is_measured():
    assert [m.name for m in data_measurements(Setting())] == [
        "loading 480 JPEG pictures with 2 workers",
        "480 JPEG pictures of 375x500, ready for the network at short side 600",
    ]


def test_the_network_sees_the_same_of_both():
    row = ready_row("ready", Setting(runs=1), pictures=4, passes=1)
    assert row.pictures == 4
    assert row.notes == ("the same pictures",)
