import pytest

import frcnn
from frcnn.mismatch import explain_mismatch

# what torchvision 0.28 and 0.29 from the registry raise when imported beside a torch 2.13 without CUDA
MISMATCH = RuntimeError("operator torchvision::nms does not exist")


def test_torchvision_beside_another_torch_is_explained_in_one_line():
    line = explain_mismatch(MISMATCH)
    assert line is not None
    assert "torchvision" in line
    assert "pip install" in line
    assert "\n" not in line


@pytest.mark.parametrize("error", [RuntimeError("something else"), ValueError("torchvision::nms")])
def test_other_errors_are_not_explained_away(error):
    assert explain_mismatch(error) is None


def test_asking_for_a_public_name_says_so(monkeypatch):
    def refuse(_: str) -> None:
        raise MISMATCH

    monkeypatch.setattr(frcnn, "import_module", refuse)
    monkeypatch.delitem(vars(frcnn), "train", raising=False)
    with pytest.raises(ImportError, match="built for another torch"):
        _ = frcnn.train
