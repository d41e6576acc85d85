"""Misspelt names, by hand: better none than a right one."""

import unicodedata

import pytest

from frcnn.data.checking.class_names import Slip, difference, find_misspelt, is_one_edit

VOC = (
    "aeroplane,bicycle,bird,boat,bottle,bus,car,cat,chair,cow,diningtable,dog,horse,motorbike,person,pottedplant,sheep,"
    "sofa,train,tvmonitor"
)
COCO = (
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,parking meter,"
    "bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,tie,suitcase,frisbee,skis,"
    "snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,wine glass,cup,"
    "fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,"
    "potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,"
    "refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush"
)
OTHERS = "RBC,WBC,Platelets,cup,cap,class 1,class 2,type_a,type_b,mask,no mask,male,female"
KOREAN = (
    "사람,자전거,자동차,차,기차,버스,트럭,배,새,개,소,말,양,곰,고양이,강아지,코끼리,얼룩말,기린,우산,의자,소파,침대,화분,"
    "책,시계,컵,칼,포크,숟가락,그릇,바나나,사과,오렌지,당근,피자,도넛,케이크,신호등,병,냉장고,오븐,헬멧,안전모,안전화"
)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("person", "persn", True),
        ("person", "perrson", True),
        ("person", "parson", True),
        ("person", "perosn", True),
        ("person", "persons", True),
        ("bus", "buses", True),
        ("person", "persona grata", False),
        ("person", "pesrno", False),
        ("person", "person", False),
        ("ab", "ba", True),
        ("", "a", True),
        ("", "ab", False),
    ],
)
def test_one_edit(first: str, second: str, expected: bool) -> None:
    assert is_one_edit(first, second) is expected
    assert is_one_edit(second, first) is expected


def test_differences() -> None:
    assert difference("person", "persn") == ("o", "")
    assert difference("aab", "ab") == ("a", "")
    assert difference("horse", "house") == ("r", "u")
    assert difference("same", "same") == ("", "")


def test_rare_ones_near_frequent_ones() -> None:
    counts = {"person": 900, "persn": 2, "persons": 1, "bicycle": 300, "bicylce": 1, "cat": 500, "car": 1, "dog": 3}
    assert find_misspelt(counts, declared=False) == {
        "persn": Slip("person", True),
        "persons": Slip("person", True),
        "bicylce": Slip("bicycle", True),
    }


@pytest.mark.parametrize(
    ("name", "rare", "right", "frequent"),
    [
        ("hose", 1, "horse", 7),
        ("house", 2, "horse", 500),  # so it may be, and so it may not
        ("강아치", 1, "강아지", 7),
        ("고양아", 2, "고양이", 12),
        ("사람들", 3, "사람", 30),
        ("bicycels", 1, "bicycles", 12),
        ("traffic lihgt", 1, "traffic light", 8),
        ("buses", 2, "bus", 10),
        ("brid", 2, "bird", 40),
        ("brid", 1, "bird", 20),
        ("acr", 1, "car", 50),
    ],
)
def test_a_doubt_is_told_of_small_sets_too(name: str, rare: int, right: str, frequent: int) -> None:
    assert find_misspelt({name: rare, right: frequent}, declared=False) == {name: Slip(right, False)}


def test_hangul_is_compared_by_jamo_however_it_is_stored() -> None:
    decomposed = unicodedata.normalize("NFD", "고양이")
    assert find_misspelt({"고양이": 3, decomposed: 2}, declared=True) == {decomposed: Slip("고양이", True)}
    assert find_misspelt({"고양이": 9, "고 양이": 1}, declared=True) == {"고 양이": Slip("고양이", True)}
    assert find_misspelt({"고양이": 70, "강아지": 1}, declared=False) == {}


@pytest.mark.parametrize("names", [VOC, COCO, OTHERS, KOREAN], ids=["voc", "coco", "others", "korean"])
def test_right_names_are_right_however_rare(names: str) -> None:
    every = names.split(",")
    for frequent in every:
        assert find_misspelt(dict.fromkeys(every, 1) | {frequent: 1000}, declared=False) == {}


@pytest.mark.parametrize(
    "counts", [{"car": 300, "cart": 20}, {"소": 900, "손": 1}, {"bowl": 30, "bow": 2}, {"bear": 19, "pear": 1}]
)
def test_of_short_words_many_are_an_edit_apart(counts: dict[str, int]) -> None:
    assert find_misspelt(counts, declared=False) == {}


def test_a_slip_is_of_a_right_name() -> None:
    assert find_misspelt({"horses": 900, "horse": 12, "hose": 1}, declared=False) == {"horse": Slip("horses", False)}


@pytest.mark.parametrize("declared", [True, False])
def test_case_and_spaces_make_no_other_class(declared: bool) -> None:
    counts = {"traffic light": 20, "Traffic_Light": 30, "trafficlight": 1, "van": 4, "Van": 4}
    assert find_misspelt(counts, declared=declared) == {
        "traffic light": Slip("Traffic_Light", True),
        "trafficlight": Slip("Traffic_Light", True),
        "van": Slip("Van", True),
    }


def test_what_was_chosen_from_a_list_is_not_misspelt() -> None:
    assert find_misspelt({"horse": 500, "house": 2}, declared=True) == {}


def test_names_that_are_all_frequent_or_all_rare_are_right() -> None:
    assert find_misspelt({"horse": 500, "house": 200}, declared=False) == {}
    assert find_misspelt({"horse": 4, "house": 1}, declared=False) == {}
    assert find_misspelt({}, declared=False) == {}
