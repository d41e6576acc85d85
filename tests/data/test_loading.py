"""Batches: in which order, mirrored or not, with which objects; the same however many processes load them."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from frcnn.config import InputConfig
from frcnn.data import loading
from frcnn.data.dataset import Dataset, load_dataset
from frcnn.data.loading import Batch, batches, evaluation_batches, steps
from frcnn.data.loading_processes import PREFETCH
from frcnn.data.order import Chances, Part, Share, is_flipped, number_of_batches, reduction, rule_of_step
from frcnn.data.pictures import ORIENTATION, read_picture, read_reduced_picture, to_tensor
from frcnn.errors import DataError, LoadingError
from frcnn.model.preprocess import network_size
from frcnn.ops.boxes import flip_horizontally, resize_boxes

WIDE, TALL = (24, 32), (32, 24)
NAMES = "abcdefghijk"
Epoch = Callable[..., list[Batch]]


@pytest.fixture
def dataset(make_voc) -> Dataset:
    """Eleven pictures, four of them tall; `a` has a difficult object, `b` has none."""
    pictures: dict = {name: [("cat", (2 + i, 3, 12 + i, 15))] for i, name in enumerate(NAMES)}
    pictures["a"] = [("dog", (1, 1, 9, 9)), ("cat", (5, 6, 20, 22), True)]
    pictures["b"] = []
    sizes = {name: TALL if name in "cfgj" else WIDE for name in NAMES}
    return load_dataset([make_voc(pictures, {"train": list(NAMES)}, size=sizes)], "train")


@pytest.fixture
def epoch(dataset) -> Epoch:
    """All batches of an epoch; what is not said is plain: pairs, no flips, no groups, no processes."""

    def load(batch_size: int = 2, **options) -> list[Batch]:
        plain = {"seed": 0, "epoch": 0, "flip": 0.0, "group_by_aspect": False, "workers": 0, "ignore_regions": False}
        return list(batches(dataset, batch_size, **(plain | options)))

    return load


def stems(loaded: list[Batch]) -> list[str]:
    return ["".join(path.stem for path in batch.pictures) for batch in loaded]


def by_name(loaded: list[Batch]) -> dict[str, torch.Tensor]:
    return {path.stem: i for batch in loaded for path, i in zip(batch.pictures, batch.images, strict=True)}


def assert_same(one: list[Batch], other: list[Batch]) -> None:
    assert [batch.pictures for batch in one] == [batch.pictures for batch in other]
    for a, b in zip(one, other, strict=True):
        assert all(map(torch.equal, a.images, b.images))
        for target, expected in zip(a.targets, b.targets, strict=True):
            assert torch.equal(target.boxes, expected.boxes)
            assert torch.equal(target.class_ids, expected.class_ids)


class TestOrder:
    @pytest.mark.parametrize("group_by_aspect", [False, True])
    @pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 11, 100])
    def test_each_picture_comes_once_an_epoch(self, dataset, epoch, batch_size, group_by_aspect):
        for number in range(3):
            loaded = epoch(batch_size, epoch=number, group_by_aspect=group_by_aspect)
            assert sorted("".join(stems(loaded))) == list(NAMES)
            assert all(1 <= len(batch.images) <= batch_size for batch in loaded)
            assert len(loaded) == number_of_batches(dataset, batch_size, group_by_aspect)

    @pytest.mark.parametrize(
        ("batch_size", "together", "grouped"), [(1, 11, 11), (2, 6, 6), (3, 4, 5), (4, 3, 3), (11, 1, 2)]
    )
    def test_number_of_batches_by_hand(self, dataset, batch_size, together, grouped):
        """Eleven pictures; or seven wide and four tall ones."""
        assert number_of_batches(dataset, batch_size) == together
        assert number_of_batches(dataset, batch_size, group_by_aspect=True) == grouped

    def test_seed_and_epoch_decide(self, epoch):
        """Row 31: the same for the same seed; another order for another epoch."""
        assert stems(epoch(seed=5, epoch=2)) == stems(epoch(seed=5, epoch=2))
        orders = {tuple(stems(epoch(seed=seed, epoch=number))) for seed in range(3) for number in range(3)}
        assert len(orders) == 9

    def test_nothing_else_decides(self, epoch):
        """Row 31: neither torch's generator nor Python's is asked, or disturbed."""
        expected = epoch(flip=0.5)
        torch.manual_seed(99)
        state = torch.get_rng_state()
        assert_same(epoch(flip=0.5), expected)
        assert torch.equal(torch.get_rng_state(), state)

    @pytest.mark.parametrize("workers", [1, 3])
    def test_workers_change_nothing(self, epoch, workers):
        """Row 31: the batches do not depend on how many processes load them, nor does torch's generator."""
        torch.manual_seed(7)
        state = torch.get_rng_state()
        assert_same(epoch(flip=0.5, group_by_aspect=True, workers=workers), epoch(flip=0.5, group_by_aspect=True))
        assert torch.equal(torch.get_rng_state(), state)

    def test_groups_do_not_mix(self, epoch):
        """Rows 24 and 32: a batch is padded to its largest sides."""
        loaded = epoch(3, group_by_aspect=True)
        shapes = [{tuple(image.shape[1:]) for image in batch.images} for batch in loaded]
        assert Counter(map(frozenset, shapes)) == {frozenset({WIDE}): 3, frozenset({TALL}): 2}

    def test_groups_alternate_by_chance(self, epoch):
        """Not all wide pictures first, which would train on them first in every epoch."""
        firsts = {epoch(group_by_aspect=True, epoch=number)[0].images[0].shape[1:] for number in range(12)}
        assert firsts == {WIDE, TALL}

    @pytest.mark.parametrize("workers", [0, 2])
    @pytest.mark.parametrize("skip", [1, 4, 6, 99])
    def test_skip_continues_an_epoch(self, epoch, skip, workers):
        """What training resumes with: the same rest, mirrored alike."""
        options = {"flip": 0.5, "group_by_aspect": True, "seed": 3, "epoch": 1}
        assert_same(epoch(skip=skip, workers=workers, **options), epoch(**options)[skip:])

    def test_what_is_skipped_is_not_loaded(self, epoch):
        first = epoch()[0].pictures
        for path in first:
            path.unlink()
        assert stems(epoch(skip=1)) == stems(epoch(skip=1, workers=1))
        with pytest.raises(DataError, match="no such picture"):
            epoch()


