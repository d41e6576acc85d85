import pytest
import torch
from torch import Tensor, nn

from frcnn.config import override_sections
from frcnn.errors import ConfigError, ModelFileError, UsageError
from frcnn.model.detector import FasterRCNN
from frcnn.weights.build import build
from frcnn.weights.fine_tune import Kept, fine_tuned

OLD = ("cat", "bird", "dog", "고양이")
NEW = ("cow", "dog", "sheep", "cat", "horse")  # two kept, at other places
FILE = "runs/voc/best.safetensors"
LAST = ("head.classes.weight", "head.classes.bias", "head.deltas.weight", "head.deltas.bias")


@pytest.fixture
def source() -> FasterRCNN:
    """A network in which every tensor matters."""
    torch.manual_seed(3)
    sections = {"rpn": {"convolutions": 2}, "head": {"hidden": 48, "score_threshold": 0.1}}
    model = build("tiny", OLD, input={"short_side": 64, "long_side": 96}, **sections)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.7, 1.3)
            nn.init.normal_(layer.running_mean, std=0.1)
            nn.init.uniform_(layer.running_var, 0.2, 0.6)
            layer.num_batches_tracked.fill_(7)
    nn.init.normal_(model.head.classes.weight, std=0.3)
    nn.init.normal_(model.head.deltas.weight, std=0.05)
    for name in LAST[1::2]:
        nn.init.normal_(model.get_parameter(name), std=0.2)
    return model.eval()


@torch.no_grad()
def standardise(model: FasterRCNN, image: Tensor) -> None:
    """What the last layers say of this picture's regions gets mean 0 and a spread under which all classes are found."""
    said: list[Tensor] = []
    hook = model.head.hidden.register_forward_hook(lambda layer, inputs, output: said.append(output))
    model([image])
    hook.remove()
    for layer, spread in ((model.head.classes, 1.5), (model.head.deltas, 0.5)):
        values = layer(said[0])
        factor = spread / values.std(dim=0)
        layer.weight *= factor[:, None]
        layer.bias.copy_((layer.bias - values.mean(dim=0)) * factor)


