import frcnn.demo


def test_options_reach_the_demo(run, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(frcnn.demo, "demo", lambda *arguments, **options: calls.append((*arguments, options)))
    assert run("demo", "--out", tmp_path, "--seed", 7, "--device", "cpu").status == 0
    assert calls == [(tmp_path, 7, {"device": "cpu"})]


def test_a_folder_that_holds_something_else_is_wrong_usage(run, tmp_path):
    (tmp_path / "a.txt").write_text("mine")
    outcome = run("demo", "--out", tmp_path)
    assert outcome.status == 2
    assert outcome.error == f"frcnn: {tmp_path}: holds something else: name another folder with --out\n"
