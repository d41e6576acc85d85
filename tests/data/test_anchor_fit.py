"""What is said of a data set's objects and a configuration's anchors, before training."""

from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from frcnn.config import Config, ModelConfig, load_preset, override, override_sections
from frcnn.data.anchor_fit import AnchorFit, anchor_fit, fit_in_training
from frcnn.data.dataset import Dataset, Example, load_dataset, training_splits
from frcnn.model.best_overlaps import best_overlaps
from frcnn.model.level_grid import level_grids
from frcnn.ops.boxes import scale_boxes
from frcnn.structures import Target

PAPER, TINY = load_preset("vgg16").model, load_preset("tiny").model
INSIDE = override_sections(
    PAPER, {"input": {"short_side": 64, "long_side": 96}, "anchors": {"sizes": [(32,)], "ratios": (1,)}}
)  # anchors of 32 px inside a picture of 64 x 96 px: from 8 to 56 and from 8 to 88
ACROSS = override_sections(INSIDE, {"rpn": {"cross_border_anchors": True}})


def dataset_of(*examples: tuple[tuple[int, int], Target], names: tuple[str, ...] = ("bird", "cat")) -> Dataset:
    here = Path("nowhere")
    return Dataset(tuple(Example(here, here, size, target) for size, target in examples), names)


def target(*boxes: tuple[float, ...], class_ids: list[int] | None = None, ignored: list[bool] | None = None) -> Target:
    return Target(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(class_ids or [0] * len(boxes), dtype=torch.long),
        None if ignored is None else torch.tensor(ignored, dtype=torch.bool),
    )


def fit_of(overlaps: list[float], class_ids: list[int], side: float, config: ModelConfig, names=("bird", "cat")):
    boxes = torch.tensor([[0.0, 0, side, side]]).repeat(len(overlaps), 1)
    return AnchorFit(torch.tensor(overlaps), boxes, torch.tensor(class_ids), tuple(names), config)


class TestFit:
    def test_by_hand(self):
        """Half the size of what the network sees, so (4, 12, 20, 28) is the anchor (8, 24, 40, 56)."""
        objects = target((4, 12, 20, 28), (0, 0, 4, 4), (4, 12, 12, 28), class_ids=[1, 0, 1])
        fit = anchor_fit(dataset_of(((32, 48), objects)), INSIDE)
        assert fit.boxes.tolist() == [[8, 24, 40, 56], [0, 0, 8, 8], [8, 24, 24, 56]]
        assert_close(fit.overlaps, torch.tensor([1, 0, 0.5]))
        assert fit.unmatched.tolist() == [False, True, False]
        assert (len(fit), fit.share_reaching(0.5), fit.share_reaching(0.7)) == (3, 2 / 3, 1 / 3)
        assert fit.by_class(fit.overlaps < 2) == {"cat": 2, "bird": 1}
        assert fit.by_class(fit.unmatched) == {"bird": 1}

    def test_pictures_of_other_sizes(self):
        """By law: each object as if its picture were the only one; sides are rounded down, each has its own scale."""
        pictures = [
            ((333, 500), target((10, 20, 90, 300), (400, 200, 470, 320))),
            ((500, 111), target((5, 5, 100, 90))),
            ((40, 30), target()),
            ((241, 377), target((0, 0, 20, 20), (100, 40, 130, 200), (300, 100, 377, 241))),
        ]
        fit = anchor_fit(dataset_of(*pictures), TINY)
        seen = [(240, 360), (400, 88), (320, 240), (240, 375)]  # short side 240, long side at most 400
        scales = [(h / size[0], w / size[1]) for (h, w), (size, _) in zip(seen, pictures, strict=True)]
        boxes = [scale_boxes(t.boxes, scale) for (_, t), scale in zip(pictures, scales, strict=True)]
        grids = level_grids(TINY)
        wanted = [
            best_overlaps(b, torch.tensor([s]).expand(len(b), 2), grids, TINY) for b, s in zip(boxes, seen, strict=True)
        ]
        assert_close(fit.boxes, torch.cat(boxes))
        assert_close(fit.overlaps, torch.cat(wanted), rtol=0, atol=0)

    def test_ignored_objects_are_left_out(self):
        objects = target((0, 0, 4, 4), (4, 12, 20, 28), class_ids=[0, 1], ignored=[True, False])
        fit = anchor_fit(dataset_of(((32, 48), objects)), INSIDE)
        assert fit.class_ids.tolist() == [1]
        assert fit.overlaps.tolist() == [1]

    def test_no_pictures_and_no_objects(self):
        for dataset in (dataset_of(), dataset_of(((32, 48), target()))):
            fit = anchor_fit(dataset, INSIDE)
            assert (len(fit), fit.describe(), fit.share_reaching(0.7)) == (0, [], 1)

    def test_a_set_that_was_read(self, voc_set):
        """Row 2: boxes are half-open. The network sees 60 x 80 px four times as large."""
        fit = anchor_fit(load_dataset([voc_set], "trainval"), TINY)
        assert fit.class_names == ("cat", "dog")
        assert fit.boxes[0].tolist() == [40, 20, 160, 200]
        assert fit.describe() == []

    def test_blood_cells(self, shared):
        """By record: the paper's anchors are too large for platelets, those of the small network are not."""
        dataset, _ = training_splits([shared / "data" / "BCCD"], 0, 0, "skip")
        paper, small = (anchor_fit(dataset, load_preset(name).model) for name in ("vgg16", "mobilenet_v2_c4"))
        assert len(paper) == len(small) == 3941
        assert paper.by_class(paper.weak) == {"Platelets": 280, "WBC": 1}
        assert small.by_class(small.weak) == {"Platelets": 2}
        assert len(paper.describe()) == 1
        assert small.describe() == []


