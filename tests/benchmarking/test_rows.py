import json

import pytest

from frcnn.benchmarking.rows import Row, rounded


def test_ratios_say_how_many_times_as_much_a_peer_takes():
    row = Row("ops", "nms", 0.5, {"torchvision": 2.0, "loops": 0.25}, dense=0.4)
    assert row.ratios == {"torchvision": 4.0, "loops": 0.5}
    assert row.dense_share == pytest.approx(0.8)


def test_a_row_is_plain_json_without_what_does_not_apply():
    row = Row("ops", "nms", 0.3, {"torchvision": 2.0}, notes=("identical",))
    values = {"group": "ops", "work": "nms", "unit": "s", "frcnn": 0.3, "peers": {"torchvision": 2.0}}
    assert json.loads(json.dumps(row.to_dict())) == values | {"ratios": {"torchvision": 6.667}, "notes": ["identical"]}


def test_throughput_and_the_share_of_dense_arithmetic_stand_where_they_apply():
    values = Row("inference", "r", 2.0, {"torchvision": 4.0}, pictures=16, dense=1.5).to_dict()
    assert values["pictures_per_second"] == {"frcnn": 8.0, "torchvision": 4.0}
    assert (values["dense"], values["dense_share"]) == (1.5, 0.75)


def test_four_digits_count():
    assert [rounded(x) for x in (1234567.0, 0.000123456, 2.0)] == [1235000.0, 0.0001235, 2.0]
