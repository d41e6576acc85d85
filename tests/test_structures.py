"""What flows between the rooms: what can be asked of it, and what is refused at the door."""

import importlib.util
import json
import sys
from dataclasses import FrozenInstanceError
from types import ModuleType, SimpleNamespace

import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from frcnn import structures
from frcnn.drawing import class_colour
from frcnn.errors import UsageError
from frcnn.structures import Detection, Detections, ImageBatch, Losses, Target

NAMES = ("cat", "dog", "owl")
BOXES = [[1.0, 2.0, 30.0, 40.0], [5.0, 6.0, 7.5, 8.25], [0.0, 0.0, 64.0, 48.0]]
SCORES = [0.875, 0.5, 0.25]  # float32 holds them as they are
ELSEWHERE = "meta"  # a device that every machine has; its tensors hold no values


def three() -> Detections:
    return Detections(torch.tensor(BOXES), torch.tensor(SCORES), torch.tensor([2, 0, 2]), NAMES)


def nothing() -> Detections:
    return Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.long), NAMES)


class TestTarget:
    """The objects of one picture."""

    @pytest.fixture
    def plain(self) -> ModuleType:
        """The module as users have it: without the checks of types, which come first in tests."""
        assert structures.__file__ is not None
        spec = importlib.util.spec_from_file_location("plain_structures", structures.__file__)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    @pytest.mark.parametrize("boxes", [torch.ones(4), torch.ones(2, 5), torch.zeros(0), torch.zeros(1, 2, 4)])
    def test_boxes_of_another_shape_are_refused(self, plain: ModuleType, boxes: torch.Tensor) -> None:
        with pytest.raises(ValueError, match=r"boxes must be \(G, 4\), not"):
            plain.Target(boxes, torch.zeros(len(boxes), dtype=torch.long))

    @pytest.mark.parametrize("count", [0, 1, 3])
    def test_every_box_has_one_class(self, plain: ModuleType, count: int) -> None:
        with pytest.raises(ValueError, match=r"class_ids must be \(2,\)"):
            plain.Target(torch.tensor(BOXES[:2]), torch.zeros(count, dtype=torch.long))

    def test_every_box_has_one_mark(self, plain: ModuleType) -> None:
        with pytest.raises(ValueError, match=r"ignored must be \(2,\)"):
            plain.Target(torch.tensor(BOXES[:2]), torch.tensor([0, 1]), torch.tensor([True]))

    @pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.float32])
    def test_zeros_and_ones_are_no_marks(self, plain: ModuleType, dtype: torch.dtype) -> None:
        """As row numbers they would choose objects, and leave none out."""
        with pytest.raises(ValueError, match="ignored must be of bool, not of torch"):
            plain.Target(torch.tensor(BOXES[:2]), torch.tensor([0, 1]), torch.tensor([0, 1], dtype=dtype))

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
    @pytest.mark.parametrize("corner", range(4))
    def test_a_corner_that_is_not_finite_is_refused(self, value: float, corner: int) -> None:
        boxes = torch.tensor(BOXES)
        boxes[1, corner] = value
        with pytest.raises(ValueError, match="not finite"):
            Target(boxes, torch.tensor([0, 1, 2]))

    @pytest.mark.parametrize(
        "box", [[5.0, 5.0, 5.0, 9.0], [5.0, 5.0, 9.0, 5.0], [5.0, 5.0, 4.0, 9.0], [5.0, 5.0, 9.0, 4.0]]
    )
    def test_a_box_without_area_is_refused(self, box: list[float]) -> None:
        with pytest.raises(ValueError, match="without area"):
            Target(torch.tensor([BOXES[0], box]), torch.tensor([0, 1]))

    def test_the_smallest_box_and_one_outside_the_picture_are_not_refused(self) -> None:
        """How large the picture is, a target does not know."""
        smallest = torch.nextafter(torch.tensor(5.0), torch.tensor(6.0)).item()
        Target(torch.tensor([[5.0, 5.0, smallest, smallest], [-9.0, -9.0, 1e6, 1e6]]), torch.tensor([0, 1]))

    def test_what_is_ignored_is_not_learnt_and_the_rest_keeps_its_order(self) -> None:
        target = Target(torch.tensor(BOXES), torch.tensor([2, 0, 1]), torch.tensor([False, True, False]))
        learnt = target.learnt()
        assert learnt.boxes.tolist() == [BOXES[0], BOXES[2]]
        assert learnt.class_ids.tolist() == [2, 1]
        assert learnt.ignored is None
        assert target.ignored_boxes().tolist() == [BOXES[1]]

    @pytest.mark.parametrize("ignored", [None, torch.zeros(3, dtype=torch.bool)], ids=["no marks", "none marked"])
    def test_where_nothing_is_ignored_everything_is_learnt(self, ignored: torch.Tensor | None) -> None:
        target = Target(torch.tensor(BOXES), torch.tensor([2, 0, 1]), ignored)
        assert target.learnt().boxes.tolist() == BOXES
        assert target.learnt().class_ids.tolist() == [2, 0, 1]
        assert target.ignored_boxes().shape == (0, 4)

    def test_where_everything_is_ignored_nothing_is_learnt(self) -> None:
        target = Target(torch.tensor(BOXES), torch.tensor([2, 0, 1]), torch.ones(3, dtype=torch.bool))
        assert target.learnt().boxes.shape == (0, 4)
        assert target.learnt().class_ids.shape == (0,)
        assert target.ignored_boxes().tolist() == BOXES

    @pytest.mark.parametrize("ignored", [None, torch.zeros(0, dtype=torch.bool)], ids=["no marks", "empty marks"])
    def test_a_picture_may_hold_no_object(self, ignored: torch.Tensor | None) -> None:
        empty = Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), ignored)
        assert empty.learnt().boxes.shape == empty.ignored_boxes().shape == (0, 4)
        assert empty.to("cpu").class_ids.shape == (0,)

    @pytest.mark.parametrize("ignored", [None, torch.tensor([False, True, False])], ids=["no marks", "marks"])
    def test_on_another_device_it_is_the_same(self, ignored: torch.Tensor | None) -> None:
        target = Target(torch.tensor(BOXES), torch.tensor([2, 0, 1]), ignored)
        moved = target.to(torch.device("cpu"))
        assert (moved.boxes.tolist(), moved.class_ids.tolist()) == (BOXES, [2, 0, 1])
        assert (None if moved.ignored is None else moved.ignored.tolist()) == (
            None if ignored is None else ignored.tolist()
        )

    def test_all_of_it_moves_to_another_device(self, monkeypatch: pytest.MonkeyPatch) -> None:
        target = Target(torch.tensor(BOXES), torch.tensor([2, 0, 1]), torch.tensor([False, True, False]))
        monkeypatch.setattr(Target, "__post_init__", lambda self: None)  # which looks at values
        moved = target.to(ELSEWHERE)
        assert moved.ignored is not None
        assert [part.device.type for part in (moved.boxes, moved.class_ids, moved.ignored)] == [ELSEWHERE] * 3


