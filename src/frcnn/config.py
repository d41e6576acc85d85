"""Every setting, its type and its range; TOML in and out. An unknown key or a bad value is an error that names it."""

import difflib
import json
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from frcnn.errors import ConfigError

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]  # of what an index of 32 bits tells apart
Triple = tuple[float, float, float]
Quadruple = tuple[float, float, float, float]


class Section(BaseModel):
    """A part of the configuration: no unknown keys, no infinities, never changed after it is made."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


SectionType = TypeVar("SectionType", bound=Section)


class InputConfig(Section):
    """From a picture to what the network sees."""

    resize: Literal["short_side", "square"] = "short_side"  # square: stretched to short_side x short_side
    short_side: Count
    long_side: Count  # a bound on the long side; has no effect on "square"
    mean: Triple
    std: tuple[Positive, Positive, Positive]
    pixel_scale: Positive = 1.0  # multiplies pixels in [0, 1] before mean and std: 255 for caffe's weights
    channel_order: Literal["rgb", "bgr"] = "rgb"
    antialias: bool = False
    padding: Literal["exact", "torchvision"]


class BackboneConfig(Section):
    """From the network's input to feature maps."""

    body: Literal["vgg16", "zf", "resnet18", "resnet50", "resnet101", "mobilenet_v2", "mobilenet_v3_large", "tiny"]
    taps: Annotated[tuple[Annotated[int, Field(ge=0, le=5)], ...], Field(min_length=1)]  # stages whose output is used
    neck: Literal["none", "fpn"]
    neck_channels: Count = 256
    neck_norm: Literal["none", "batch", "group"] = "none"  # after each convolution of the FPN; batch: live
    frozen_stages: Annotated[int, Field(ge=0, le=6)]  # how many stages, counted from the input, do not train
    batch_norm: Literal["none", "frozen", "folded", "live"]  # folded: frozen, as part of the convolutions: faster
    batch_norm_eps: NotNegative = 1e-5
    stride_padding: Literal["symmetric", "bottom_right"] = "symmetric"  # of 3x3 convolutions with stride 2

    @model_validator(mode="after")
    def _taps_go_from_fine_to_coarse(self) -> "BackboneConfig":
        if list(self.taps) != sorted(set(self.taps)):
            raise ValueError("taps must rise, each stage once")
        return self


class AnchorConfig(Section):
    """The grid of guesses: sizes are sqrt(area) in network pixels, one tuple a level; ratios are height / width."""

    sizes: Annotated[tuple[tuple[Positive, ...], ...], Field(min_length=1)]
    ratios: Annotated[tuple[Positive, ...], Field(min_length=1)]
    rounding: Literal["none", "torchvision", "py-faster-rcnn"]
    centred: bool  # at the cells' centres (the paper) or at their corners (torchvision)
    stride: Literal["nominal", "measured"]  # measured: padded input size // map size, per axis (torchvision)


class RPNConfig(Section):
    """Region proposal network and proposal layer."""

    convolutions: Count = 1
    classifier: Literal["softmax", "sigmoid"]
    cross_border_anchors: bool  # are anchors that leave the picture trained on?
    anchors_over_padding: bool  # are anchors that reach into a batch's padding trained on? (torchvision)
    positive_above: Fraction = 0.7
    negative_below: Fraction = 0.3
    samples_per_image: Count = 256
    positive_fraction: Fraction = 0.5
    box_beta: Positive = 1 / 9
    box_weight: NotNegative = 1.0  # the paper's lambda
    box_normaliser: Literal["sampled", "locations"] = "sampled"  # locations: cells of the grid (the paper's 2400)
    before_nms_train: Count  # per pyramid level
    after_nms_train: Count  # per picture
    before_nms_test: Count
    after_nms_test: Count
    nms_threshold: Fraction = 0.7
    min_size: NotNegative
    min_size_scaled: bool  # is min_size in original pixels (times the image scale) or in network pixels?
    score_threshold: Fraction = 0.0


