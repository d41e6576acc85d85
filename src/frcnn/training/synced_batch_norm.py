"""Live batch norm over the pictures of all processes: what one process would compute on the whole batch.

torch's own nn.SyncBatchNorm refuses the CPU, and takes every process's pictures for real; and no batch norm of torch's
takes a single feature, as the smallest pictures leave of a last batch.
"""

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm whose mini-batch is what all processes hold together (Batch Normalization, Alg. 1; MegDet, Sec. 3.3).

    Shares may differ in pictures and in size. Each process goes back from the loss of its own share, and its gradients
    are of the sum of all losses: so all must run the same layers, forward and back, in one order. A process without a
    share runs a stand-in picture, with `share_weight` 0 and its loss times 0.
    """

    share_weight: float = 1.0  # how much this process's features count

    def forward(self, input: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        """Normalised by all processes' mean and variance; in evaluation mode, or in one process, plain batch norm.

        A single feature a channel, which torch refuses, says nothing of a variance: it is normalised by the running
        statistics, and these stay as they are.
        """
        if not self.training or (number_of_processes() == 1 and input[:, 0].numel() != 1):
            return super().forward(input)
        self._check_input_dim(input)
        mean, variance, count = shared_statistics(input.detach(), self.share_weight)
        self._track(mean, variance, count)
        mean, variance, per_feature = self._normalisers(mean, variance, count)
        weight = torch.ones_like(mean) if self.weight is None else self.weight
        bias = torch.zeros_like(mean) if self.bias is None else self.bias
        tied, weight, bias = _TiedByStatistics.apply(input, weight, bias, mean, variance, per_feature, self.eps)
        return F.batch_norm(tied, mean, variance, weight, bias, eps=self.eps)

    def _normalisers(
        self, mean: Float[Tensor, " C"], variance: Float[Tensor, " C"], count: Float[Tensor, ""]
    ) -> tuple[Float[Tensor, " C"], Float[Tensor, " C"], Float[Tensor, ""]]:
        """The mean and the variance to normalise by, and how much each feature here moves that mean."""
        per_feature = self.share_weight / count.clamp(min=1)
        if self.running_mean is None or self.running_var is None:
            return mean, variance, per_feature
        is_told = count > 1
        mean = torch.where(is_told, mean, self.running_mean.to(mean))
        variance = torch.where(is_told, variance, self.running_var.to(variance))
        return mean, variance, per_feature * is_told

    @torch.no_grad()
    def _track(self, mean: Float[Tensor, " C"], variance: Float[Tensor, " C"], count: Float[Tensor, ""]) -> None:
        """The running statistics, by nn.BatchNorm2d's rule; one or no feature leaves them as they are.

        A single feature is not counted as a batch; an empty batch is, as torch has it.
        """
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(count != 1)
        momentum = 1 / max(1.0, float(self.num_batches_tracked)) if self.momentum is None else self.momentum
        step = momentum * (count > 1).to(self.running_mean)
        unbiased = variance * (count / (count - 1).clamp(min=1))
        self.running_mean.lerp_(mean.to(self.running_mean), step)
        self.running_var.lerp_(unbiased.to(self.running_var), step)


class _TiedByStatistics(torch.autograd.Function):
    """Changes nothing on the way there; on the way back adds what every feature does to all others.

    A batch norm with given statistics stands behind it. Its derivatives for weight and bias, the sums of g * x and of g
    (x is normalised), are just what the derivative through mean and variance needs, summed over all processes.
    """

    @staticmethod
    def forward(
        ctx: Any,
        features: Float[Tensor, "N C H W"],
        weight: Float[Tensor, " C"],
        bias: Float[Tensor, " C"],
        mean: Float[Tensor, " C"],
        variance: Float[Tensor, " C"],
        per_feature: Float[Tensor, ""],
        eps: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.save_for_backward(features, weight, mean, variance, per_feature)
        ctx.eps = eps
        return features.view_as(features), weight.view_as(weight), bias.view_as(bias)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  (the decorator hides the names)
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor | None, ...]:
        of_features, of_weight, of_bias = gradients
        if ctx.needs_input_grad[0]:
            features, weight, mean, variance, per_feature = ctx.saved_tensors
            sums = torch.stack((of_weight, of_bias))
            if number_of_processes() > 1:
                dist.all_reduce(sums)
            by_normalised, by_mean = sums * per_feature * weight * (variance + ctx.eps).rsqrt()
            of_features = of_features - F.batch_norm(features, mean, variance, by_normalised, by_mean, eps=ctx.eps)
        return of_features, of_weight, of_bias, None, None, None, None


@torch.no_grad()
def shared_statistics(
    features: Float[Tensor, "N C H W"], share_weight: float
) -> tuple[Float[Tensor, " C"], Float[Tensor, " C"], Float[Tensor, ""]]:
    """Mean, biased variance and number of features a channel over all processes, the same numbers in each of them.

    Variances are joined, not sums of squares, whose difference rounding would eat where the mean is large.
    """
    means, variances, counts = torch.stack(_gathered(_own_statistics(features, share_weight))).unbind(1)
    count = counts.sum(0)
    shares = counts / count.clamp(min=1)
    mean = (shares * means).sum(0)
    variance = (shares * (variances + (means - mean).square())).sum(0)
    return mean, variance, count[0]


def _gathered(mine: Tensor) -> list[Tensor]:
    """Every process's, in their order."""
    if number_of_processes() == 1:
        return [mine]
    rows = [torch.empty_like(mine) for _ in range(number_of_processes())]
    dist.all_gather(rows, mine)
    return rows


def _own_statistics(features: Float[Tensor, "N C H W"], share_weight: float) -> Float[Tensor, "3 C"]:
    """Mean, biased variance and weighted count, a column a channel; zeros where nothing counts."""
    features = features.to(torch.promote_types(features.dtype, torch.float32))  # of half types: in float32
    count = share_weight * features[:, 0].numel()
    if count == 0:
        return features.new_zeros(3, features.shape[1])
    mean, variance = torch.batch_norm_update_stats(features, None, None, 0.0)  # many times faster than torch.var_mean
    return torch.stack((mean, variance, torch.full_like(mean, count)))


def number_of_processes() -> int:
    """1 where none were joined."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def synced(model: nn.Module) -> nn.Module:
    """The model with every live batch norm synced, in place: parameters and buffers stay the tensors they are.

    A model that is itself a batch norm cannot be changed in place: its twin is returned.
    """
    if type(model) is nn.BatchNorm2d:  # no subclass: it may normalise otherwise
        return _synced_twin(model)
    for name, child in model.named_children():
        setattr(model, name, synced(child))
    return model


def _synced_twin(layer: nn.BatchNorm2d) -> SyncedBatchNorm2d:
    twin = SyncedBatchNorm2d(layer.num_features, layer.eps, layer.momentum, layer.affine, layer.track_running_stats)
    for name, tensor in (*layer.named_parameters(), *layer.named_buffers()):
        setattr(twin, name, tensor)
    return twin.train(layer.training)


def set_share(model: nn.Module, weight: float) -> None:
    """How much this process's features count in every synced batch norm: 0 for a stand-in, else 1."""
    for layer in model.modules():
        if isinstance(layer, SyncedBatchNorm2d):
            layer.share_weight = weight


def statistics_of(model: nn.Module) -> list[Tensor]:
    """What synced batch norms learn from features, without the solver."""
    return [buffer for layer in model.modules() if isinstance(layer, SyncedBatchNorm2d) for buffer in layer.buffers()]