class TestDetections:
    """The objects found in one picture."""

    def test_their_number_is_their_length(self) -> None:
        assert (len(three()), len(nothing())) == (3, 0)
        assert (bool(three()), bool(nothing())) == (True, False)

    def test_one_after_the_other_they_are_plain_numbers_with_a_name(self) -> None:
        assert list(three()) == [
            Detection([1.0, 2.0, 30.0, 40.0], 0.875, "owl"),
            Detection([5.0, 6.0, 7.5, 8.25], 0.5, "cat"),
            Detection([0.0, 0.0, 64.0, 48.0], 0.25, "owl"),
        ]
        for box, score, name in three():
            assert [type(part) for part in (box, box[0], score, name)] == [list, float, float, str]
        assert list(nothing()) == []

    @pytest.mark.parametrize("number", [0, 1, 2, -1, -3])
    def test_by_its_number_one_is_what_iteration_gives(self, number: int) -> None:
        assert three()[number] == list(three())[number]

    @pytest.mark.parametrize("number", [3, -4])
    def test_a_number_too_far_is_an_index_error(self, number: int) -> None:
        with pytest.raises(IndexError):
            three()[number]
        with pytest.raises(IndexError):
            nothing()[0]

    @pytest.mark.parametrize(
        ("index", "chosen"),
        [
            (slice(2), [0, 1]),
            (slice(1, None), [1, 2]),
            (slice(None, None, 2), [0, 2]),
            (slice(5, 9), []),
            (torch.tensor([True, False, True]), [0, 2]),
            (torch.tensor([False, False, False]), []),
            (torch.tensor([2, 0, 0]), [2, 0, 0]),
            (torch.tensor([-1]), [2]),
            (torch.zeros(0, dtype=torch.long), []),
        ],
        ids=str,
    )
    def test_slices_masks_and_numbers_choose_whole_detections(
        self, index: slice | torch.Tensor, chosen: list[int]
    ) -> None:
        some, every = three()[index], list(three())
        assert isinstance(some, Detections)
        assert list(some) == [every[number] for number in chosen]
        assert some.class_names == NAMES
        assert (some.boxes.shape, len(some)) == ((len(chosen), 4), len(chosen))

    def test_a_mask_by_score_keeps_the_best(self) -> None:
        found = three()
        assert [one.score for one in found[found.scores > 0.4]] == [0.875, 0.5]

    def test_nothing_can_be_sliced_and_masked_too(self) -> None:
        empty = nothing()
        for none in (empty[:3], empty[empty.scores > 0.5], empty.to("cpu")):
            assert none.boxes.shape == (0, 4)
            assert list(none) == []

    def test_all_of_it_moves_to_another_device(self) -> None:
        moved = three().to(ELSEWHERE)
        assert [part.device.type for part in (moved.boxes, moved.scores, moved.class_ids)] == [ELSEWHERE] * 3
        assert moved.class_names == NAMES
        assert list(three().to(torch.device("cpu"))) == list(three())

    def test_plain_lists_survive_json(self) -> None:
        assert json.loads(json.dumps(three().to_dict())) == {
            "boxes": BOXES,
            "scores": SCORES,
            "class_ids": [2, 0, 2],
            "class_names": ["owl", "cat", "owl"],
        }
        assert nothing().to_dict() == {"boxes": [], "scores": [], "class_ids": [], "class_names": []}

    def test_they_are_drawn_on_a_copy(self) -> None:
        picture = Image.new("RGB", (64, 48), (128, 128, 128))
        before = picture.tobytes()
        drawn = three()[:1].draw(picture)
        assert drawn.getpixel((1, 20)) == class_colour(2)  # the left edge of a box that begins at x = 1
        assert picture.tobytes() == before
        assert nothing().draw(picture).tobytes() == before

    def test_they_are_not_changed_once_made(self) -> None:
        with pytest.raises(FrozenInstanceError):
            three().scores = torch.zeros(3)  # pyright: ignore[reportAttributeAccessIssue]


