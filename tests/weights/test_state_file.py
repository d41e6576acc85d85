import pickle
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from frcnn.errors import ModelFileError
from frcnn.weights.state_file import read_state

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.zeros(2)}


class Mischief:
    """Unpickled, it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.write_text, (self.path, "executed")


def same(state: dict[str, torch.Tensor]) -> bool:
    return state.keys() == STATE.keys() and all(torch.equal(state[k], STATE[k]) for k in STATE)


def test_safetensors_and_their_metadata(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "a.safetensors", {"input": "RGB"})
    file = read_state(tmp_path / "a.safetensors")
    assert same(file.state)
    assert file.metadata == {"input": "RGB"}


@pytest.mark.parametrize("content", [STATE, {"model": STATE, "epoch": 3}, {"state_dict": STATE}])
@pytest.mark.parametrize("as_zip", [True, False])
def test_what_torch_save_writes(tmp_path: Path, content: dict, as_zip: bool) -> None:
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=as_zip)
    assert same(read_state(tmp_path / "a.pth").state)


def test_code_in_a_file_is_never_run(tmp_path: Path) -> None:
    torch.save({"a": Mischief(tmp_path / "trace")}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps(Mischief(tmp_path / "trace")))
    for name in ("a.pth", "b.pth"):
        with pytest.raises(ModelFileError, match="more than weights"):
            read_state(tmp_path / name)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("content", [b"", b"\x80", b"PK\x03\x04", b"{}", b"\x00" * 100, b"\xff\xd8\xff\xe0 a photo"])
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_what_is_no_weights_is_one_line(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert_refused(tmp_path / name)


@pytest.mark.parametrize("content", [[1, 2], {}, {"a": 3}, {"a": [torch.zeros(1)]}, {1: torch.zeros(1)}, torch.ones(2)])
def test_a_file_of_something_else(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "a.pth")
    assert_refused(tmp_path / "a.pth", "no state dict")


def test_a_file_cut_short(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "a.pth")
    save_file(STATE, tmp_path / "a.safetensors")
    for path in (tmp_path / "a.pth", tmp_path / "a.safetensors"):
        path.write_bytes(path.read_bytes()[:-20])
        assert_refused(path)


def test_an_absent_file_and_a_folder(tmp_path: Path) -> None:
    assert_refused(tmp_path / "a.pth", "no such file")
    assert_refused(tmp_path, "no such file")


def assert_refused(path: Path, reason: str = "") -> None:
    with pytest.raises(ModelFileError, match=re.escape(str(path))) as caught:
        read_state(path)
    assert "\n" not in str(caught.value)
    assert reason in str(caught.value)