class HeadConfig(Section):
    """RoI pooling and the Fast R-CNN head."""

    pooling: Literal["roi_pool", "roi_align"]
    pool_size: Count
    aligned: bool = True
    samples: Annotated[int, Field(ge=0)] = 2  # per bin and axis; 0: adaptive
    canonical_size: Positive = 224.0  # network pixels of the box that the level of stride 16 reads
    layers: Literal["two_fc", "convolutions_fc", "res5"]
    hidden: Count = 1024
    convolutions: Annotated[int, Field(ge=0)] = 0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    foreground_above: Fraction = 0.5
    background_above: Fraction = 0.0  # background IoU is [background_above, background_below)
    background_below: Fraction = 0.5
    samples_per_image: Count
    foreground_fraction: Fraction = 0.25
    add_ground_truth: bool = True
    delta_mean: Quadruple = (0.0, 0.0, 0.0, 0.0)
    delta_std: tuple[Positive, Positive, Positive, Positive] = (0.1, 0.1, 0.2, 0.2)
    box_beta: Positive
    score_threshold: Fraction = 0.05
    nms_threshold: Fraction
    max_detections: Count = 100
    min_size: NotNegative = 0.0

    @model_validator(mode="after")
    def _background_lies_below_foreground(self) -> "HeadConfig":
        if not self.background_above <= self.background_below <= self.foreground_above:
            raise ValueError("background_above <= background_below <= foreground_above must hold")
        return self


class ModelConfig(Section):
    """What a model file needs to say about its network, room by room."""

    input: InputConfig
    backbone: BackboneConfig
    anchors: AnchorConfig
    rpn: RPNConfig
    head: HeadConfig


class DataConfig(Section):
    """Which pictures are trained on, and how they are handed over."""

    validation: Annotated[float, Field(ge=0, lt=1)] = 0.1  # share of trainval held out where there is no val
    flip: Fraction = 0.5  # probability of a horizontal flip
    crop: Fraction = 0.0  # probability of a window that holds an object
    light: Fraction = 0.0  # probability of other brightness, contrast, saturation and hue
    bad_boxes: Literal["refuse", "skip"] = "refuse"
    ignore_regions: bool = False  # no negatives on difficult and crowd objects
    group_by_aspect: bool = True  # wide pictures with wide ones, tall with tall
    scales: tuple[Annotated[int, Field(ge=16, le=4096)], ...] = ()  # short sides, one drawn a step
    pad_to_multiple: Annotated[int, Field(ge=1, le=256)] = 1  # of a batch's sides: fewer sizes are faster in training
    reduce_large: bool = True  # decode pictures of twice the network's size and more at a half, a quarter or an eighth
    workers: Annotated[int, Field(ge=0)] = 2


class TrainConfig(Section):
    """Where training starts, the solver and its schedule."""

    schedule: Literal["joint", "exact", "alternating"] = "joint"  # Sec. 3.2: ii (proposals are given), iii, i
    backbone: Annotated[str, Field(min_length=1)] = "imagenet"  # or none (random weights), or a file of weights
    weights: Annotated[str, Field(min_length=1)] | None = None  # a detector that is continued, instead of a backbone
    epochs: Count  # alternating: of each of its four steps
    step_epochs: tuple[Count, Count, Count, Count] | None = None  # alternating: each step its own number
    steps: Count | None = None  # instead of epochs, where given; alternating: of each of its four steps
    proposals_per_image: Annotated[int, Field(ge=1, le=100_000)] = 2000  # alternating: written down for the next step
    batch_size: Count  # pictures of one step, over all processes
    accumulate: Count = 1  # pieces into which a batch is cut, one computed after another: less memory
    lr: Positive
    lr_scaling: Literal["none", "linear"] = "none"  # linear: lr is for 16 pictures, times batch / 16
    optimizer: Literal["sgd", "adamw"] = "sgd"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9  # AdamW's first beta
    weight_decay: NotNegative
    bias_lr_factor: NotNegative = 1.0
    backbone_lr_factor: NotNegative = 1.0  # pretrained layers may want smaller steps than new ones
    stage_lr_factor: Annotated[float, Field(gt=0, le=1)] = 1.0  # each stage of the body, beside the one above it
    bias_weight_decay: bool = True
    warmup_steps: Annotated[int, Field(ge=0)]
    warmup_factor: Fraction = 0.001
    decay: Literal["steps", "cosine"] = "steps"  # how the rate falls: at milestones, or along half a cosine to 0
    milestones: tuple[Fraction, ...]  # shares of the whole training at which the rate is multiplied by gamma
    gamma: Positive = 0.1
    clip_gradient: NotNegative = 0.0  # largest norm of the whole gradient; 0: none
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0  # of the average of the weights that is kept; 0: none
    patience: Annotated[int, Field(ge=0)] = 0  # epochs without a better validation AP that end it early; 0: never
    precision: Literal["float32", "bfloat16", "float64"] = "float32"  # float64: to compare with, slow
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    log_every: Count = 10
    checkpoint_every: Count = 500  # steps
    trackers: tuple[Literal["wandb", "mlflow"], ...] = ()  # beside metrics.jsonl and TensorBoard