def copied(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_the_same_classes_in_another_order_find_the_same(source: FasterRCNN) -> None:
    order = ("dog", "고양이", "cat", "bird")
    image = torch.rand(3, 60, 80, generator=torch.Generator().manual_seed(1))
    standardise(source, image)
    model, kept = fine_tuned(source, source.config, order, FILE)
    assert model.class_names == order
    assert (kept.kept, kept.new, kept.dropped) == (order, (), ())
    with torch.no_grad():
        (before,), (after,) = source([image]), model.eval()([image])
    for name in OLD:
        expected = before[before.class_ids == OLD.index(name)]
        found = after[after.class_ids == order.index(name)]
        assert len(expected) > 3
        # The softmax adds up in another order, in float32; pixels up to 80 have steps of 8e-6.
        torch.testing.assert_close(found.scores, expected.scores)
        torch.testing.assert_close(found.boxes, expected.boxes, rtol=0, atol=1e-4)


def test_all_but_the_last_layers_is_kept_bit_for_bit(source: FasterRCNN) -> None:
    model, _ = fine_tuned(source, source.config, NEW, FILE)
    state, expected = model.state_dict(), source.state_dict()
    assert state.keys() == expected.keys()
    for name in expected.keys() - set(LAST):
        assert torch.equal(state[name], expected[name]), name


def test_rows_of_the_same_name_and_of_the_background_are_kept_bit_for_bit(source: FasterRCNN) -> None:
    model, kept = fine_tuned(source, source.config, NEW, FILE)
    assert kept == Kept(("dog", "cat"), ("cow", "sheep", "horse"), ("bird", "고양이"), FILE)
    new, old = model.head, source.head
    for place, origin in ((1, 2), (3, 0), (5, 4)):  # dog, cat, background
        assert torch.equal(new.classes.weight[place], old.classes.weight[origin])
        assert torch.equal(new.classes.bias[place], old.classes.bias[origin])
    for place, origin in ((1, 2), (3, 0)):
        for row in range(4):
            assert torch.equal(new.deltas.weight[4 * place + row], old.deltas.weight[4 * origin + row])
            assert torch.equal(new.deltas.bias[4 * place + row], old.deltas.bias[4 * origin + row])


def test_new_classes_begin_near_uniform(source: FasterRCNN) -> None:
    """Weights of deviation 0.01 and 0.001: what they say of features f deviates by as much times |f|."""
    torch.manual_seed(5)
    model, _ = fine_tuned(source, source.config, NEW, FILE)
    new = [0, 2, 4]
    features = torch.rand(200, 48)
    logits, deltas = model.head.classes(features)[:, new], model.head.deltas(features).unflatten(1, (5, 4))[:, new]
    length = features.norm(dim=1)
    assert (logits.abs().amax(1) < 5 * 0.01 * length).all()
    assert (deltas.abs().amax((1, 2)) < 5 * 0.001 * length).all()
    assert (logits.abs().amax(1) > 0).all()
    assert model.head.classes.bias[new].eq(0).all()


def test_new_rows_are_drawn_from_the_global_generator(source: FasterRCNN) -> None:
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(copied(fine_tuned(source, source.config, NEW, FILE)[0]))
    first, same, other = drawn
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert [name for name in first if not torch.equal(first[name], other[name])] == [
        "head.classes.weight",
        "head.deltas.weight",
    ]


def test_the_source_stays_as_it_is_and_shares_nothing(source: FasterRCNN) -> None:
    before = copied(source)
    model, _ = fine_tuned(source, source.config, OLD, FILE)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.add_(1)
    assert all(torch.equal(value, before[name]) for name, value in source.state_dict().items())
    assert source.class_names == OLD
    assert not source.training


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_any_float_format_and_layout_becomes_what_training_takes(source: FasterRCNN, dtype: torch.dtype) -> None:
    source = source.to(dtype).to(memory_format=torch.channels_last)
    model, _ = fine_tuned(source, source.config, NEW, FILE)
    expected = source.state_dict()
    for name, value in model.state_dict().items():
        assert value.is_contiguous()
        if value.is_floating_point():
            assert value.dtype == torch.float32
        if name not in LAST:
            torch.testing.assert_close(value, expected[name].to(value), rtol=0, atol=0, check_stride=False)
    assert torch.equal(model.head.classes.weight[1], source.head.classes.weight[2].float())  # dog


def test_other_settings_take_over_the_weights(source: FasterRCNN) -> None:
    sections = {"backbone": {"frozen_stages": 2, "batch_norm": "frozen"}, "input": {"short_side": 96}}
    config = override_sections(source.config, sections)
    model, _ = fine_tuned(source, config, NEW, FILE)
    assert model.config == config
    assert not any(parameter.requires_grad for parameter in model.backbone.body.stages[1].parameters())
    state, expected = model.state_dict(), source.state_dict()
    assert "backbone.body.stages.0.1.num_batches_tracked" not in state
    assert all(torch.equal(state[name], expected[name]) for name in state.keys() - set(LAST))
    back, _ = fine_tuned(model, source.config, OLD, FILE)  # live again: steps are counted anew
    assert back.backbone.body.stages[0][1].num_batches_tracked == 0
    assert torch.equal(back.head.classes.weight[2], source.head.classes.weight[2])


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        ({"head": {"hidden": 32}}, "'head.hidden.1.weight' is (48, 3136) in these weights, but (32, 3136) in the"),
        ({"anchors": {"ratios": (0.5, 1.0)}}, "'rpn.objectness.weight' is (3, 64, 1, 1) in these weights, but (2, 64"),
        ({"backbone": {"batch_norm": "folded"}}, "'backbone.body.stages.0.0.bias' is absent in these weights, but (16"),
        ({"rpn": {"convolutions": 1}}, "'rpn.convolutions.1.weight' is (64, 64, 3, 3) in these weights, but absent in"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_one_line(source: FasterRCNN, sections: dict, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        fine_tuned(source, override_sections(source.config, sections), NEW, FILE)
    assert str(caught.value).startswith(f"{FILE}: the tensor {reason}")
    assert str(caught.value).endswith("start without the weights")
    assert "\n" not in str(caught.value)


def test_what_cannot_be_is_refused(source: FasterRCNN) -> None:
    with pytest.raises(UsageError, match="'cow' is there twice"):
        fine_tuned(source, source.config, ["cow", "cow"], FILE)
    with pytest.raises(ConfigError, match=r"anchors\.sizes"):
        fine_tuned(source, override_sections(source.config, {"anchors": {"sizes": ((32.0,),)}}), NEW, FILE)
    nn.init.constant_(source.head.deltas.bias, float("nan"))
    with pytest.raises(ModelFileError, match=rf"{FILE}: the tensor 'head\.deltas\.bias' holds NaN"):
        fine_tuned(source, source.config, OLD, FILE)


@pytest.mark.parametrize(
    ("kept", "line"),
    [
        (
            Kept(("cat", "dog"), ("cow",), ("bird",), FILE),
            "all layers; of the head's classes kept cat, dog; new: cow; left behind: bird",
        ),
        (Kept(("cat",), ("cow",), (), FILE), "all layers; of the head's classes kept cat; new: cow"),
        (Kept(("cat",), (), ("cow",), FILE), "all layers; of the head's classes kept cat; left behind: cow"),
        (Kept(("dog", "cat"), (), (), FILE), "all layers; all classes are kept"),
        (
            Kept((), ("cow",), tuple("abcdefghij"), FILE),
            "all layers; of the head's classes kept none but the background; new: cow; "
            "left behind: a, b, c, d, e, f, g, h and 2 more",
        ),
    ],
)
def test_one_line_tells_what_is_kept(kept: Kept, line: str) -> None:
    assert kept.describe() == f"Weights of {FILE}: {line}"
