import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from frcnn.errors import DiskError, FrcnnError
from frcnn.training import checkpoint
from frcnn.training.checkpoint import Progress, load_state, newest_state, save_state, states


def trained(seed: int = 0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.randn(2, 3, 8, 8)).square().sum().backward()
    optimizer.step()
    return model, optimizer


def test_a_state_brings_back_weights_momentum_and_place(tmp_path):
    model, optimizer = trained()
    save_state(tmp_path / "state", model, optimizer, Progress(step=7, evaluated_step=5, best_map=0.25, seconds=1.5))
    other, other_optimizer = trained(seed=1)
    newest = newest_state(tmp_path / "state")
    assert newest is not None
    assert load_state(newest, other, other_optimizer) == Progress(step=7, evaluated_step=5, best_map=0.25, seconds=1.5)
    for mine, theirs in zip(other.state_dict().values(), model.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)
    for (name, mine), theirs in zip(other.named_parameters(), model.parameters(), strict=True):
        momentum = other_optimizer.state[mine]["momentum_buffer"]
        assert torch.equal(momentum, optimizer.state[theirs]["momentum_buffer"]), name


def test_adamw_goes_on_as_if_it_had_not_stopped(tmp_path):
    def step(model, optimizer):
        optimizer.zero_grad()
        model(torch.linspace(-1, 1, 6).view(2, 3)).square().sum().backward()
        optimizer.step()

    def begun(seed):
        torch.manual_seed(seed)
        model = nn.Linear(3, 2)
        return model, torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)

    model, optimizer = begun(0)
    step(model, optimizer)
    state = save_state(tmp_path, model, optimizer, Progress(step=1))
    other, other_optimizer = begun(1)
    load_state(state, other, other_optimizer)
    step(model, optimizer)
    step(other, other_optimizer)
    assert torch.equal(model.weight, other.weight)
    assert torch.equal(model.bias, other.bias)


def test_the_last_two_are_kept(tmp_path):
    model, optimizer = trained()
    for step in (1, 2, 10, 11):
        save_state(tmp_path, model, optimizer, Progress(step=step))
    assert [path.name for path in states(tmp_path)] == ["step_00000010.safetensors", "step_00000011.safetensors"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [path.name for path in states(tmp_path)]


def test_a_torn_state_is_passed_over(tmp_path):
    model, optimizer = trained()
    before = save_state(tmp_path, model, optimizer, Progress(step=1))
    newest = save_state(tmp_path, model, optimizer, Progress(step=2))
    newest.write_bytes(newest.read_bytes()[:100])
    assert newest_state(tmp_path) == before
    with pytest.raises(FrcnnError, match="no whole state"):
        load_state(newest, model, optimizer)


def test_no_state(tmp_path):
    assert newest_state(tmp_path / "absent") is None


def test_the_state_of_another_model_is_refused(tmp_path):
    state = save_state(tmp_path, *trained(), Progress(step=1))
    other = nn.Linear(2, 2)
    with pytest.raises(FrcnnError, match="another model"):
        load_state(state, other, torch.optim.SGD(other.parameters(), lr=0.1))


def test_the_memory_of_another_solver_or_a_damaged_one_is_refused(tmp_path):
    """A fused solver would read beyond a tensor of another shape."""
    model, optimizer = trained()
    state = save_state(tmp_path, model, optimizer, Progress(step=1))
    with pytest.raises(FrcnnError, match="another solver"):
        load_state(state, model, torch.optim.AdamW(model.parameters()))
    with safe_open(state, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    save_file(tensors | {"momentum_buffer.0.bias": torch.zeros(9)}, state, metadata)
    with pytest.raises(FrcnnError, match="damaged"):
        load_state(state, model, optimizer)


@pytest.mark.parametrize("progress", ['{"step": "x"}', '{"step": -5}', "[1]", "{", '{"stop": 1}'])
def test_a_state_whose_place_makes_no_sense_is_passed_over(tmp_path, progress):
    state = save_state(tmp_path, *trained(), Progress(step=1))
    save_file(load_file(state), state, {"progress": progress})
    assert newest_state(tmp_path) is None


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    def full(*_, **__):
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoint, "save_file", full)

    def save(step):
        save_state(tmp_path, *trained(), Progress(step=step))

    with pytest.raises(DiskError, match=r"step_00000001\.safetensors: cannot be written .*No space left"):
        save(1)
    monkeypatch.undo()
    save(1)
    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(DiskError, match=r"step_00000002\.safetensors: cannot be written"):
        save(2)
    assert [path.name for path in tmp_path.iterdir()] == ["step_00000001.safetensors"]


def test_a_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / "state").touch()
    with pytest.raises(DiskError, match=r"state: cannot be made \(.*\)"):
        save_state(tmp_path / "state", *trained(), Progress(step=1))


def test_torn_states_take_no_place(tmp_path):
    """Whatever their numbers: a run that has passed over them would else lose every state that it writes."""
    model, optimizer = trained()
    for step in (2, 4, 40, 60):
        save_state(tmp_path, model, optimizer, Progress(step=step))
    for path in states(tmp_path):  # 40 and 60
        path.write_bytes(path.read_bytes()[:100])
    for step in (1, 2, 3):
        save_state(tmp_path, model, optimizer, Progress(step=step))
    assert [path.name for path in states(tmp_path)] == ["step_00000002.safetensors", "step_00000003.safetensors"]
