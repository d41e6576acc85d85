from frcnn.naming import counted, excerpt, pixels, printable, some_names, visible


def test_by_hand() -> None:
    assert counted(1, "box", "boxes") == "1 box"
    assert counted(0, "box", "boxes") == "0 boxes"
    assert counted(1234, "picture") == "1,234 pictures"
    assert some_names(["a", "b", "c"]) == "a, b, c"
    assert some_names(["a", "b", "c", "d"]) == "a, b, c ..."
    assert pixels((480, 640)) == "640x480"


def test_whatever_a_name_holds_it_stays_in_its_line() -> None:
    assert printable("a\nb\x1b[31m\udcff") == "a b [31m "
    assert printable("고양이 é.jpg") == "고양이 é.jpg"


def test_what_a_terminal_would_obey_is_seen_instead() -> None:
    assert visible("a\x1b[31m\t\x7f\x9b1m\r") == r"a\x1b[31m\x09\x7f\x9b1m\x0d"
    assert visible("고양이 👩\u200d🚒 é\u3000.jpg\nnext") == "고양이 👩\u200d🚒 é\u3000.jpg\nnext"


def test_no_value_fills_a_message() -> None:
    """Lists of lists that YAML's aliases make would be of ten thousand million words."""
    assert excerpt("a.jpg") == "'a.jpg'"
    assert excerpt("\udce9\n") == r"'\udce9\n'"
    assert excerpt([1, "b"]) == "[1, 'b']"
    assert len(excerpt("x" * 10**6)) == 60
    bomb: list = ["x"]
    for _ in range(10):
        bomb = [bomb] * 10
    assert excerpt(bomb) == "[[...], [...], [...], ...]"
