"""What there is to say of anchors for a data set's objects: for people, and as plain values."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from rich import box, console
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from torch import Tensor

from frcnn.config import Config
from frcnn.data.anchor_advice.shares import EASY, GOOD, Group, Unreached, bounds, reached
from frcnn.data.anchor_fit import AnchorFit
from frcnn.naming import visible

FINE = 0.9  # share of objects that an anchor reaches easily, from which what cannot be bettered is called good
FEW_OBJECTS = 100  # below, what fits them may not fit others
NAMED_CLASSES = 5  # in one line


class Trial(NamedTuple):
    """Some settings, and what they reach."""

    title: str
    config: Config
    fit: AnchorFit  # of all objects, as detection sees them
    together: Float[Tensor, "3"]  # the shares that reach each bound: the mean of what detection and training see
    pixels: float  # of the network's input, of all pictures together

    @property
    def reached(self) -> Float[Tensor, "2 3"]:
        """The shares in detection, and with training."""
        return torch.stack((reached(self.fit.overlaps, self.fit.config.rpn), self.together))

    def as_dict(self, now: "Trial") -> dict[str, Any]:
        """Plain values, ready for JSON."""
        anchors, rule = self.config.model.anchors, self.config.model.input
        names = [f"{bound:g}" for bound in bounds(self.config.model.rpn)]
        detection, together = ([round(share, 4) for share in shares] for shares in self.reached.tolist())
        return {
            "title": self.title,
            "short_side": rule.short_side,
            "long_side": rule.long_side,
            "relative_pixels": round(self.pixels / now.pixels, 3),
            "sizes": [list(of_level) for of_level in anchors.sizes],
            "ratios": list(anchors.ratios),
            "reached_in_detection": dict(zip(names, detection, strict=True)),
            "reached_with_training": dict(zip(names, together, strict=True)),
        }


class Suggestion(NamedTuple):
    """Settings that are better, and how to train with them."""

    trial: Trial
    settings: tuple[str, ...]  # what `--set` takes
    command: str


@dataclass(frozen=True)
class AnchorAdvice:
    """How well anchors fit a data set's objects, what else was tried, and what is better."""

    pictures: int
    skipped_boxes: int
    searched: int  # objects with which better anchors were sought; the shares in detection are of all
    trials: tuple[Trial, ...]  # what there is first
    suggestions: tuple[Suggestion, ...]  # each better than those before it, the last the best
    groups: tuple[Group, ...]  # of the objects, and what is reached of them now
    groups_as_advised: tuple[Group, ...]  # by the last suggestion
    unreached: tuple[Unreached, ...]

    @property
    def now(self) -> Trial:
        """What there is."""
        return self.trials[0]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON: shares are fractions, sizes square roots of areas in pixels."""
        return {
            "preset": self.now.config.preset,
            "pictures": self.pictures,
            "objects": len(self.now.fit),
            "skipped_boxes": self.skipped_boxes,
            "searched": self.searched,
            "groups": [
                group._asdict() | {"reached_as_advised": then.reached}
                for group, then in zip(self.groups, self.groups_as_advised, strict=True)
            ],
            "unreached": [found._asdict() for found in self.unreached],
            "trials": [trial.as_dict(self.now) for trial in self.trials],
            "suggestions": [
                {"title": each.trial.title, "settings": each.settings, "command": each.command}
                for each in self.suggestions
            ],
            "verdict": self.verdict(),
        }

    def to_tables(self) -> console.Group:
        """What is reached of which objects, and by which settings: for the console."""
        rule, some = self.now.config.model.input, self.searched < len(self.now.fit)
        title = (
            f"{self.now.config.preset}, short side {rule.short_side}, long side up to {rule.long_side}: "
            f"{self.pictures:,} pictures, {len(self.now.fit):,} objects"
            f"{f', bad boxes left out: {self.skipped_boxes}' if self.skipped_boxes else ''}"
            f"{f'; anchors were sought with {self.searched:,} of the objects' if some else ''}"
        )
        legend = (
            f"IoU: the objects, in %, whose best anchor reaches it{': now → as advised' if self.suggestions else ''}. "
            "Detection sees whole pictures at one size; with training: the mean of that and of what training draws.\n"
            "px: the median size (square root of the area) in the pictures, by which COCO tells small from large; "
            "seen px: in the network's input.\n"
            "pixels: of the network's input; time and memory of a training grow with them."
        )
        return console.Group(Text(title), self._objects_table(), self._trials_table(), Text(legend))

    def describe(self) -> Iterator[str]:
        """Lines below the tables; the last is the command that follows the advice, where there is any."""
        if self.unreached:
            yield self._unreached_in_a_line()
        yield self.verdict()
        for number, each in enumerate(self.suggestions, start=1):
            yield f"{number}. {self._gains_in_a_line(each.trial)}"
            yield each.command

    def verdict(self) -> str:
        """The advice in a line."""
        if self.suggestions:
            objects = len(self.now.fit)
            few = f" {objects} objects are few to judge by." if objects < FEW_OBJECTS else ""
            return f"Better settings were found (shares: of what detection and training see, taken together).{few}"
        preset, (_, easy, _) = self.now.config.preset, self.now.together.tolist()
        if easy >= FINE:
            return f"The anchors of {preset} suit these objects as they are: nothing that was tried is clearly better."
        return f"Nothing that was tried is clearly better: a preset with a finer grid than {preset} may be."

    def _gains_in_a_line(self, trial: Trial) -> str:
        (_, *now), (_, *then) = (each.together.tolist() for each in (self.now, trial))
        gains = (
            f"IoU {bound:g} with {_percent(after)} % of the objects (now {_percent(before)} %)"
            for bound, before, after in zip((EASY, GOOD), now, then, strict=True)
        )
        cost = trial.pixels / self.now.pixels
        slower = f"; training and detection take about {cost:.1f} times as long" if cost > 1 else ""
        return f"{trial.title}: {', '.join(gains)}{slower}."

    def _unreached_in_a_line(self) -> str:
        named = [
            f"{each.class_name} {each.unreached:,} of {each.objects:,} ({', '.join(each.pictures)})"
            for each in self.unreached[:NAMED_CLASSES]
        ]
        if others := sum(each.unreached for each in self.unreached[NAMED_CLASSES:]):
            named.append(f"{others:,} of other classes")
        count = sum(each.unreached for each in self.unreached)
        share = f"{count:,} of {len(self.now.fit):,} objects"
        names = visible("; ".join(named))
        return f"No anchor reaches IoU {self.now.config.model.rpn.negative_below:g} with {share}: {names}."

    def _objects_table(self) -> Table:
        names = ("objects", "px", "seen px", *(f"IoU {bound:g}" for bound in bounds(self.now.config.model.rpn)))
        table = _table(("best anchors of",), names)
        for group, then in zip(self.groups, self.groups_as_advised, strict=True):
            shares = [_percent(share) for share in group.reached]
            if self.suggestions:
                shares = [f"{one} → {_percent(other)}" for one, other in zip(shares, then.reached, strict=True)]
            sizes = (f"{group.size:.0f}", f"{group.size_seen:.0f}")
            table.add_row(Text(visible(group.name)), f"{group.objects:,}", *sizes, *shares)
        return table

    def _trials_table(self) -> Table:
        names = (
            "pixels",
            *(f"IoU {bound:g}" for bound in (EASY, GOOD)),
            *(f"with\ntraining {bound:g}" for bound in (EASY, GOOD)),
        )
        table = _table(("settings", "anchor sizes, level by level", "ratios"), names)
        for trial in self.trials:
            anchors = trial.config.model.anchors
            (_, *detection), (_, *together) = trial.reached.tolist()
            numbers = [f"{n}. " for n, each in enumerate(self.suggestions, start=1) if each.trial is trial]
            table.add_row(
                escape("".join([*numbers, trial.title])),
                escape(" ".join(map(written, dict.fromkeys(anchors.sizes)))),
                ", ".join(map(written, anchors.ratios)),
                f"x {trial.pixels / self.now.pixels:.2f}",
                *map(_percent, (*detection, *together)),
            )
        return table


def written(value: Any) -> str:
    """Numbers, and lists of them, as TOML has them: 32.0 as 32, no spaces."""
    return f"[{','.join(map(written, value))}]" if isinstance(value, tuple) else f"{value:.10g}"


def _table(texts: tuple[str, ...], numbers: tuple[str, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for name in texts:
        table.add_column(name)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
