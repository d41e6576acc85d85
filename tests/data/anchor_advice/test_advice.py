"""Which settings are tried, which of them are worth suggesting, and the command that follows."""

import shlex
from pathlib import Path

import pytest
import torch

from frcnn.config import Config, load_preset, override, preset_names
from frcnn.data.anchor_advice import advice
from frcnn.data.anchor_advice.advice import (
    SOUGHT_WITH,
    advise_on_anchors,
    at_short_side,
    better_trials,
    settings_of,
    some_of,
)
from frcnn.data.anchor_advice.report import AnchorAdvice, Trial
from frcnn.data.anchor_fit import AnchorFit
from frcnn.data.learnt_objects import LearntObjects
from frcnn.errors import ConfigError, DataError
from frcnn.model.zoo import build_from_config

TINY, MOBILE = load_preset("tiny"), load_preset("mobilenet_v2_fpn")


class TestBetterTrials:
    @staticmethod
    def trial(easy: float, good: float, pixels: float = 1.0, together: tuple[float, float] | None = None) -> Trial:
        """Shares of 1000 objects, all of which reach IoU .3."""
        bounds = torch.arange(1000) / 1000
        overlaps = torch.full((1000,), 0.4).where(bounds >= easy, 0.6).where(bounds >= good, 0.8)
        ids = torch.zeros(1000, dtype=torch.long)
        fit = AnchorFit(overlaps, torch.ones(1000, 4), ids, ("cat",), TINY.model)
        return Trial("", TINY, fit, torch.tensor([1, *(together or (easy, good))], dtype=torch.float64), pixels)

    def test_clearly_more_easy_or_good_anchors(self):
        now = self.trial(0.9, 0.5)
        for other, is_better in [
            (self.trial(0.9, 0.5), False),
            (self.trial(0.925, 0.5), True),
            (self.trial(0.915, 0.54), False),
            (self.trial(0.9, 0.555), True),
        ]:
            assert better_trials([now, other]) == ([other] if is_better else [])

    def test_what_loses_at_any_bound_is_out(self):
        now = self.trial(0.9, 0.5)
        fewer, fewer_together = self.trial(0.897, 0.9), self.trial(0.9, 0.9, together=(0.897, 0.9))
        assert better_trials([now, fewer]) == []
        assert better_trials([now, fewer_together]) == []
        assert better_trials([now, fewer], slack=0.005) == [fewer]

    def test_gains_are_of_detection_and_training_together(self):
        now = self.trial(0.9, 0.5)
        assert better_trials([now, self.trial(0.9, 0.7, together=(0.9, 0.52))]) == []
        assert len(better_trials([now, self.trial(0.9, 0.5, together=(0.9, 0.6))])) == 1

    def test_what_takes_time_must_win_more(self):
        """One and a half times the pixels: 2.25 times the gain, beside the best so far; four times: 16 times."""
        now, other = self.trial(0.9, 0.5), self.trial(0.9, 0.6)
        larger, much_larger = self.trial(0.9, 0.72, pixels=1.5), self.trial(0.9, 0.9, pixels=4)
        assert better_trials([now, other, larger, much_larger]) == [other, larger]
        assert better_trials([now, other, self.trial(0.9, 0.71, pixels=1.5)]) == [other]


class TestSomeOf:
    @staticmethod
    def objects(*counts: int) -> LearntObjects:
        """So many in each picture."""
        pictures = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
        return LearntObjects(
            torch.ones(len(pictures), 4),
            torch.zeros(len(pictures), dtype=torch.long),
            pictures,
            torch.full((len(counts), 2), 100),
            ("cat",),
        )

    def test_all_where_they_are_few(self):
        assert some_of(self.objects(3, 0, 7)).pictures.tolist() == [0] * 3 + [2] * 7
        assert len(some_of(self.objects(SOUGHT_WITH))) == SOUGHT_WITH

    def test_those_of_whole_pictures(self):
        objects = self.objects(*[7] * SOUGHT_WITH)
        some = some_of(objects)
        assert SOUGHT_WITH <= len(some) < SOUGHT_WITH + 7
        assert (some.pictures.bincount() % 7 == 0).all()
        assert torch.equal(some_of(objects).pictures, some.pictures)