class TestToSupervision:
    """An extra: it may be there or not."""

    def test_it_gets_arrays_and_names(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "supervision", SimpleNamespace(Detections=SimpleNamespace))
        for found, names in ((three(), ["owl", "cat", "owl"]), (nothing(), [])):
            given = found.to_supervision()
            assert (given.xyxy.shape, given.xyxy.tolist()) == ((len(names), 4), found.boxes.tolist())
            assert given.confidence.tolist() == found.scores.tolist()
            assert given.class_id.tolist() == found.class_ids.tolist()
            assert given.data == {"class_name": names}

    def test_without_the_package_it_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "supervision", None)
        with pytest.raises(UsageError, match=r"pip install 'frcnn\[supervision\]'"):
            three().to_supervision()


class TestLosses:
    """The four of Eq. 1, by different weights so that none can stand for another."""

    def losses(self) -> tuple[Losses, torch.Tensor]:
        parameters = torch.tensor([0.5, 0.25, 2.0, 8.0], requires_grad=True)
        return Losses(*(parameters * torch.tensor([1.0, 3.0, 5.0, 7.0])).unbind()), parameters

    def test_the_total_is_their_sum_and_each_is_learnt_from(self) -> None:
        losses, parameters = self.losses()
        total = losses.total()
        assert_close(total, torch.tensor(0.5 + 0.75 + 10.0 + 56.0), rtol=0, atol=0)  # exact in binary
        total.backward()
        assert parameters.grad is not None
        assert parameters.grad.tolist() == [1.0, 3.0, 5.0, 7.0]

    def test_for_the_log_they_have_names_the_total_last_and_no_gradient(self) -> None:
        parts = self.losses()[0].as_dict()
        assert [(name, loss.item()) for name, loss in parts.items()] == [
            ("rpn_objectness", 0.5),
            ("rpn_box", 0.75),
            ("head_class", 10.0),
            ("head_box", 56.0),
            ("total", 67.25),
        ]
        assert not any(loss.requires_grad for loss in parts.values())

    def test_one_that_is_not_finite_is_seen_in_the_total(self) -> None:
        one = torch.tensor(1.0)
        assert Losses(one, one, torch.tensor(float("nan")), one).total().isnan()


def test_scales_are_each_picture_s_own_and_each_axis_s_own() -> None:
    """Padding does not count, and rounding to whole pixels makes the two axes differ."""
    batch = ImageBatch(torch.zeros(2, 3, 96, 128), [(96, 120), (75, 128)], [(48, 240), (300, 64)])
    assert batch.scales(0) == (2.0, 0.5)
    assert batch.scales(1) == (0.25, 2.0)
