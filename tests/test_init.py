import subprocess
import sys

import pytest

import frcnn


@pytest.mark.parametrize("name", frcnn.__all__)
def test_every_public_name_is_there(name):
    assert getattr(frcnn, name) is not None
    assert name in dir(frcnn)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'detect'"):
        _ = frcnn.detect


def test_importing_is_light():
    code = "import sys, frcnn; print([m for m in ('torch', 'torchvision', 'numpy', 'PIL') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_name_says_the_same_to_type_checkers_and_at_run_time():
    rooms = {name: f"frcnn.{room}" for name, room in frcnn._ROOMS.items()}
    for name, room in rooms.items():
        assert getattr(frcnn, name).__module__ == room