class TestShortSide:
    def test_its_own_changes_nothing(self):
        """Where sizes are whole and scales multiples of what batches are padded to, as in the presets."""
        for name in preset_names():
            config = load_preset(name)
            assert at_short_side(config, config.model.input.short_side) == config

    def test_all_stays_in_proportion(self):
        """Batches of the preset are padded to multiples of 32: 256 * 1.5 = 384, 288 * 1.5 = 432, ..."""
        larger = at_short_side(MOBILE, 480)
        assert (larger.model.input.short_side, larger.model.input.long_side) == (480, 801)
        assert larger.model.anchors.sizes == ((48,), (96,), (192,), (384,))
        assert larger.data.scales == (384, 448, 480, 512, 576)
        assert larger.model_copy(update={"model": MOBILE.model, "data": MOBILE.data}) == MOBILE

    def test_what_becomes_the_same_stands_there_once(self):
        assert at_short_side(MOBILE, 32).data.scales == (32,)

    def test_a_configuration_can_hold_it(self):
        huge = at_short_side(MOBILE, 8000)
        assert override(MOBILE, settings_of(MOBILE, (), huge)) == huge


class TestSettings:
    def test_what_differs_is_written(self):
        other = override(MOBILE, ["model.anchors.sizes=[[20],[44.5],[90],[200]]", "model.anchors.ratios=[0.33,1.25,2]"])
        assert settings_of(MOBILE, (), other) == (
            "model.anchors.sizes=[[20],[44.5],[90],[200]]",
            "model.anchors.ratios=[0.33,1.25,2]",
        )
        assert settings_of(MOBILE, (), MOBILE) == ()

    def test_what_was_set_stays_unless_it_is_changed(self):
        asked = ("data.bad_boxes=skip", "model.anchors.ratios = [1,2,3]", "model.input.short_side=400")
        config = override(MOBILE, asked)
        other = override(config, ["model.anchors.ratios=[0.5,1,1.5]"])
        found = settings_of(config, asked, other)
        assert found == ("data.bad_boxes=skip", "model.input.short_side=400", "model.anchors.ratios=[0.5,1,1.5]")
        assert override(MOBILE, found) == other


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only pictures of the same size are tried: each size takes a second."""
    monkeypatch.setattr(advice, "LARGER", ())


@pytest.fixture
def between(make_voc) -> Path:
    """Objects between the preset's sizes 24 and 48, 48 and 96: squares of 34 and of 68 px in pictures of its size."""
    places = range(20, 100, 11)
    pictures = {
        f"p{place}": [("cat", (place, place, place + 33, place + 33)), ("dog", (place, 100, place + 67, 167))]
        for place in places
    }
    return make_voc(pictures, splits={"trainval": list(pictures)[:7], "test": list(pictures)[7:]}, size=(240, 320))


def configured(command: str) -> tuple[list[str], Config]:
    """What a shell makes of a command: the words before `--set`, and the preset with what follows."""
    words = shlex.split(command)
    place = words.index("--set")
    return words[:place], override(load_preset(words[2]), words[place + 1 :])


