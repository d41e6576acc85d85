"""Where would the second stage's losses move the proposals, if they could? A line of JSON a model.

    python benchmarks/movable.py --data VOC2007 --models runs/schedules/mobilenet_v2_c4-joint-6-epochs-seed-0

Non-approximate joint training (`--schedule exact`) sends the gradients of the class loss and of the box loss through
RoIAlign into the proposals, with their targets held constant. Here one step is taken against either gradient, of one
length for every box, with the proposals that training would count as objects; it tells how their mean IoU with the
object changes, and how many come nearer. A step straight towards the object is the most there is to be had.
"""

import argparse
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from frcnn.data.dataset import load_dataset
from frcnn.data.loading import evaluation_batches
from frcnn.model.detector import FasterRCNN
from frcnn.model.head import head_losses, normalise_deltas, pool_regions
from frcnn.model.preprocess import preprocess
from frcnn.ops.boxes import box_iou, scale_boxes
from frcnn.ops.coding import decode, encode
from frcnn.structures import Target
from frcnn.weights.model_file import load_model

STEP = 0.02  # its length in (dx / width, dy / height, log of width, log of height)
PROPOSALS = 300


def main() -> None:
    """Over the first pictures of the split."""
    asked = arguments()
    for folder in asked.models:
        model = load_model(folder / "last.safetensors").eval()
        dataset = load_dataset([asked.data], asked.split, model.class_names)
        found = []
        for batch in islice(evaluation_batches(dataset, 1), asked.pictures):
            (image,) = batch.images_on(torch.device("cpu"))
            found += changes(model, image, batch.targets[0].learnt())
        columns = torch.stack(found)
        told = {
            name: {
                "mean_change_of_iou": round(column.mean().item(), 5),
                "nearer": round((column > 0).float().mean().item(), 3),
            }
            for name, column in zip(
                ("class_loss", "box_loss", "both", "towards_the_object"), columns.unbind(1), strict=True
            )
        }
        print(json.dumps({"model": folder.name, "proposals": len(columns), "step": STEP} | told), flush=True)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="trainval")
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="folders of runs")
    parser.add_argument("--pictures", type=int, default=200)
    return parser.parse_args()


def changes(model: FasterRCNN, image: Float[Tensor, "3 H W"], objects: Target) -> Iterator[Float[Tensor, "4"]]:
    """Of each proposal that counts as an object, the IoU after a step of each kind, less the IoU before it."""
    scale = preprocess([image], model.config.input).scales(0)
    truth = scale_boxes(objects.boxes.float(), scale)
    with torch.no_grad():
        (proposals,) = model.proposals([image], 6000, PROPOSALS)
    proposals = scale_boxes(proposals, scale)
    best, matched = box_iou(truth, proposals).max(dim=0)
    positive = best >= model.config.head.foreground_above
    boxes, wanted, class_ids = proposals[positive], truth[matched[positive]], objects.class_ids[matched[positive]]
    if len(boxes) == 0:
        return
    of_class, of_box = gradients(model, image, boxes, wanted, class_ids)
    directions = (-of_class, -of_box, -of_class - of_box, encode(boxes, wanted))
    before = box_iou(boxes, wanted).diagonal()
    after = [box_iou(decode(boxes, STEP * normalize(way, dim=1)), wanted).diagonal() for way in directions]
    yield from (torch.stack(after, dim=1) - before[:, None]).unbind(0)


def gradients(
    model: FasterRCNN,
    image: Float[Tensor, "3 H W"],
    boxes: Float[Tensor, "R 4"],
    wanted: Float[Tensor, "R 4"],
    class_ids: Int[Tensor, " R"],
) -> tuple[Float[Tensor, "R 4"], Float[Tensor, "R 4"]]:
    """Of the class loss and of the box loss, by what moves the boxes; their targets stay what they are."""
    config, levels = model.config.head, model.backbone.roi_levels
    with torch.no_grad():
        pyramid = model.backbone(preprocess([image], model.config.input).pixels)
        targets = normalise_deltas(encode(boxes, wanted), config)
    moves = torch.zeros_like(boxes, requires_grad=True)
    regions = pool_regions(pyramid[:levels], model.backbone.strides[:levels], [decode(boxes, moves)], config)
    losses = head_losses(*model.head(regions), class_ids, targets, config.box_beta)
    of_class, of_box = (torch.autograd.grad(loss, moves, retain_graph=True)[0] for loss in losses)
    return of_class, of_box


if __name__ == "__main__":
    main()
