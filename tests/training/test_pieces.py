"""What is drawn for each picture of each step."""

from frcnn.training.pieces import seed_of_picture


def test_seeds_of_pictures_and_steps_differ():
    drawn = {seed_of_picture(seed, step, i) for seed in range(3) for step in range(100) for i in range(20)}
    assert len(drawn) == 6000
    assert all(0 <= seed < 2**63 for seed in drawn)