class TestFlips:
    def test_pixels_and_boxes_are_mirrored_together(self, dataset, epoch):
        """Row 4: x' = W - x, corners swapped; the pixels' columns in reverse."""
        examples = {example.picture: example for example in dataset.examples}
        for batch in epoch(3, flip=1.0):
            for image, target, path in zip(batch.images, batch.targets, batch.pictures, strict=True):
                example = examples[path]
                pixels = to_tensor(read_picture(path))
                assert torch.equal(image, pixels.flip(2))
                assert torch.equal(target.boxes, flip_horizontally(example.target.learnt().boxes, pixels.shape[2]))

    def test_by_hand(self, epoch):
        """Row 4: in a picture 32 wide, (0, 0, 9, 9) becomes (23, 0, 32, 9)."""
        targets = {path.stem: t for b in epoch(flip=1.0) for path, t in zip(b.pictures, b.targets, strict=True)}
        assert targets["a"].boxes.tolist() == [[23, 0, 32, 9]]
        assert targets["b"].boxes.shape == (0, 4)

    def test_what_lies_in_a_box_stays_in_it(self, epoch):
        """By law: the pixels within a mirrored box are the box's own, mirrored."""
        plain, mirrored = ({}, {})
        for found, flip in ((plain, 0.0), (mirrored, 1.0)):
            for batch in epoch(flip=flip):
                for image, target, path in zip(batch.images, batch.targets, batch.pictures, strict=True):
                    for box in target.boxes.int().tolist():
                        found[path.stem] = image[:, box[1] : box[3], box[0] : box[2]]
        assert plain.keys() == mirrored.keys() == set(NAMES) - {"b"}
        for name, patch in plain.items():
            assert torch.equal(mirrored[name], patch.flip(2))

    def test_never(self, epoch):
        for batch in epoch(flip=0.0):
            for image, path in zip(batch.images, batch.pictures, strict=True):
                assert torch.equal(image, to_tensor(read_picture(path)))

    def test_half_of_the_time(self):
        flips = [is_flipped(number, 0, epoch, 0.5) for number in range(50) for epoch in range(40)]
        assert 0.45 < sum(flips) / len(flips) < 0.55

    def test_every_epoch_anew_for_each_picture(self, epoch):
        def mirrored(number: int) -> tuple[bool, ...]:
            images = {
                p.stem: i for b in epoch(flip=0.5, epoch=number) for p, i in zip(b.pictures, b.images, strict=True)
            }
            plain = {p.stem: i for b in epoch(epoch=number) for p, i in zip(b.pictures, b.images, strict=True)}
            return tuple(not torch.equal(images[name], plain[name]) for name in NAMES)

        assert len({mirrored(number) for number in range(4)}) == 4

    def test_neither_batch_size_nor_groups_change_them(self, epoch):
        """A picture's flip is of (seed, epoch, picture): the same in any batch."""

        one, other = by_name(epoch(2, flip=0.5)), by_name(epoch(5, flip=0.5, group_by_aspect=True))
        assert all(torch.equal(one[name], other[name]) for name in NAMES)

    def test_the_data_set_is_left_as_it_is(self, dataset, epoch):
        before = [example.target.boxes.clone() for example in dataset.examples]
        epoch(flip=1.0, ignore_regions=True)
        assert_close([example.target.boxes for example in dataset.examples], before, rtol=0, atol=0)


