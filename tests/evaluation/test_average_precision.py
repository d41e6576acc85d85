"""Average precision: by hand, against a slow second implementation, at the edges."""

import math
import random
import time

import numpy as np
import pytest
import torch
from judged import BOX, FAR, NAMES, detections, random_case, random_cases, target

from frcnn.evaluation import flat
from frcnn.evaluation.average_precision import area_ap, eleven_point_ap, evaluate_detections
from frcnn.structures import Detections, Target


def flags(text: str) -> np.ndarray:
    return np.array([letter == "T" for letter in text], dtype=bool)


class TestIntegrators:
    """The curve of TFT over 2 objects: precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1."""

    def test_eleven_points_by_hand(self) -> None:
        """Row 25: VOC 2007's."""
        assert eleven_point_ap(flags("TFT"), 2) == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)

    def test_area_by_hand(self) -> None:
        """Row 25: the later one."""
        assert area_ap(flags("TFT"), 2) == pytest.approx((1 + 2 / 3) / 2)

    def test_recall_of_three_tenths_reaches_the_step_at_three_tenths(self) -> None:
        assert eleven_point_ap(flags("TTT"), 10) == pytest.approx(4 / 11)
        assert eleven_point_ap(flags("TTTTTT"), 10) == pytest.approx(7 / 11)

    def test_precision_that_rises_with_recall_counts_at_its_best(self) -> None:
        assert area_ap(flags("FT"), 1) == pytest.approx(1 / 2)
        assert eleven_point_ap(flags("FT"), 1) == pytest.approx(1 / 2)

    @pytest.mark.parametrize("integrate", [eleven_point_ap, area_ap])
    def test_all_found_is_one_and_nothing_found_is_zero(self, integrate) -> None:
        assert integrate(flags("TTT"), 3) == 1
        assert integrate(flags("FF"), 3) == 0
        assert integrate(flags(""), 3) == 0


class TestMatching:
    def ap(self, found: Detections, truth: Target) -> float | None:
        return evaluate_detections([found], [truth], NAMES).per_class["cat"].voc_ap

    def test_one_object_found_twice_is_right_once(self) -> None:
        found = detections((BOX, 0.9, 0), (BOX, 0.8, 0), (FAR, 0.7, 0))
        assert self.ap(found, target((BOX, 0, False), (FAR, 0, False))) == pytest.approx((1 + 2 / 3) / 2)

    def test_the_best_object_is_asked_even_if_taken(self) -> None:
        """Row 25: the second detection overlaps the second object enough, but the first one more."""
        first, second = (0.0, 0.0, 10.0, 10.0), (0.0, 0.0, 10.0, 8.0)
        found = detections((first, 0.9, 0), ((0.0, 0.0, 10.0, 9.5), 0.8, 0))
        assert self.ap(found, target((first, 0, False), (second, 0, False))) == pytest.approx(1 / 2)

    def test_overlap_must_exceed_one_half(self) -> None:
        """Row 25: strictly above .5."""
        exactly_half = detections(((10.0, 10.0, 20.0, 15.0), 0.9, 0))
        above_half = detections(((10.0, 10.0, 20.0, 15.1), 0.9, 0))
        assert self.ap(exactly_half, target((BOX, 0, False))) == 0
        assert self.ap(above_half, target((BOX, 0, False))) == 1

    def test_a_detection_on_a_difficult_object_is_neither_right_nor_wrong(self) -> None:
        """Rows 23 and 25."""
        found = detections((FAR, 0.9, 0), (FAR, 0.85, 0), (BOX, 0.8, 0))
        result = evaluate_detections([found], [target((BOX, 0, False), (FAR, 0, True))], NAMES).per_class["cat"]
        assert (result.voc_ap, result.objects, result.detections) == (1, 1, 3)
        assert result.precision.tolist() == [1]

    def test_the_best_overlap_decides_even_when_it_is_difficult(self) -> None:
        near = (10.0, 10.0, 20.0, 19.0)
        assert self.ap(detections((BOX, 0.9, 0)), target((BOX, 0, True), (near, 0, False))) == 0

    def test_of_two_equal_objects_the_first_is_taken(self) -> None:
        assert self.ap(detections((BOX, 0.9, 0)), target((BOX, 0, True), (BOX, 0, False))) == 0
        assert self.ap(detections((BOX, 0.9, 0)), target((BOX, 0, False), (BOX, 0, True))) == 1

    def test_equal_scores_stand_in_the_order_given(self) -> None:
        right_first = detections((BOX, 0.5, 0), (FAR, 0.5, 0))
        wrong_first = detections((FAR, 0.5, 0), (BOX, 0.5, 0))
        assert self.ap(right_first, target((BOX, 0, False))) == 1
        assert self.ap(wrong_first, target((BOX, 0, False))) == pytest.approx(1 / 2)

    def test_scores_are_not_rounded(self) -> None:
        """Row 25: to three decimals these would tie, and the first given would win."""
        found = detections((FAR, 0.5001, 0), (BOX, 0.5002, 0))
        assert self.ap(found, target((BOX, 0, False))) == 1

    def test_other_pictures_and_classes_do_not_help(self) -> None:
        truths = [target((BOX, 0, False)), target((FAR, 0, False), (BOX, 1, False))]
        result = evaluate_detections([detections((FAR, 0.9, 0)), detections((BOX, 0.8, 0))], truths, NAMES)
        assert result.per_class["cat"].voc_ap == 0

    def test_scores_matter_across_pictures(self) -> None:
        found = [detections((FAR, 0.4, 0)), detections((BOX, 0.6, 0))]
        result = evaluate_detections(found, [target(), target((BOX, 0, False))], NAMES).per_class["cat"]
        assert result.voc_ap == 1
        torch.testing.assert_close(torch.tensor(result.scores), torch.tensor([0.6, 0.4], dtype=torch.float64))