class Config(Section):
    """One training, complete: what `config.toml` in a run holds."""

    preset: str
    summary: str = ""  # one line for people
    model: ModelConfig
    data: DataConfig = DataConfig()
    train: TrainConfig

    @model_validator(mode="after")
    def _exact_needs_a_derivative(self) -> "Config":
        if self.train.schedule == "exact" and self.model.head.pooling == "roi_pool":
            raise ValueError(
                "train.schedule = exact needs model.head.pooling = roi_align, as RoIPool rounds boxes to cells and has "
                "no derivative for them: set that, or name a preset that has it"
            )
        return self

    @model_validator(mode="after")
    def _settings_have_an_effect(self) -> "Config":
        train = self.train
        if train.step_epochs is not None and (train.schedule != "alternating" or train.steps is not None):
            raise ValueError("train.step_epochs needs train.schedule = alternating, and no train.steps")
        if train.accumulate > train.batch_size:
            raise ValueError(f"train.accumulate = {train.accumulate} pieces of {train.batch_size} pictures: lower it")
        return self

    @model_validator(mode="after")
    def _patience_needs_a_validation(self) -> "Config":
        if self.train.patience > 0 and self.data.validation == 0:
            raise ValueError("train.patience waits for a better validation AP: it needs data.validation above 0")
        return self


