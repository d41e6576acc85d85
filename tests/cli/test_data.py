from frcnn.data.dataset import load_dataset


def test_sample_writes_a_data_set_and_says_what_to_do_with_it(run, tmp_path):
    outcome = run("data", "sample", tmp_path / "new" / "sample", "--pictures", 12, "--seed", 3)
    assert (outcome.status, outcome.error) == (0, "")
    assert f"frcnn train tiny --data {tmp_path / 'new' / 'sample'}" in outcome.out
    sizes = [len(load_dataset([tmp_path / "new" / "sample"], split)) for split in ("trainval", "test")]
    assert sum(sizes) == 12