class TestFitInTraining:
    """At the sizes that training draws, which may be others than detection's."""

    OBJECTS = ((4, 12, 20, 28), (0, 0, 4, 4), (4, 4, 12, 12))

    def asked(self, *settings: str) -> Config:
        paper = load_preset("vgg16").model_copy(update={"model": INSIDE})
        return override(paper, list(settings))

    def dataset(self) -> Dataset:
        return dataset_of(((32, 48), target(*self.OBJECTS)))

    def test_without_scales_it_is_detection_s(self) -> None:
        now, wanted = fit_in_training(self.dataset(), self.asked()), anchor_fit(self.dataset(), INSIDE)
        assert torch.equal(now.overlaps, wanted.overlaps)
        assert torch.equal(now.boxes, wanted.boxes)
        assert now.describe() == wanted.describe()

    def test_each_object_counts_at_the_scale_that_suits_it_best(self) -> None:
        """By hand. Anchors of 32 px begin at 8: twice as large the first object is one of them, four times the last.

        The second ends at 8 where it is seen twice as large, and at 16 where four times.
        """
        fit = fit_in_training(self.dataset(), self.asked("data.scales=[64, 128]"))
        alone = [fit_in_training(self.dataset(), self.asked(f"data.scales=[{side}]")) for side in (64, 128)]
        assert [each.unmatched.tolist() for each in alone] == [[False, True, False], [False, False, False]]
        assert not fit.unmatched.any()
        assert torch.equal(fit.overlaps, alone[0].overlaps.maximum(alone[1].overlaps))
        assert fit.boxes.tolist() == [[8, 24, 40, 56], [0, 0, 16, 16], [16, 16, 48, 48]]
        assert fit.scales == (64, 128)

    def test_what_is_counted_is_said(self) -> None:
        """Not at short_side, which training does not draw; and windows show what whole pictures do not."""
        config = self.asked("data.scales=[60, 64]", "model.input.short_side=128", "model.input.long_side=192")
        told = "no anchor that trains overlaps 1 of 3 objects"
        (line, *_) = fit_in_training(self.dataset(), config).describe()
        assert line.startswith(
            f"{told} at any of the short sides 60, 64, so the RPN cannot learn to propose them (bird"
        )
        (line, *_) = fit_in_training(self.dataset(), self.asked("data.crop=0.5")).describe()
        assert line.startswith(
            f"{told} in whole pictures, so the RPN can learn to propose them only from the windows of data.crop (bird"
        )

    def test_sizes_are_advised_where_they_are_set(self) -> None:
        wide = self.asked("data.scales=[60, 64]", "model.anchors.sizes=[[64]]", "model.rpn.cross_border_anchors=true")
        (line,) = fit_in_training(dataset_of(((64, 96), target(*[(16, 16, 20, 20)] * 9))), wide).describe()
        assert line.endswith(
            "model.anchors.sizes begin at 64; smaller ones or larger data.scales would fit them better"
        )
        assert "or more at any of the short sides 60, 64, so only the nearest" in line

    @pytest.mark.parametrize("scales", ["[]", "[64, 80]"])
    def test_no_objects(self, scales: str) -> None:
        fit = fit_in_training(dataset_of(((32, 48), target())), self.asked(f"data.scales={scales}"))
        assert (len(fit), fit.describe()) == (0, [])