class TestEdges:
    def test_a_class_without_objects_is_left_out_of_the_mean(self) -> None:
        result = evaluate_detections(
            [detections((BOX, 0.9, 0), (FAR, 0.9, 2))], [target((BOX, 0, False), (FAR, 1, False))], NAMES
        )
        assert result.per_class["eel"].voc07_ap is None
        assert result.per_class["eel"].detections == 1
        assert result.voc07_map == pytest.approx(1 / 2)
        assert result.voc_map == pytest.approx(1 / 2)

    def test_only_difficult_objects_is_none(self) -> None:
        result = evaluate_detections([detections((BOX, 0.9, 0))], [target((BOX, 0, True))], NAMES)
        assert result.voc_map is None
        assert result.per_class["cat"].voc_ap is None

    def test_no_pictures(self) -> None:
        result = evaluate_detections([], [], NAMES)
        assert (result.voc07_map, result.voc_map) == (None, None)
        assert list(result.per_class) == list(NAMES)

    def test_no_detections(self) -> None:
        result = evaluate_detections([detections()], [target((BOX, 0, False))], NAMES)
        assert (result.voc07_map, result.voc_map) == (0, 0)

    def test_no_objects(self) -> None:
        result = evaluate_detections([detections((BOX, 0.9, 0))], [target()], NAMES)
        assert result.voc_map is None

    def test_targets_without_a_mask(self) -> None:
        truth = Target(torch.tensor([BOX]), torch.tensor([0]))
        assert evaluate_detections([detections((BOX, 0.9, 0))], [truth], NAMES).voc_map == 1

    def test_boxes_without_area_or_not_finite_are_wrong_and_nothing_more(self) -> None:
        bad = [(10.0, 10.0, 10.0, 20.0), (math.nan, 0.0, 5.0, 5.0), (-math.inf, 0.0, math.inf, 5.0)]
        found = detections(*((box, 0.9, 0) for box in bad), (BOX, 0.8, 0))
        assert evaluate_detections([found], [target((BOX, 0, False))], NAMES).voc_map == pytest.approx(1 / 4)

    def test_a_score_that_is_no_number_comes_last(self) -> None:
        found = detections((FAR, math.nan, 0), (BOX, 0.1, 0))
        assert evaluate_detections([found], [target((BOX, 0, False))], NAMES).voc_map == 1

    def test_unequal_lengths_and_unknown_classes_are_refused(self) -> None:
        with pytest.raises(ValueError, match="1 pictures of detections, but 0"):
            evaluate_detections([detections()], [], NAMES)
        with pytest.raises(ValueError, match="3 classes"):
            evaluate_detections([detections((BOX, 0.9, 3))], [target()], NAMES)

    def test_the_pairs_may_come_in_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        cases = random_case(random.Random(0))
        whole = evaluate_detections(*cases, NAMES)
        monkeypatch.setattr(flat, "PAIRS_AT_ONCE", 3)
        assert evaluate_detections(*cases, NAMES).voc_map == whole.voc_map