class TestTargets:
    def test_difficult_objects_are_not_learnt(self, epoch):
        """Row 23: they are left out of training, and what lies on them is background."""
        targets = {p.stem: t for b in epoch() for p, t in zip(b.pictures, b.targets, strict=True)}
        assert targets["a"].boxes.tolist() == [[0, 0, 9, 9]]
        assert targets["a"].ignored is None

    @pytest.mark.parametrize("flip", [0.0, 1.0])
    def test_difficult_objects_are_regions_to_ignore_on_request(self, epoch, flip):
        """Row 23: data.ignore_regions hands them over, marked, and mirrored with the picture."""
        targets = {
            p.stem: t for b in epoch(ignore_regions=True, flip=flip) for p, t in zip(b.pictures, b.targets, strict=True)
        }
        assert targets["a"].ignored.tolist() == [False, True]
        assert targets["a"].ignored_boxes().tolist() == ([[12, 5, 28, 22]] if flip else [[4, 5, 20, 22]])

    def test_pictures_without_objects_are_trained_on(self, epoch):
        """Row 30: all of them background."""
        assert "b" in "".join(stems(epoch()))

    def test_pixels(self, epoch):
        for batch in epoch():
            for image in batch.images:
                assert image.dtype == torch.float32
                assert 0 <= image.min() < image.max() <= 1


class TestEvaluation:
    @pytest.mark.parametrize("workers", [0, 2])
    def test_in_order_as_it_is_with_everything(self, dataset, workers):
        """Row 23: the difficult objects are there, marked: what matches them is not counted."""
        loaded = list(evaluation_batches(dataset, 4, workers))
        assert stems(loaded) == ["abcd", "efgh", "ijk"]
        images = [image for batch in loaded for image in batch.images]
        targets = [target for batch in loaded for target in batch.targets]
        for example, image, target in zip(dataset.examples, images, targets, strict=True):
            assert torch.equal(image, to_tensor(read_picture(example.picture)))
            assert torch.equal(target.boxes, example.target.boxes)
            assert torch.equal(target.ignored, example.target.ignored)

    @pytest.mark.parametrize("workers", [0, 2])
    def test_nothing(self, dataset, workers):
        assert list(evaluation_batches(Dataset((), dataset.class_names), 2, workers)) == []


def rule(**settings) -> InputConfig:
    """Half of what the pictures of these tests measure: a short side of 12, at most 100 long."""
    plain = {"short_side": 12, "long_side": 100, "mean": (0, 0, 0), "std": (1, 1, 1), "padding": "exact"}
    return InputConfig(**(plain | settings))