class TestDescribe:
    def test_objects_that_no_anchor_overlaps(self):
        objects = target((0, 0, 4, 4), (44, 28, 48, 32), (4, 12, 20, 28), (0, 0, 3, 3), class_ids=[1, 1, 1, 0])
        dataset = dataset_of(((32, 48), objects))
        assert anchor_fit(dataset, INSIDE).describe() == [
            "no anchor that trains overlaps 3 of 4 objects, so the RPN cannot learn to propose them (cat 2 of 3, "
            "bird 1 of 1): smaller model.anchors.sizes or model.rpn.cross_border_anchors=true would bring anchors to "
            "the border"
        ]

    def test_the_advice_helps(self):
        """Each setting by itself."""
        dataset = dataset_of(((32, 48), target((0, 0, 4, 4), (44, 28, 48, 32))))
        assert anchor_fit(dataset, INSIDE).unmatched.all()
        smaller = override_sections(INSIDE, {"anchors": {"sizes": [(16,)]}})
        assert not anchor_fit(dataset, ACROSS).unmatched.any()
        assert not anchor_fit(dataset, smaller).unmatched.any()

    def test_gaps_between_anchors(self):
        """Anchors of 4 px every 16: 6 to 10, 22 to 26, ..."""
        gaps = override_sections(ACROSS, {"anchors": {"sizes": [(4,)]}})
        dataset = dataset_of(((64, 96), target((12, 12, 18, 18))))
        (line,) = anchor_fit(dataset, gaps).describe()
        assert line.partition("): ")[2].startswith("larger model.anchors.sizes or larger model.input.short_side would")
        larger = override_sections(gaps, {"anchors": {"sizes": [(16,)]}})
        assert not anchor_fit(dataset, larger).unmatched.any()

    @pytest.mark.parametrize(
        ("side", "advice"),
        [
            (
                12,
                "half of them are below 12 px in the network's input, and model.anchors.sizes begin at 128; smaller "
                "ones or larger model.input.short_side would fit them better",
            ),
            (
                800,
                "half of them are above 800 px in the network's input, and model.anchors.sizes end at 512; larger "
                "ones or smaller model.input.short_side would fit them better",
            ),
            (
                300,
                "more model.anchors.sizes or other model.anchors.ratios, or model.rpn.cross_border_anchors=true, "
                "would fit them better",
            ),
        ],
    )
    def test_weakly_overlapped_objects(self, side, advice):
        """Below 0.3; one at 0.3 is not."""
        fit = fit_of([0.1, 0.29, 0.3, 0.9] * 400, [0, 1, 1, 0] * 400, side, PAPER)
        assert fit.describe() == [
            "no anchor overlaps 800 of 1,600 objects by 0.3 or more, so only the nearest answers for each "
            f"(bird 400 of 800, cat 400 of 800): {advice}"
        ]

    def test_the_threshold_is_the_configuration_s(self):
        config = override_sections(PAPER, {"rpn": {"negative_below": 0.45}})
        assert fit_of([0.4, 0.5], [0, 1], 20, config).weak.tolist() == [True, False]
        assert fit_of([0.4, 0.5], [0, 1], 20, PAPER).weak.tolist() == [False, False]

    def test_a_few_weakly_overlapped_objects_are_no_matter(self):
        assert fit_of([0.2] * 4 + [0.8] * 96, [0] * 100, 20, PAPER).describe() == []
        assert len(fit_of([0.2] * 5 + [0.8] * 95, [0] * 100, 20, PAPER).describe()) == 1

    def test_most_of_a_rare_class_is(self):
        (line,) = fit_of([0.2] * 2 + [0.8] * 98, [1] * 3 + [0] * 97, 20, PAPER).describe()
        assert "2 of 100 objects" in line
        assert "(cat 2 of 3)" in line
        assert fit_of([0.2] * 2 + [0.8] * 98, [1] * 4 + [0] * 96, 20, PAPER).describe() == []

    def test_many_classes_are_one_line(self):
        """Most first, equal ones in the order of the classes."""
        ids = [0, 1, 1, 2, 3, 3, 3, 4, 5, 6]
        (line,) = fit_of([0.0] * 10, ids, 20, PAPER, names="abcdefgh").describe()
        assert "(d 3 of 3, b 2 of 2, a 1 of 1, c 1 of 1, e 1 of 1, 2 of other classes)" in line

    def test_unmatched_objects_are_not_counted_twice(self):
        unmatched, weak = fit_of([0.0, 0.2, 0.6], [0, 0, 0], 20, PAPER).describe()
        assert "overlaps 1 of 3 objects" in unmatched
        assert "overlaps 1 of 3 objects" in weak
