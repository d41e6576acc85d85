from pathlib import Path

import pytest
import torch
from localhost import serving

from frcnn.weights import fetch as weights_fetch
from frcnn.weights.fetch import DownloadError, checksum_in_name, fetch

NAME = "net 1-2d711642.pth"
CONTENT = b"x"
CHECKSUM = "2d711642"  # sha256sum of an x


def test_weights_come_into_the_folder_under_their_name(tmp_path: Path) -> None:
    with serving({NAME: CONTENT}) as server:
        url = f"{server.address}/models/net%201-2d711642.pth?download=1"
        assert fetch(url, CHECKSUM, tmp_path / "new") == tmp_path / "new" / NAME
    assert (tmp_path / "new" / NAME).read_bytes() == CONTENT


def test_a_wrong_checksum_is_a_line_that_says_where_to_put_the_file(tmp_path: Path) -> None:
    with serving({"net.pth": CONTENT}) as server, pytest.raises(DownloadError, match="wrong checksum") as caught:
        fetch(f"{server.address}/net.pth", "00000000", tmp_path)
    assert str(tmp_path / "net.pth") in str(caught.value)
    assert f"{server.address}/net.pth" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_the_default_folder_is_torch_hubs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert weights_fetch.checkpoint_folder() == tmp_path / "checkpoints"
    with serving({"net.pth": CONTENT}) as server:
        assert fetch(f"{server.address}/net.pth") == tmp_path / "checkpoints" / "net.pth"


@pytest.mark.parametrize(
    ("url", "checksum"),
    [
        ("https://host/models/resnet50-0676ba61.pth", "0676ba61"),
        ("https://host/models/vgg16_features-amdegroot-88682ab5.pth", "88682ab5"),
        ("https://host/models/fasterrcnn_resnet50_fpn_coco-258fb6c6.pth?x=1", "258fb6c6"),
        ("https://host/models/resnet50.pth", None),
    ],
)
def test_the_checksum_in_a_name(url: str, checksum: str | None) -> None:
    assert checksum_in_name(url) == checksum