def targets_by_name(loaded: list[Batch]) -> dict:
    return {path.stem: t for batch in loaded for path, t in zip(batch.pictures, batch.targets, strict=True)}


class TestReduction:
    @pytest.mark.parametrize(
        ("size", "settings", "expected"),
        [
            ((24, 32), {}, 2),  # seen at 12 x 16
            ((23, 32), {}, 1),
            ((24, 31), {}, 2),  # at 12 x 15: the network rounds down
            ((32, 24), {}, 2),
            ((46, 64), {}, 2),
            ((48, 64), {}, 4),
            ((95, 127), {}, 4),
            ((96, 128), {}, 8),
            ((3000, 4000), {}, 8),  # never by more
            ((12, 16), {}, 1),
            ((5, 6), {}, 1),  # made larger
            ((40, 400), {"long_side": 100}, 4),  # at 10 x 100: the long side decides
            ((40, 399), {"long_side": 100}, 2),
            ((24, 100), {"resize": "square"}, 2),  # at 12 x 12
            ((100, 23), {"resize": "square"}, 1),
            ((3024, 4032), {"short_side": 320, "long_side": 640}, 8),  # twelve megapixels, at 320 x 426
            ((3024, 4032), {"short_side": 800, "long_side": 1333}, 2),
        ],
    )
    def test_by_hand(self, size, settings, expected):
        assert reduction(size, rule(**settings)) == expected

    def test_the_network_sees_no_more_than_there_is(self):
        """By law: what is reduced is as large as the network sees it; by the next reduction it would not be."""
        for height in range(1, 130, 3):
            for width in range(1, 130, 2):
                seen, by = network_size((height, width), rule()), reduction((height, width), rule())
                assert by == 1 or (height >= by * seen[0] and width >= by * seen[1])
                assert by == 8 or height < 2 * by * seen[0] or width < 2 * by * seen[1]

    def test_pixels_and_boxes_by_hand(self, make_voc):
        """33 x 50 becomes 9 x 13: y by 9/33, x by 13/50. A box that is the whole picture still is."""
        objects = [("cat", (11, 12, 40, 22)), ("cat", (1, 1, 50, 33))]
        dataset = load_dataset([make_voc({"a": objects}, {"train": ["a"]}, size=(33, 50))], "train")
        options = {"seed": 0, "epoch": 0, "group_by_aspect": True, "workers": 0, "ignore_regions": False}
        expected = torch.tensor([[10 * 13 / 50, 11 * 9 / 33, 40 * 13 / 50, 22 * 9 / 33], [0, 0, 13, 9]])
        mirrored = torch.tensor([[13 - 40 * 13 / 50, 11 * 9 / 33, 13 - 10 * 13 / 50, 22 * 9 / 33], [0, 0, 13, 9]])
        pixels = to_tensor(read_reduced_picture(dataset.examples[0].picture, 4))
        assert pixels.shape == (3, 9, 13)
        for flip, boxes, image in ((0.0, expected, pixels), (1.0, mirrored, pixels.flip(2))):
            (batch,) = batches(dataset, 1, flip=flip, reduce_to=rule(short_side=8), **options)
            assert torch.equal(batch.images[0], image)
            assert_close(batch.targets[0].boxes, boxes)
            assert batch.targets[0].boxes.dtype == torch.float32
            assert torch.equal(batch.targets[0].boxes[1], torch.tensor([0.0, 0.0, 13.0, 9.0]))  # to the last bit

    @pytest.mark.parametrize("side", [641, 1001, 2999, 4001, 4033, 12345])
    def test_a_box_that_ends_with_the_picture_never_leaves_it(self, side):
        """Whatever the sides: anchors and boxes beyond the border are treated otherwise."""
        whole = torch.tensor([[0.0, 0.0, side, side + 2]])
        for by in (2, 4, 8):
            height, width = -(-(side + 2) // by), -(-side // by)
            reduced = resize_boxes(whole, (side + 2, side), (height, width))
            assert reduced.tolist() == [[0, 0, width, height]]

    @pytest.mark.parametrize("flip", [0.0, 1.0])
    def test_what_the_network_is_taught_stays_the_same(self, epoch, flip):
        """By law: boxes are the same share of their picture."""
        whole, reduced = epoch(flip=flip), epoch(flip=flip, reduce_to=rule())
        for one, other in zip(whole, reduced, strict=True):
            for image, small, target, expected in zip(
                one.images, other.images, other.targets, one.targets, strict=True
            ):
                assert small.shape[1:] == tuple(side // 2 for side in image.shape[1:])
                assert_close(target.boxes * 2, expected.boxes, rtol=0, atol=0)
                assert torch.equal(target.class_ids, expected.class_ids)

    def test_regions_to_ignore_are_scaled_too(self, epoch):
        target = targets_by_name(epoch(ignore_regions=True, reduce_to=rule()))["a"]
        assert target.ignored.tolist() == [False, True]
        assert target.ignored_boxes().tolist() == [[2, 2.5, 10, 11]]
        assert target.boxes.tolist()[0] == [0, 0, 4.5, 4.5]

    def test_pictures_below_twice_the_size_stay_as_they_are(self, epoch):
        """Byte for byte, boxes as well."""
        assert_same(epoch(flip=0.5, reduce_to=rule(short_side=13)), epoch(flip=0.5))

    def test_each_picture_by_its_own_size(self, make_voc):
        sizes = {"a": (24, 32), "b": (23, 32), "c": (200, 100), "d": (48, 64)}
        pictures = {name: [("cat", (1, 1, 20, 20))] for name in sizes}
        dataset = load_dataset([make_voc(pictures, {"train": list(sizes)}, size=sizes)], "train")
        options = {"seed": 0, "epoch": 0, "flip": 0, "group_by_aspect": False, "workers": 0, "ignore_regions": False}
        loaded = list(batches(dataset, 4, reduce_to=rule(), **options))
        shapes = {name: tuple(image.shape[1:]) for name, image in by_name(loaded).items()}
        assert shapes == {"a": (12, 16), "b": (23, 32), "c": (25, 13), "d": (12, 16)}
        assert targets_by_name(loaded)["c"].boxes[0].tolist() == pytest.approx([0, 0, 20 * 13 / 100, 20 / 8])

    @pytest.mark.parametrize("suffix", ["jpg", "png"])
    def test_boxes_follow_what_they_lie_on_when_a_picture_is_turned(self, make_voc, suffix):
        """A white square on black, its box told for the upright picture: still there when turned and reduced."""
        folder = make_voc({"a": [("cat", (9, 41, 24, 72))]}, {"train": ["a"]}, size=(96, 48))
        pixels = np.zeros((96, 48, 3), dtype=np.uint8)
        pixels[40:72, 8:24] = 255
        exif = Image.Exif()
        exif[ORIENTATION] = 6  # stored lying on its side
        (folder / "JPEGImages/a.jpg").unlink()
        lying = Image.fromarray(pixels).transpose(Image.Transpose.ROTATE_90)
        lying.save(folder / f"JPEGImages/a.{suffix}", exif=exif, **({"quality": 95} if suffix == "jpg" else {}))
        dataset = load_dataset([folder], "train")
        assert dataset.examples[0].size == (96, 48)
        options = {"seed": 0, "epoch": 0, "group_by_aspect": True, "workers": 0, "ignore_regions": False}
        for flip, box in ((0.0, [2, 10, 6, 18]), (1.0, [6, 10, 10, 18])):
            (batch,) = batches(dataset, 1, flip=flip, reduce_to=rule(), **options)
            assert batch.images[0].shape == (3, 24, 12)
            assert batch.targets[0].boxes.tolist() == [box]
            x1, y1, x2, y2 = box
            assert batch.images[0][:, y1:y2, x1:x2].min() > 0.9
            outside = batch.images[0].clone()
            outside[:, y1:y2, x1:x2] = 0
            assert outside.max() < 0.1

    @pytest.mark.parametrize("workers", [1, 3])
    def test_workers_change_nothing(self, epoch, workers):
        """Row 31: which pictures are reduced, and how, is settled before a process is asked."""
        options = {"flip": 0.5, "group_by_aspect": True, "reduce_to": rule()}
        assert_same(epoch(workers=workers, **options), epoch(**options))

    @pytest.mark.parametrize("workers", [0, 2])
    @pytest.mark.parametrize("skip", [1, 4])
    def test_skip_continues_an_epoch(self, epoch, skip, workers):
        options = {"flip": 0.5, "group_by_aspect": True, "seed": 3, "epoch": 1, "reduce_to": rule()}
        assert_same(epoch(skip=skip, workers=workers, **options), epoch(**options)[skip:])

    def test_the_order_and_the_flips_are_those_of_whole_pictures(self, epoch):
        options = {"flip": 0.5, "group_by_aspect": True}
        assert stems(epoch(reduce_to=rule(), **options)) == stems(epoch(**options))

    @pytest.mark.parametrize("workers", [0, 2])
    def test_a_truncated_picture_is_named(self, dataset, epoch, workers):
        path = dataset.examples[4].picture
        path.write_bytes(path.read_bytes()[:-200])
        said = []
        for reduce_to in (None, rule()):
            with pytest.raises(DataError) as caught:
                epoch(workers=workers, reduce_to=reduce_to)
            said.append(str(caught.value))
        assert said[0] == said[1]
        assert said[0].startswith(f"{path}: cannot be read as a picture")
        assert "\n" not in said[0]

    def test_the_data_set_is_left_as_it_is(self, dataset, epoch):
        before = [example.target.boxes.clone() for example in dataset.examples]
        epoch(flip=1.0, ignore_regions=True, reduce_to=rule())
        assert_close([example.target.boxes for example in dataset.examples], before, rtol=0, atol=0)


class TestSteps:
    """What is loaded for several pieces, by several processes, and at several scales."""

    @pytest.fixture
    def step_by_step(self, dataset) -> Callable[..., list[list[Batch]]]:
        """An epoch of batches of five, mirrored here and there."""

        def load(**options) -> list[list[Batch]]:
            plain = {
                "seed": 3, "epoch": 1, "chances": Chances(flip=0.5), "group_by_aspect": False, "workers": 0,
                "ignore_regions": True,
            }  # fmt: skip
            return list(steps(dataset, 5, **(plain | options)))

        return load

    def test_pieces_change_nothing_in_the_order(self, epoch, step_by_step):
        """Their pictures one after another are the batch's."""
        whole = epoch(5, seed=3, epoch=1, flip=0.5, ignore_regions=True)
        assert [len(step) for step in step_by_step()] == [1, 1, 1]
        in_pieces = step_by_step(pieces=3)
        sizes = [[len(batch.pixels) for batch in step] for step in in_pieces]
        assert sorted(sizes) == [[1], [2, 2, 1], [2, 2, 1]]
        for batch, pieces in zip(whole, in_pieces, strict=True):
            assert sum(piece.part.weight for piece in pieces) == pytest.approx(1)
            together = Batch(
                [pixels for piece in pieces for pixels in piece.pixels],
                [target for piece in pieces for target in piece.targets],
                [path for piece in pieces for path in piece.pictures],
                batch.part,
            )
            assert_same([together], [batch])

    @pytest.mark.parametrize("workers", [0, 2])
    def test_each_process_loads_its_share_as_one_would_have(self, step_by_step, workers):
        alone = step_by_step(pieces=2)
        of_processes = [step_by_step(pieces=2, share=Share(number, 3), workers=workers) for number in range(3)]
        for whole, *parts in zip(alone, *of_processes, strict=True):
            for piece, *mine in zip(whole, *parts, strict=True):
                loaded = by_name([batch for batch in mine if batch.part.weight > 0])
                assert loaded.keys() == by_name([piece]).keys()
                assert all(torch.equal(image, loaded[name]) for name, image in by_name([piece]).items())
                assert sum(len(batch.pixels) for batch in mine if batch.part.weight > 0) == len(piece.pixels)

    @pytest.mark.parametrize("skip", [0, 1, 2])
    def test_each_step_has_the_scale_of_its_number(self, step_by_step, skip):
        """All its pieces the same, and its pictures are reduced only as far as that allows."""
        scales = (8, 12, 20)
        loaded = step_by_step(seen_by=rule(), scales=scales, reduce=True, pieces=2, skip=skip)
        assert len(loaded) == 3 - skip
        seen = set()
        for number, step in enumerate(loaded, start=skip):
            expected = rule_of_step(rule(), scales, 3, 1, number)
            assert {batch.part.rule for batch in step} == {expected}
            by = {8: 2, 12: 2, 20: 1}[expected.short_side]  # the pictures' short sides are 24
            for batch in step:
                assert {min(pixels.shape[1:]) for pixels in batch.pixels} == {24 // by}
                assert min(batch.part.canvas) >= expected.short_side
            seen.add(expected.short_side)
        assert skip or len(seen) > 1


class TestErrors:
    @pytest.mark.parametrize("workers", [0, 2])
    def test_a_broken_picture_is_named(self, dataset, epoch, workers):
        """Also from a process of its own, in one line and without that process's stack."""
        path = dataset.examples[4].picture
        path.write_bytes(path.read_bytes()[:200])
        for load in (lambda: epoch(workers=workers), lambda: list(evaluation_batches(dataset, 2, workers))):
            with pytest.raises(DataError) as caught:
                load()
            assert str(caught.value).startswith(f"{path}: cannot be read as a picture")
            assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("workers", [0, 2])
    def test_a_picture_that_went_away(self, dataset, epoch, workers):
        dataset.examples[7].picture.unlink()
        with pytest.raises(DataError, match=r"h\.jpg: there is no such picture"):
            epoch(workers=workers)

    @pytest.mark.parametrize("workers", [0, 2])
    @pytest.mark.parametrize(
        ("reason", "said"),
        [(MemoryError(), "MemoryError"), (RuntimeError("two\nlines"), "RuntimeError: two lines")],
    )
    def test_an_error_that_nobody_foresaw_names_its_picture(self, dataset, epoch, monkeypatch, workers, reason, said):
        """Whatever it is, and the others of its batch are sound; in one line, with the kind of error."""

        def read(path):
            if path == dataset.examples[4].picture:
                raise reason
            return read_picture(path)

        monkeypatch.setattr(loading, "read_picture", read)
        with pytest.raises(DataError) as caught:
            epoch(3, workers=workers)
        assert str(caught.value) == f"{dataset.examples[4].picture}: cannot be loaded ({said})"

    def test_ctrl_c_is_no_error_of_a_picture(self, dataset, monkeypatch):
        def read(path):
            raise KeyboardInterrupt

        monkeypatch.setattr(loading, "read_picture", read)
        with pytest.raises(KeyboardInterrupt):
            next(evaluation_batches(dataset, 2))

    def test_batches_before_the_broken_one_arrive(self, dataset):
        dataset.examples[5].picture.write_bytes(b"")
        loading_batches = evaluation_batches(dataset, 2, 1)
        assert stems([next(loading_batches), next(loading_batches)]) == ["ab", "cd"]
        with pytest.raises(DataError):
            next(loading_batches)

    def test_processes_end_with_their_generator(self, dataset):
        before = set(multiprocessing.active_children())
        unfinished = evaluation_batches(dataset, 1, 2)
        next(unfinished)
        assert len(set(multiprocessing.active_children()) - before) == 2
        unfinished.close()
        assert set(multiprocessing.active_children()) <= before

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="ends a process by a signal, while it waits at a pipe")
    def test_a_process_that_is_killed(self, dataset):
        """As the system does where memory ends: one line with what to do."""
        dataset.examples[0].picture.unlink()
        os.mkfifo(dataset.examples[0].picture)  # nobody writes to it: whoever reads it waits
        before = set(multiprocessing.active_children())
        killing = threading.Thread(target=kill_new_process, args=(before,))
        killing.start()
        with pytest.raises(
            LoadingError, match=r"was killed, most likely because memory .* ran out: lower data\.workers"
        ):
            next(evaluation_batches(dataset, 1, 1))
        killing.join()


class TestProcesses:
    def test_no_more_of_them_than_batches(self, dataset):
        before = set(multiprocessing.active_children())
        unfinished = evaluation_batches(dataset, 10, 16)
        next(unfinished)
        assert len(set(multiprocessing.active_children()) - before) == 2
        unfinished.close()

    def test_no_more_is_loaded_than_is_soon_needed(self, dataset):
        """However slow the one who asks: what is not loaded when the pictures go away, cannot come any more."""
        many = Dataset(tuple(dataset.examples) * 20, dataset.class_names)
        slow = evaluation_batches(many, 1, 1)
        next(slow)
        time.sleep(0.3)
        for example in dataset.examples:
            example.picture.unlink()
        for _ in range(2 * PREFETCH):
            try:
                next(slow)
            except DataError:
                return
        pytest.fail("more was ready than twice what one process keeps")

    @pytest.mark.parametrize("workers", [0, 1])
    def test_the_numbers_that_training_draws_are_left_alone(self, epoch, workers):
        """A resumed training draws what it would have drawn."""
        before = torch.get_rng_state()
        epoch(workers=workers, flip=0.5)
        assert torch.equal(torch.get_rng_state(), before)

    @pytest.mark.skipif(not hasattr(os, "killpg"), reason="interrupts a group of processes, as a terminal does")
    def test_ctrl_c_is_for_the_parent(self, dataset, tmp_path):
        """One KeyboardInterrupt, no process left, and no other words."""
        script = tmp_path / "load.py"
        script.write_text(INTERRUPTED)
        command = [sys.executable, str(script), str(dataset.examples[0].picture.parents[1])]
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        os.killpg(child.pid, signal.SIGINT)
        out, err = child.communicate(timeout=60)
        assert (out, err, child.returncode) == ("interrupted, 0 left\n", "", 0)


INTERRUPTED = """
import multiprocessing, sys, time
from pathlib import Path
from frcnn.data.dataset import Dataset, load_dataset
from frcnn.data.loading import evaluation_batches

dataset = load_dataset([Path(sys.argv[1])], "train")
loading = evaluation_batches(Dataset(tuple(dataset.examples) * 50, dataset.class_names), 1, workers=2)
try:
    for batch in loading:
        print("ready", flush=True)
        time.sleep(30)
except KeyboardInterrupt:
    loading.close()
    print(f"interrupted, {len(multiprocessing.active_children())} left", flush=True)
"""


def kill_new_process(before: set) -> None:
    """The first that is not in `before`, once it is there and waits."""
    while not (new := set(multiprocessing.active_children()) - before):
        time.sleep(0.01)
    time.sleep(0.5)
    os.kill(new.pop().pid, signal.SIGKILL)


def test_real_photos(shared):
    """By oracle: every fifth photo of BCCD's test split, whole and in order, from two processes."""
    whole = load_dataset([shared / "data/BCCD"], "test")
    some = Dataset(whole.examples[::5], whole.class_names)
    found = list(evaluation_batches(some, 4, 2))
    assert sum(len(batch.images) for batch in found) == len(some) == 15
    assert all(image.shape == (3, 480, 640) for batch in found for image in batch.images)


def test_bytes_become_floats_where_they_are_wanted():
    pixels = torch.tensor([0, 51, 255], dtype=torch.uint8).repeat(3, 2, 1)
    batch = Batch([pixels], [], [], Part([]))
    for images in (batch.images, batch.images_on(torch.device("cpu"))):
        assert images[0].dtype == torch.float32
        assert images[0][0, 0].tolist() == [0.0, pytest.approx(0.2), 1.0]
    assert pixels.dtype == torch.uint8


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_bytes_travel_to_cuda():
    pixels = torch.randint(0, 256, (3, 20, 30), dtype=torch.uint8)
    batch = Batch([pixels], [], [], Part([]))
    there = batch.images_on(torch.device("cuda"))[0]
    assert there.device.type == "cuda"
    assert torch.equal(there.cpu(), batch.images[0])
