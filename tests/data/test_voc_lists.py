"""Lists of another name, and lines that name no file: what the message makes of them."""

from frcnn.data.voc_lists import explain_missing, explain_no_split, other_lists


def test_lists_of_another_name(make_voc):
    root = make_voc({"a": []}, {"train": ["a"], "default": ["a"], "dog_train": ["a"], "Train": ["a"]})
    assert other_lists(root) == ["Train.txt", "default.txt", "dog_train.txt"]
    assert explain_no_split(root) == (
        "none of train.txt, val.txt, trainval.txt, test.txt but Train.txt, default.txt, dog_train.txt: "
        "write trainval.txt, or take ImageSets away, and all pictures are trainval"
    )


def test_no_list(make_voc):
    root = make_voc({"a": []}, {"train": ["a"]})
    assert other_lists(root) == []
    assert explain_no_split(root).startswith("none of train.txt, val.txt, trainval.txt, test.txt: write")


def test_a_flag_behind_a_name(make_voc):
    """As the lists of one class have it: the second blank is theirs."""
    folder = make_voc({"000027": []}) / "Annotations"
    for written in ("000027  1", "000027 -1", "000027 0"):
        assert "the list is one of a class" in explain_missing(folder / f"{written}.xml")
        assert "leave '000027' alone in the line" in explain_missing(folder / f"{written}.xml")
    for written in ("000027 2", "000028 1", "000027", "000028"):
        assert explain_missing(folder / f"{written}.xml") == ""


def test_an_ending_behind_a_name(make_voc):
    folder = make_voc({"a.b": []}) / "Annotations"
    for written in ("a.b.jpg", "a.b.PNG", "a.b.xml"):
        assert explain_missing(folder / f"{written}.xml") == ("names stand in a list without their ending: write 'a.b'")
    for written in ("a.c.jpg", "a.b", "a.b.c"):
        assert explain_missing(folder / f"{written}.xml") == ""
