import math

import pytest
import torch
from torch import nn

from frcnn.config import TrainConfig, load_preset
from frcnn.training.optim import base_learning_rate, build_optimizer, learning_rate, set_learning_rate

PAPER = load_preset("vgg16").train


def schedule(**changes) -> TrainConfig:
    values = {
        "epochs": 1, "batch_size": 2, "lr": 0.1, "weight_decay": 5e-4, "warmup_steps": 0, "milestones": (0.7, 0.9),
    }  # fmt: skip
    return TrainConfig(**(values | changes))


def test_the_paper_s_solver():
    """Row 27: .001 for 50k of 70k iterations of 2 pictures, then .0001; momentum .9, decay 5e-4, biases at twice."""
    assert (PAPER.steps, PAPER.batch_size, PAPER.momentum, PAPER.weight_decay) == (70_000, 2, 0.9, 5e-4)
    rates = [learning_rate(step, 70_000, PAPER) for step in (0, 49_999, 50_000, 69_999)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4])
    assert (PAPER.bias_lr_factor, PAPER.bias_weight_decay) == (2.0, True)


def test_the_modern_rule_is_explicit():
    """Row 27: .02 for 16 pictures, in proportion to the batch; 1e-4; 12 epochs; a warm-up."""
    modern = load_preset("resnet50_fpn").train
    assert (modern.lr, modern.weight_decay, modern.epochs, modern.lr_scaling) == (0.02, 1e-4, 12, "linear")
    assert modern.warmup_steps > 0
    assert base_learning_rate(modern.model_copy(update={"batch_size": 16})) == pytest.approx(0.02)
    assert base_learning_rate(modern.model_copy(update={"batch_size": 2})) == pytest.approx(0.0025)


def test_warm_up_is_straight_and_meets_the_rate():
    config = schedule(warmup_steps=10, warmup_factor=0.1)
    assert learning_rate(0, 100, config) == pytest.approx(0.01)
    assert learning_rate(5, 100, config) == pytest.approx(0.055)
    assert learning_rate(10, 100, config) == pytest.approx(0.1)


def test_milestones_multiply():
    rates = [learning_rate(step, 100, schedule()) for step in (69, 70, 89, 90, 99)]
    assert rates == pytest.approx([0.1, 0.01, 0.01, 0.001, 0.001])


def test_biases_have_their_own_rate_and_decay_and_frozen_layers_none():
    """Row 27; and users' row 27: the rate is set from the step alone."""
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3))
    model[0].requires_grad_(False)
    optimizer = build_optimizer(model, PAPER)
    set_learning_rate(optimizer, 0.5)
    weights, biases = optimizer.param_groups  # there is no backbone here
    assert [p is model[1].weight for p in weights["params"]] == [True]
    assert (weights["lr"], weights["weight_decay"]) == (0.5, 5e-4)
    assert [p is model[1].bias for p in biases["params"]] == [True]
    assert (biases["lr"], biases["weight_decay"]) == (1.0, 5e-4)
    without = build_optimizer(model, PAPER.model_copy(update={"bias_weight_decay": False}))
    assert without.param_groups[1]["weight_decay"] == 0.0


def test_the_backbone_may_take_smaller_steps():
    model = with_a_body(stages=1)
    optimizer = build_optimizer(model, schedule(backbone_lr_factor=0.1, bias_lr_factor=2.0))
    set_learning_rate(optimizer, 1.0)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.1, 0.2, 1.0, 2.0])
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 1, 1, 1]


def with_a_body(stages: int) -> nn.Module:
    body = nn.ModuleDict({"stages": nn.ModuleList(nn.Linear(2, 2) for _ in range(stages))})
    return nn.ModuleDict({"backbone": nn.ModuleDict({"body": body}), "head": nn.Linear(2, 2)})