def slow_ap(found: list[Detections], truths: list[Target], class_id: int) -> tuple[float, float] | None:
    """The devkit's VOCevaldet and VOCap, line by line, with its 1-based inclusive pixels."""
    objects = {
        picture: [
            (box, hard)
            for box, number, hard in zip(
                truth.boxes.tolist(), truth.class_ids.tolist(), truth.ignored.tolist(), strict=True
            )
            if number == class_id
        ]
        for picture, truth in enumerate(truths)
    }
    number = sum(not hard for rows in objects.values() for _, hard in rows)
    if number == 0:
        return None
    rows = [
        (score, picture, box)
        for picture, part in enumerate(found)
        for box, score, name in part
        if name == NAMES[class_id]
    ]
    rows.sort(key=lambda row: -row[0])
    taken, true, false, curve = set(), 0, 0, []
    for _, picture, box in rows:
        best, best_index = -math.inf, -1
        for index, (other, _) in enumerate(objects[picture]):
            x1, y1 = max(box[0] + 1, other[0] + 1), max(box[1] + 1, other[1] + 1)
            x2, y2 = min(box[2], other[2]), min(box[3], other[3])
            if x2 - x1 + 1 > 0 and y2 - y1 + 1 > 0:
                shared = (x2 - x1 + 1) * (y2 - y1 + 1)
                areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (box, other)]
                if shared / (sum(areas) - shared) > best:
                    best, best_index = shared / (sum(areas) - shared), index
        if best > 0.5:
            if objects[picture][best_index][1]:
                continue
            if (picture, best_index) in taken:
                false += 1
            else:
                true += 1
                taken.add((picture, best_index))
        else:
            false += 1
        curve.append((true, true / (true + false)))
    eleven = sum(max((p for hits, p in curve if 10 * hits >= step * number), default=0) for step in range(11)) / 11
    recall, area = 0, 0.0
    for hits, _ in curve:
        if hits > recall:
            area += max(p for other, p in curve if other >= hits) / number
            recall = hits
    return eleven, area


@pytest.mark.parametrize("seed", range(20))
def test_agrees_with_the_slow_form(seed: int) -> None:
    """Fifty cases each, a thousand in all: difficult objects, duplicates, equal scores and overlaps of one half."""
    for found, truths in random_cases(50, seed):
        result = evaluate_detections(found, truths, NAMES)
        expected = [slow_ap(found, truths, class_id) for class_id in range(3)]
        for name, values in zip(NAMES, expected, strict=True):
            got = result.per_class[name]
            if values is None:
                assert (got.voc07_ap, got.voc_ap) == (None, None)
            else:
                assert (got.voc07_ap, got.voc_ap) == pytest.approx(values, abs=1e-12)
        present = [values[0] for values in expected if values is not None]
        assert (result.voc07_map is None) == (not present)
        if present:
            assert result.voc07_map == pytest.approx(sum(present) / len(present))


@pytest.mark.slow
def test_a_million_detections_are_seconds() -> None:
    generator = torch.Generator().manual_seed(0)

    def boxes(number: int) -> torch.Tensor:
        corner = torch.rand(number, 2, generator=generator) * 400
        return torch.cat((corner, corner + 5 + torch.rand(number, 2, generator=generator) * 95), dim=1)

    names = tuple(str(number) for number in range(20))
    found, truths = [], []
    for _ in range(10_000):
        ids = torch.randint(20, (107,), generator=generator)
        found.append(Detections(boxes(100), torch.rand(100, generator=generator), ids[:100], names))
        truths.append(Target(boxes(7), ids[100:]))
    start = time.perf_counter()
    evaluate_detections(found, truths, names)
    assert time.perf_counter() - start < 20