def preset_names() -> tuple[str, ...]:
    """The names `frcnn train` and `frcnn.build` take."""
    folder = resources.files("frcnn") / "presets"
    return tuple(sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml")))


def load_preset(name: str) -> Config:
    """The complete configuration of a preset. Raises ConfigError, with the nearest name, if there is none."""
    if name not in preset_names():
        raise ConfigError(f"preset {name!r} does not exist{_nearest(name, preset_names())}: see `frcnn presets`")
    text = (resources.files("frcnn") / "presets" / f"{name}.toml").read_text(encoding="utf-8")
    return parse_config(tomllib.loads(text), source=f"preset {name}")


def load_config(path: Path) -> Config:
    """A configuration file, such as a run's config.toml. Raises ConfigError naming the file and the key."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as TOML ({error})") from error
    return parse_config(values, source=str(path))


def parse_config(values: Mapping[str, Any], source: str) -> Config:
    """Check `values`; `source` names them in the error."""
    return _validated(Config, values, source)


def parse_model_config(values: Mapping[str, Any], source: str) -> ModelConfig:
    """Check the model's part alone, as a model file holds it; `source` names it in the error."""
    return _validated(ModelConfig, values, source)


def override(config: Config, assignments: Sequence[str]) -> Config:
    """The configuration with `section.key=value` assignments applied, each value written as in TOML.

    A bare word counts as a string. Raises ConfigError naming the key and the nearest right one.
    """
    values = config.model_dump()
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--set {assignment}: write it as section.key=value")
        if "." not in key:
            raise ConfigError(f"--set {key}: write it as section.key=value; the preset is named first of all")
        *sections, last = key.strip().split(".")
        place: Any = values
        for section in sections:
            place = place.get(section) if isinstance(place, dict) else None
        if not isinstance(place, dict) or last not in place:
            raise ConfigError(f"--set {key}: no such key{_nearest(key, list(_by_key(config.model_dump())))}")
        place[last] = _toml_value(text.strip())
    return _validated(Config, values, "--set", together=f"preset {config.preset} with these settings")


def override_sections(config: ModelConfig, sections: Mapping[str, Mapping[str, Any]]) -> ModelConfig:
    """The model configuration with some keys of some sections replaced. Raises ConfigError."""
    values = config.model_dump()
    for name, changes in sections.items():
        if name not in values:
            raise ConfigError(f"model.{name}: no such section{_nearest(name, list(values))}")
        values[name] = values[name] | dict(changes)
    return parse_model_config(values, source="model")


def to_toml(config: Config) -> str:
    """The configuration as TOML, every setting with its value."""
    return tomli_w.dumps(config.model_dump(mode="json", exclude_none=True))


def from_toml(text: str, source: str) -> Config:
    """What `to_toml` has written; `source` names it in the error. Raises ConfigError."""
    return parse_config(tomllib.loads(text), source)


def changed_settings(before: Config, now: Config) -> dict[str, str]:
    """What is said otherwise: "old -> new" by key, in the order of the keys."""
    old, new = (_by_key(config.model_dump(mode="json")) for config in (before, now))
    return {key: f"{value} -> {new[key]}" for key, value in old.items() if new[key] != value}


def _validated(
    kind: type[SectionType], values: Mapping[str, Any], source: str, together: str | None = None
) -> SectionType:
    """`source` names what a wrong value came from; `together`, settings that are right alone and clash."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = _first_fault(error)
        raise ConfigError(f"{source if first['loc'] else together or source}: {_explain(first, kind)}") from error


def _first_fault(error: ValidationError) -> ErrorDetails:
    """A key that does not exist before one that is missing: it may be the same."""
    return min(error.errors(include_url=False), key=lambda found: found["type"] != "extra_forbidden")


def _explain(first: ErrorDetails, kind: type[Section]) -> str:
    """What is wrong, in one line."""
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{key}: no such key{_nearest(key, _field_names(kind))}"
    if first["type"] == "missing":
        whole, _, place = key.rpartition(".")
        return f"{whole}: lacks values: there are only {place}" if place.isdigit() else f"{key}: is missing"
    if first["type"] == "tuple_type":
        return f"{key} = {first['input']!r}: must be a list, such as [{json.dumps(first['input'], default=str)}]"
    message = first["msg"].removeprefix("Value error, ").replace(" after validation", "")
    message = message.replace("Input should be", "must be").replace("Tuple should have", "must have")
    return f"{key or 'model'} = {first['input']!r}: {message}" if key else message


def _field_names(kind: type[BaseModel], prefix: str = "") -> list[str]:
    names: list[str] = []
    for name, field in kind.model_fields.items():
        names.append(prefix + name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            names += _field_names(field.annotation, f"{prefix}{name}.")
    return names


def _by_key(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every value by the whole name of its key, such as train.lr."""
    named: dict[str, Any] = {}
    for name, value in values.items():
        named |= _by_key(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return named


def _nearest(name: str, names: Sequence[str]) -> str:
    """A ", did you mean X?" where some name is near: short for it, spelt like it, or in another section."""
    last_word = name.rpartition(".")[2]
    initials = "".join(word[:1] for word in last_word.split("_"))  # learning_rate: lr
    short = [other for other in names if other.rpartition(".")[2] == initials and initials != last_word]
    elsewhere = [other for other in names if other.rpartition(".")[2] == last_word]
    near = short or difflib.get_close_matches(name, elsewhere, n=1, cutoff=0)
    near = near or difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f", did you mean {near[0]}?" if near else ""


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
