"""What flows between the rooms: targets in, losses or detections out.

A box is (x1, y1, x2, y2): float32, pixels of the picture the user handed in, half-open corners.
A class id is a 0-based index into the class names; the background never shows.
D detections, G objects, N images, C channels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, overload

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from frcnn.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image
    from supervision import Detections as SupervisionDetections  # pyright: ignore[reportMissingImports]  (an extra)


@dataclass(frozen=True)
class Target:
    """The objects of one picture.

    `ignored` marks objects that are neither learnt nor counted (VOC's difficult, COCO's crowd): candidates that lie
    half inside one are not taken as background.
    """

    boxes: Float[Tensor, "G 4"]
    class_ids: Int[Tensor, " G"]
    ignored: Bool[Tensor, " G"] | None = None

    def __post_init__(self) -> None:
        """Refuse what would fail later, far from here. Raises ValueError."""
        if self.boxes.ndim != 2 or self.boxes.shape[1] != 4:
            raise ValueError(f"Target.boxes must be (G, 4), not {tuple(self.boxes.shape)}")
        for name in ("class_ids", "ignored"):
            values = getattr(self, name)
            if values is not None and values.shape != (len(self.boxes),):
                raise ValueError(f"Target.{name} must be ({len(self.boxes)},), one for each box")
        if self.ignored is not None and self.ignored.dtype != torch.bool:  # zeros and ones would count as row numbers
            raise ValueError(f"Target.ignored must be of bool, not of {self.ignored.dtype}")
        if not torch.isfinite(self.boxes).all():
            raise ValueError("Target.boxes holds a number that is not finite")
        if (self.boxes[:, 2:] <= self.boxes[:, :2]).any():
            raise ValueError("Target.boxes holds a box without area: boxes are (x1, y1, x2, y2) with x2 > x1, y2 > y1")

    def learnt(self) -> "Target":
        """The objects that are not ignored."""
        if self.ignored is None:
            return self
        keep = ~self.ignored
        return Target(self.boxes[keep], self.class_ids[keep])

    def ignored_boxes(self) -> Float[Tensor, "I 4"]:
        """The boxes of the ignored objects."""
        return self.boxes[:0] if self.ignored is None else self.boxes[self.ignored]

    def to(self, device: torch.device | str) -> "Target":
        """The same objects on another device."""
        ignored = None if self.ignored is None else self.ignored.to(device)
        return Target(self.boxes.to(device), self.class_ids.to(device), ignored)


class Detection(NamedTuple):
    """One found object, as iteration over `Detections` gives it."""

    box: list[float]
    score: float
    class_name: str


@dataclass(frozen=True)
class Detections:
    """The objects found in one picture, best score first."""

    boxes: Float[Tensor, "D 4"]
    scores: Float[Tensor, " D"]
    class_ids: Int[Tensor, " D"]
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.scores)

    def __iter__(self) -> Iterator[Detection]:
        for box, score, class_id in zip(
            self.boxes.tolist(), self.scores.tolist(), self.class_ids.tolist(), strict=True
        ):
            yield Detection(box, score, self.class_names[class_id])

    @overload
    def __getitem__(self, index: int) -> Detection: ...
    @overload
    def __getitem__(self, index: slice | Tensor) -> "Detections": ...
    def __getitem__(self, index: int | slice | Tensor) -> "Detection | Detections":
        """One detection by its number; several by a slice, a mask or a tensor of numbers."""
        if isinstance(index, int):
            name = self.class_names[int(self.class_ids[index])]
            return Detection(self.boxes[index].tolist(), float(self.scores[index]), name)
        return Detections(self.boxes[index], self.scores[index], self.class_ids[index], self.class_names)

    def to(self, device: torch.device | str) -> "Detections":
        """The same detections on another device."""
        return Detections(self.boxes.to(device), self.scores.to(device), self.class_ids.to(device), self.class_names)

    def to_dict(self) -> dict[str, list]:
        """Plain lists, ready for JSON: boxes, scores, class ids and the name of each."""
        return {
            "boxes": self.boxes.tolist(),
            "scores": self.scores.tolist(),
            "class_ids": self.class_ids.tolist(),
            "class_names": [self.class_names[i] for i in self.class_ids.tolist()],
        }

    def to_supervision(self) -> "SupervisionDetections":
        """The same as `supervision.Detections` (install `frcnn[supervision]`)."""
        try:
            from supervision import Detections as SupervisionDetections  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise UsageError(
                "to_supervision needs the package supervision: pip install 'frcnn[supervision]'"
            ) from error
        return SupervisionDetections(
            xyxy=self.boxes.cpu().numpy(),
            confidence=self.scores.cpu().numpy(),
            class_id=self.class_ids.cpu().numpy(),
            data={"class_name": [self.class_names[i] for i in self.class_ids.tolist()]},
        )

    def draw(self, image: "Image") -> "Image":
        """A copy of `image` with the boxes, names and scores drawn on it."""
        from frcnn.drawing import draw_detections  # drawing stands above structures: reached only when asked for

        return draw_detections(image, self)


@dataclass(frozen=True)
class Losses:
    """The four losses of Faster R-CNN, each already weighted and normalised (Eq. 1; Fast R-CNN Eq. 1)."""

    rpn_objectness: Float[Tensor, ""]
    rpn_box: Float[Tensor, ""]
    head_class: Float[Tensor, ""]
    head_box: Float[Tensor, ""]

    def total(self) -> Float[Tensor, ""]:
        """What training minimises: their sum."""
        return self.rpn_objectness + self.rpn_box + self.head_class + self.head_box

    def as_dict(self) -> dict[str, Tensor]:
        """Name to loss, `total` last, detached: for the log."""
        return {name: loss.detach() for name, loss in (self.parts() | {"total": self.total()}).items()}

    def parts(self) -> dict[str, Tensor]:
        """Name to loss, as they are."""
        return {name: getattr(self, name) for name in ("rpn_objectness", "rpn_box", "head_class", "head_box")}


@dataclass(frozen=True)
class ImageBatch:
    """Pictures of the network's size and scale, padded into one tensor at the right and the bottom."""

    pixels: Float[Tensor, "N C H W"]
    image_sizes: list[tuple[int, int]]  # (height, width) of each inside the padding
    original_sizes: list[tuple[int, int]]  # (height, width) of what the user handed in

    def scales(self, index: int) -> tuple[float, float]:
        """Network pixels per original pixel of one picture, (y, x)."""
        (height, width), (original_height, original_width) = self.image_sizes[index], self.original_sizes[index]
        return height / original_height, width / original_width
