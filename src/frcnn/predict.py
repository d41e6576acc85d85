"""Pictures in, detections out: a model made ready to run, and what `frcnn predict` does with files."""

import copy
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from frcnn.config import override_sections, preset_names
from frcnn.data.pictures import as_seen, read_picture, to_tensor
from frcnn.data.sources import Sources, find_pictures
from frcnn.device import Precision, autocast, check_precision, choose_device
from frcnn.errors import DataError, ModelFileError, UsageError
from frcnn.files import make_folder, write_text, written_whole
from frcnn.model.detector import FasterRCNN
from frcnn.model.fold import fold_batch_norm
from frcnn.model.fuse import fuse_activations
from frcnn.progress import Advance, progress_bar
from frcnn.structures import Detections
from frcnn.weights.model_file import load_model
from frcnn.weights.published import load_published

Picture = str | Path | Image.Image | np.ndarray | Tensor

SAVES = ("pictures", "json")
JPEG_SUFFIXES = (".jpg", ".jpeg")
COMPILERS = ("g++", "clang++", "cl")
JPEG_QUALITY = 92  # of drawn pictures


class Detector:
    """A model made ready to run: batch norm folded, channels last, cast once. The model handed in stays as it is.

    `score_threshold` takes the place of the model's own. Pictures are run `batch_size` at a time. `compile` hands the
    network to `torch.compile`: the first pictures take some ten seconds, the others a few hundredths less each; worth
    it for many pictures and a large network. Raises UsageError for what cannot be done here.
    """

    def __init__(
        self,
        model: FasterRCNN,
        device: str = "auto",
        precision: Precision = "float32",
        score_threshold: float | None = None,
        batch_size: int = 1,
        compile: bool = False,
    ) -> None:
        check_precision(precision)
        if batch_size < 1:
            raise UsageError(f"batch_size must be at least 1, not {batch_size}")
        self.model = model
        self.device, self.batch_size = choose_device(device), batch_size
        self.precision: Precision = precision
        self._ready = _made_ready(with_score_threshold(model, score_threshold), self.device, precision)
        if compile:
            _compile(self._ready, self.device)
        elif self.device.type == "cpu":
            fuse_activations(self._ready)  # the compiler does so by itself

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the class ids of the detections stand for."""
        return self.model.class_names

    @overload
    def __call__(self, pictures: Picture) -> Detections: ...
    @overload
    def __call__(self, pictures: Sequence[Picture]) -> list[Detections]: ...
    def __call__(self, pictures: object) -> Detections | list[Detections]:
        """The detections of one picture, or of each picture of a list, in its pixels, on the processor.

        A picture is a path, a PIL image, an RGB array (H, W, 3) of uint8, or an RGB tensor (3, H, W) of uint8 or of
        floating point in [0, 1]. Raises DataError for a file that is no picture, TypeError or ValueError else.
        """
        if isinstance(pictures, Picture):
            return self._detect([pictures])[0]
        if not isinstance(pictures, Sequence):
            raise TypeError(f"a picture is a path, PIL image, array or tensor, not {type(pictures).__name__}")
        batches = range(0, len(pictures), self.batch_size)
        return [found for i in batches for found in self._detect(pictures[i : i + self.batch_size])]

    def _detect(self, pictures: Sequence[object]) -> list[Detections]:
        images = [as_image(picture).to(self.device) for picture in pictures]
        with torch.no_grad(), autocast(self.device, self.precision):
            found = self._ready(images)
        return [detections.to("cpu") for detections in found]


def load(
    path: str | Path,
    device: str = "auto",
    precision: Precision = "float32",
    score_threshold: float | None = None,
    batch_size: int = 1,
    compile: bool = False,
) -> Detector:
    """A detector from a model file, or from the name of a preset with published weights. Raises FrcnnError."""
    choose_device(device)  # what is asked for is checked before a large file is read or fetched
    check_precision(precision)
    with progress_bar(f"fetching {path}") as advance:  # shows itself when something is fetched
        model = open_model(path, advance)
    return Detector(model, device, precision, score_threshold, batch_size, compile)


def open_model(model: str | Path, progress: Advance | None = None) -> FasterRCNN:
    """The model of a file or of a preset with published weights (fetched once, and checked). Raises FrcnnError."""
    path = Path(model)
    if path.is_file():
        return load_model(path)
    if str(model) in preset_names():
        return load_published(str(model), progress)
    if path.is_dir():
        raise ModelFileError(f"{model}: is a folder: name a model file in it, such as {path / 'best.safetensors'}")
    raise ModelFileError(f"{model}: there is no such model file, and no such preset (see `frcnn presets`)")


def as_image(picture: object) -> Float[Tensor, "3 H W"]:
    """What the model takes, from any `Picture`. Raises DataError, TypeError or ValueError."""
    if isinstance(picture, (str, Path)):
        return to_tensor(read_picture(Path(picture)))
    if isinstance(picture, Image.Image):
        return to_tensor(as_seen(picture))
    if isinstance(picture, np.ndarray):
        return _from_array(picture)
    if isinstance(picture, Tensor):
        return _from_tensor(picture)
    raise TypeError(f"a picture is a path, PIL image, array or tensor, not {type(picture).__name__}")


def _from_array(array: np.ndarray) -> Float[Tensor, "3 H W"]:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise ValueError(f"an array must be RGB, (H, W, 3) of uint8, not {array.shape} of {array.dtype}")
    return torch.from_numpy(np.ascontiguousarray(array)).permute(2, 0, 1).float() / 255  # (H, W, 3) -> (3, H, W)


def _from_tensor(image: Tensor) -> Float[Tensor, "3 H W"]:
    if image.ndim != 3 or image.shape[0] != 3 or 0 in image.shape:
        raise ValueError(f"a tensor must be one RGB picture, (3, H, W), not {tuple(image.shape)}")
    if image.dtype == torch.uint8:
        return image.float() / 255
    if not image.is_floating_point():
        raise ValueError(f"a tensor must be of uint8, or of floating point in [0, 1], not of {image.dtype}")
    low, high = image.aminmax()
    if not (low >= 0 and high <= 1):  # so written, NaN is refused too
        raise ValueError(f"a tensor's values must lie in [0, 1], not from {low:g} to {high:g}: divide by 255, perhaps")
    return image.float()


def with_score_threshold(model: FasterRCNN, threshold: float | None) -> FasterRCNN:
    """The same weights under another configuration; the model handed in stays as it is."""
    if threshold is None:
        return model
    other = copy.copy(model)
    other.config = override_sections(model.config, {"head": {"score_threshold": threshold}})
    return other


def _made_ready(model: FasterRCNN, device: torch.device, precision: Precision) -> FasterRCNN:
    """A copy that runs faster and gives the same."""
    ready = copy.deepcopy(model).eval().requires_grad_(False).to(device, torch.float32)
    fold_batch_norm(ready)
    ready.to(memory_format=torch.channels_last)
    if precision == "bfloat16":
        for layer in ready.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                layer.to(torch.bfloat16)  # autocast would cast these anew for every picture
    return ready


def _compile(model: FasterRCNN, device: torch.device) -> None:
    """The three rooms that are networks; what lies between them is few operations on boxes."""
    if device.type == "cpu" and not any(map(shutil.which, COMPILERS)):
        raise UsageError(f"compile needs a C++ compiler ({' or '.join(COMPILERS)}): install one, or leave compile out")
    for room in (model.backbone, model.rpn, model.head):
        room.compile(fullgraph=True)


@dataclass
class Predictions:
    """What `predict` found, picture by picture, and a line for each picture or source it could not use."""

    detections: dict[Path, Detections] = field(default_factory=dict)
    sizes: dict[Path, tuple[int, int]] = field(default_factory=dict)  # (height, width)
    drawn: dict[Path, Path] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    out: Path | None = None  # None where nothing was written

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """What detections.json holds: by the path of each picture its size, its detections and its drawn copy."""
        return {str(path): self._one(path) for path in self.detections}

    def summary(self) -> str:
        """One line for people."""
        objects = sum(len(detections) for detections in self.detections.values())
        where = "" if self.out is None else f": {self.out}"
        return f"{objects} objects in {len(self.detections)} pictures{where}"

    def _one(self, path: Path) -> dict[str, Any]:
        height, width = self.sizes[path]
        drawn = {"drawn": self.drawn[path].name} if path in self.drawn else {}
        return {"height": height, "width": width, **drawn, **self.detections[path].to_dict()}


def predict(
    model: str | Path,
    sources: Sequence[str | Path],
    out: str | Path = "runs/predict",
    *,
    save: Sequence[str] = SAVES,
    device: str = "auto",
    precision: Precision = "float32",
    score_threshold: float | None = None,
    batch_size: int = 1,
    progress: bool = False,
) -> Predictions:
    """Detect on files, folders and globs; draw each picture into `out`, and write what was found to detections.json.

    A picture that cannot be read becomes a line of `problems`, and the others are done all the same. Raises
    FrcnnError where there is nothing to do, or `out` or the model cannot be used; `out` is not made then.
    """
    found = find_pictures(sources)
    names = _names_of_drawn(found.pictures)
    _check_request(found, save, Path(out), names)
    detector = load(model, device, precision, score_threshold, batch_size)
    predictions = Predictions(problems=list(found.problems))
    for paths in _batches(found.pictures, batch_size, progress):
        pictures = _read(paths, predictions.problems)
        for (path, picture), detections in zip(pictures.items(), detector(list(pictures.values())), strict=True):
            predictions.detections[path] = detections
            predictions.sizes[path] = (picture.height, picture.width)
            if "pictures" in save:
                predictions.drawn[path] = _write_picture(Path(out) / names[path], detections.draw(picture))
    if "json" in save and predictions.detections:
        make_folder(Path(out))
        write_text(Path(out) / "detections.json", json.dumps(predictions.to_dict(), indent=1) + "\n")
    predictions.out = Path(out) if save and predictions.detections else None
    return predictions


def _check_request(found: Sources, save: Sequence[str], out: Path, names: Mapping[Path, str]) -> None:
    """Refuse what cannot end well before the model is opened."""
    unknown = [name for name in save if name not in SAVES]
    if unknown:
        raise UsageError(f"--save {unknown[0]}: it is {', '.join(SAVES)}, or several of them")
    if not found.pictures:
        raise UsageError("; ".join(found.problems) or "there is nothing to look at: name pictures, folders or globs")
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: is a file: name a folder for the results")
    resolved = {path.resolve() for path in found.pictures}
    for name in names.values():
        if "pictures" in save and (out / name).resolve() in resolved:
            raise UsageError(f"{out}: the drawn picture would overwrite {out / name}: name another folder with --out")


def _names_of_drawn(pictures: Sequence[Path]) -> dict[Path, str]:
    """A file name for each picture: its own where it can be, as PNG where it is neither JPEG nor PNG."""
    names: dict[Path, str] = {}
    taken: set[str] = set()  # in lower case: some file systems see no difference
    for path in pictures:
        suffix = path.suffix if path.suffix.lower() in (*JPEG_SUFFIXES, ".png") else ".png"
        candidates = chain([path.stem], (f"{path.stem}-{number}" for number in count(2)))
        names[path] = next(stem + suffix for stem in candidates if (stem + suffix).lower() not in taken)
        taken.add(names[path].lower())
    return names


def _batches(pictures: Sequence[Path], size: int, progress: bool) -> Iterator[Sequence[Path]]:
    """Pictures that are held in memory together."""
    with progress_bar("predicting", shown=progress) as advance:
        for start in range(0, len(pictures), size):
            advance(start, len(pictures))
            yield pictures[start : start + size]


def _read(paths: Sequence[Path], problems: list[str]) -> dict[Path, Image.Image]:
    pictures = {}
    for path in paths:
        try:
            pictures[path] = read_picture(path)
        except DataError as error:
            problems.append(str(error))
    return pictures


def _write_picture(path: Path, picture: Image.Image) -> Path:
    make_folder(path.parent)
    with written_whole(path) as aside:
        if path.suffix.lower() in JPEG_SUFFIXES:
            picture.save(aside, format="JPEG", quality=JPEG_QUALITY)
        else:
            picture.save(aside, format="PNG")
    return path