class TestAdvise:
    def check_the_laws(self, found: AnchorAdvice) -> None:
        for suggestion in found.suggestions:
            trial, anchors = suggestion.trial, found.now.config.model.anchors
            assert (trial.reached >= found.now.reached).all()
            assert [len(sizes) for sizes in trial.config.model.anchors.sizes] == [len(sizes) for sizes in anchors.sizes]
            _, config = configured(suggestion.command)
            assert config == trial.config
            build_from_config(config.model, ["cat"])

    @pytest.mark.usefixtures("_quick")
    def test_other_anchors(self, between):
        asked = ["data.validation=0.2", "data.bad_boxes=skip"]
        found = advise_on_anchors([between], "tiny", asked)
        assert (found.pictures, len(found.now.fit), found.searched) == (6, 12, 12)  # a seventh picture is held out
        (suggestion,) = found.suggestions
        self.check_the_laws(found)
        assert suggestion.settings[:2] == tuple(asked)
        words, config = configured(suggestion.command)
        assert words == ["frcnn", "train", "tiny", "--data", str(between)]
        assert config.model.input == TINY.model.input
        assert suggestion.trial.fit.share_reaching(0.7) > found.now.fit.share_reaching(0.7) + 0.3
        assert [group.name for group in found.groups] == ["all", "medium", "cat", "dog"]
        assert found.groups_as_advised[0].reached[2] == suggestion.trial.fit.share_reaching(0.7)

    @pytest.mark.usefixtures("_quick")
    def test_anchors_that_fit_are_left_alone(self, between):
        settings = ["model.anchors.sizes=[[34],[68],[128],[192]]", "model.anchors.ratios=[0.8,1,1.25]"]
        found = advise_on_anchors([between], "tiny", settings)
        assert found.suggestions == ()
        assert found.groups == found.groups_as_advised

    @pytest.mark.usefixtures("_quick")
    def test_anchors_are_sought_with_some_and_measured_with_all(self, between, monkeypatch):
        """Two objects in each picture: with the third there are enough."""
        monkeypatch.setattr(advice, "SOUGHT_WITH", 5)
        found = advise_on_anchors([between], "tiny", ["data.validation=0"])
        assert (found.searched, len(found.now.fit)) == (6, 14)
        assert all(len(trial.fit) == 14 for trial in found.trials)

    def test_larger_pictures_for_objects_that_fall_between_cells(self, make_voc, monkeypatch):
        """Of 6 px on a finest stride of 8."""
        monkeypatch.setattr(advice, "LARGER", (1.5,))
        places = range(30, 200, 17)
        pictures = {f"p{n}": [("cat", (n, n, n + 5, n + 5)), ("cat", (n + 40, 31, n + 45, 36))] for n in places}
        found = advise_on_anchors([make_voc(pictures, splits={"train": list(pictures)}, size=(240, 320))], "tiny")
        self.check_the_laws(found)
        last = found.suggestions[-1].trial
        assert (last.title, last.config.model.input.short_side) == ("short side 360", 360)
        assert last.pixels == 2.25 * found.now.pixels
        assert last.fit.share_reaching(0.5) > found.now.fit.share_reaching(0.5) + 0.2

    @pytest.mark.usefixtures("_quick")
    def test_one_object(self, make_voc):
        one = make_voc({"a": [("cat", (1, 1, 64, 48))], "b": []}, splits={"train": ["a"], "val": ["b"]})
        self.check_the_laws(advise_on_anchors([one], "tiny"))

    def test_only_difficult_objects(self, make_voc):
        voc = make_voc({"a": [("cat", (1, 1, 20, 30), True)]}, splits={"train": ["a"]})
        with pytest.raises(DataError, match="VOC2007: no picture to train on has an object"):
            advise_on_anchors([voc], "tiny")

    def test_settings_are_checked_before_data_is_touched(self, tmp_path):
        with pytest.raises(ConfigError, match="tinny"):
            advise_on_anchors([tmp_path / "nowhere"], "tinny")
        with pytest.raises(ConfigError, match=r"model\.anchors\.sizes has 1 levels, the backbone 4"):
            advise_on_anchors([tmp_path / "nowhere"], "tiny", ["model.anchors.sizes=[[32]]"])

    @pytest.mark.slow
    @pytest.mark.parametrize("preset", ["mobilenet_v2_fpn", "vgg16"])
    def test_blood_cells(self, shared, preset):
        """Platelets are smaller than the paper's anchors, and at the lower end of those of the small network."""
        found = advise_on_anchors([shared / "data" / "BCCD"], preset, ["data.bad_boxes=skip"])
        self.check_the_laws(found)
        now, then = (
            {group.name: group.reached for group in groups} for groups in (found.groups, found.groups_as_advised)
        )
        assert then["Platelets"][1] > now["Platelets"][1] + 0.1
        assert then["all"][2] > now["all"][2] + 0.05
