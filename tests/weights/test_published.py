import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torchvision.models.detection as peers
from lively import enliven, pictures
from torch import Tensor

from frcnn.errors import ModelFileError, UsageError
from frcnn.weights import published
from frcnn.weights.fetch import DownloadError
from frcnn.weights.published import PUBLISHED, load_published

PRESET = "mobilenet_v3_large_320_fpn"


@pytest.fixture(scope="module")
def peer() -> peers.FasterRCNN:
    """torchvision's network for its 91 labels, in which those without a class can never win."""
    torch.manual_seed(0)
    network = peers.fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None).eval()
    categories = PUBLISHED[PRESET][0].meta["categories"]
    enliven(network, spread=2.0)
    with torch.no_grad():
        network.roi_heads.box_predictor.cls_score.bias[[name == "N/A" for name in categories]] = -1e4
    return network


def as_of_old(name: str) -> str:
    """How the keys were called when the first weights were published."""
    return name.replace("head.conv.0.0.", "head.conv.").replace("_blocks.0.0.", "_blocks.0.")


@pytest.fixture
def server(peer: peers.FasterRCNN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """Publishes the peer's weights on localhost, under a name with the checksum in it."""
    serving, hub = tmp_path / "serving", tmp_path / "hub"
    serving.mkdir()
    torch.save({as_of_old(name): tensor for name, tensor in peer.state_dict().items()}, serving / "net")
    digest = hashlib.sha256((serving / "net").read_bytes()).hexdigest()[:8]
    (serving / "net").rename(serving / f"net-{digest}.pth")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(hub))

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(serving))) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"http://127.0.0.1:{running.server_port}/net-{digest}.pth"
        entry = SimpleNamespace(url=url, meta=PUBLISHED[PRESET][0].meta)
        monkeypatch.setattr(published, "PUBLISHED", {PRESET: (entry, 1e-5)})
        yield SimpleNamespace(url=url, file=hub / "checkpoints" / f"net-{digest}.pth", published=entry)
        running.shutdown()
        thread.join()


def test_a_published_detector_is_fetched_and_gives_torchvisions_results(
    server: SimpleNamespace, peer: peers.FasterRCNN
) -> None:
    model = load_published(PRESET)
    assert server.file.exists()
    assert not model.training
    categories = server.published.meta["categories"]
    assert list(model.class_names) == [name for name in categories[1:] if name != "N/A"]
    assert len(model.class_names) == 80
    images = pictures()[:1]
    with torch.no_grad():
        ours, theirs = model(images)[0][:30], peer(images)[0]
    assert [found.class_name for found in ours] == [categories[label] for label in theirs["labels"][:30]]
    torch.testing.assert_close(ours.boxes, theirs["boxes"][:30], rtol=0, atol=0.01)
    torch.testing.assert_close(ours.scores, theirs["scores"][:30], rtol=0, atol=1e-4)


def test_what_was_published_in_error(server: SimpleNamespace) -> None:
    server.published.url = server.url.replace("net-", "other-")
    with pytest.raises(DownloadError, match="HTTP 404"):
        load_published(PRESET)
    server.file.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"a": torch.zeros(1)}, server.file.parent / "net.pth")
    server.published.url = server.url.rpartition("/")[0] + "/net.pth"  # no checksum in the name
    with pytest.raises(ModelFileError, match="another network"):
        load_published(PRESET)


def test_the_epsilon_of_batch_norm_is_the_publications() -> None:
    """Row 34: resnet50_fpn wants 0."""
    assert {preset: eps for preset, (_, eps) in PUBLISHED.items() if eps != 1e-5} == {"resnet50_fpn": 0.0}


def test_every_published_name_has_its_checksum() -> None:
    for weights, _ in PUBLISHED.values():
        assert published.checksum_in_name(weights.url)


def test_a_preset_without_published_weights() -> None:
    with pytest.raises(UsageError, match="'vgg16' has no published weights: these have: resnet50_fpn, "):
        load_published("vgg16")


def test_labels_are_selected_with_their_deltas() -> None:
    state: dict[str, Tensor] = {
        "roi_heads.box_predictor.cls_score.weight": torch.arange(4.0)[:, None],
        "roi_heads.box_predictor.bbox_pred.bias": torch.arange(16.0),
        "rpn.head.conv.0.0.weight": torch.zeros(1),
    }
    chosen = published._select_labels(state, [0, 3])
    assert chosen["roi_heads.box_predictor.cls_score.weight"].flatten().tolist() == [0, 3]
    assert chosen["roi_heads.box_predictor.bbox_pred.bias"].tolist() == [0, 1, 2, 3, 12, 13, 14, 15]
    assert chosen["rpn.head.conv.0.0.weight"] is state["rpn.head.conv.0.0.weight"]