def test_each_stage_of_the_body_takes_a_share_of_the_one_above_it():
    """Layer-wise rates; a frozen stage is in no group, and the topmost one takes the body's whole rate."""
    model = with_a_body(stages=4)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("stages.0" not in name)
    optimizer = build_optimizer(model, schedule(backbone_lr_factor=0.5, stage_lr_factor=0.8, bias_lr_factor=3.0))
    set_learning_rate(optimizer, 2.0)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    found = {name: rates[id(p)] for name, p in model.named_parameters() if id(p) in rates}
    assert found == pytest.approx({
        "backbone.body.stages.1.weight": 0.64, "backbone.body.stages.1.bias": 1.92,
        "backbone.body.stages.2.weight": 0.8, "backbone.body.stages.2.bias": 2.4,
        "backbone.body.stages.3.weight": 1.0, "backbone.body.stages.3.bias": 3.0,
        "head.weight": 2.0, "head.bias": 6.0,
    })  # fmt: skip


def test_a_cosine_falls_to_nothing_after_its_warm_up():
    """Half of the rate in the middle; milestones do not count."""
    config = schedule(decay="cosine", warmup_steps=10, warmup_factor=0.0)
    rates = [learning_rate(step, 100, config) for step in (0, 5, 50, 75, 100)]
    risen = 0.5 * 0.1 * (1 + math.cos(math.pi * 0.05)) / 2
    assert rates == pytest.approx([0.0, risen, 0.05, 0.1 * (1 - math.sqrt(0.5)) / 2, 0.0])


def test_one_step_by_hand():
    """w - lr * (g + decay * w); the second adds momentum."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    optimizer = build_optimizer(model, schedule(momentum=0.9, weight_decay=0.1))
    set_learning_rate(optimizer, 0.5)
    expected = [1 - 0.5 * (2 + 0.1), 1 - 0.5 * (2 + 0.1)]
    expected[1] -= 0.5 * (0.9 * 2.1 + 2 + 0.1 * expected[0])
    for wanted in expected:
        model.weight.grad = torch.tensor([[2.0]])
        optimizer.step()
        assert model.weight.item() == pytest.approx(wanted)


def test_adamw_by_hand():
    """The first step moves by the rate whatever the gradient's size, after the weight has decayed by itself."""
    model = nn.Linear(1, 2, bias=False)
    nn.init.ones_(model.weight)
    optimizer = build_optimizer(model, schedule(optimizer="adamw", weight_decay=0.1))
    set_learning_rate(optimizer, 0.5)
    model.weight.grad = torch.tensor([[1000.0], [-0.001]])
    optimizer.step()
    decayed = 1 - 0.5 * 0.1
    assert model.weight.flatten().tolist() == pytest.approx([decayed - 0.5, decayed + 0.5], abs=1e-4)  # epsilon 1e-8


def test_the_fused_solver_is_the_plain_one_in_any_memory_format():
    """Channels last and not, with a memory: the fused solver runs over the numbers as they lie."""
    torch.manual_seed(0)
    config = load_preset("vgg16").train.model_copy(update={"lr": 0.1})
    fused = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 1)).to(memory_format=torch.channels_last)
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 1))
    plain.load_state_dict(fused.state_dict())
    ours = build_optimizer(fused, config)
    theirs = torch.optim.SGD(
        [
            {"params": [v for n, v in plain.named_parameters() if n.endswith("weight")]},
            {
                "params": [v for n, v in plain.named_parameters() if n.endswith("bias")],
                "lr": 0.1 * config.bias_lr_factor,
                "weight_decay": config.weight_decay if config.bias_weight_decay else 0.0,
            },
        ],
        lr=0.1,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
    )
    set_learning_rate(ours, 0.1)
    pixels = torch.randn(2, 3, 8, 8)
    for _ in range(3):
        for model, solver in ((fused, ours), (plain, theirs)):
            solver.zero_grad()
            model(pixels).square().mean().backward()
            solver.step()
    for mine, other in zip(fused.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine, other, check_stride=False)  # float32, in another order
