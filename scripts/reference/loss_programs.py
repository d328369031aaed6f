"""Losses as programs of the outputs and a target, and samplers of targets: what losses.py exports to test/fixtures/losses."""

import math

import torch
from torch import nn
from torch.nn import functional as F


class LogCosh(nn.Module):
    """With a parameter and a buffer of its own, which are constants of the problem."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([0.5, 1, 2, 1.5]))
        self.register_buffer("offset", torch.tensor([0.1, 0, -0.1, 0.2]))

    def forward(self, y, target):
        return ((y - target) * self.scale + self.offset).cosh().log().sum(1)


class StudentT(nn.Module):
    """Negative log-likelihood, up to a constant: the Hessian of a row is full, and not always positive."""

    def forward(self, y, target):
        return 4 * torch.log1p((y - target).square().sum(1) / 4)


class SquaredRows(nn.Module):
    def forward(self, y, target):
        return (y - target).square().sum(1)


class GaussianSampler(nn.Module):
    """Of the distribution of which the squared error is the negative log-likelihood."""

    def forward(self, y, uniform):
        return y + torch.erfinv(2 * uniform - 1)


class CrossEntropyRows(nn.Module):
    def forward(self, y, target):
        return F.cross_entropy(y, target, reduction="none")


class ClassSampler(nn.Module):
    def forward(self, y, uniform):
        below = F.softmax(y, 1).cumsum(1) <= uniform[:, :1]
        return below.sum(1).clamp(max=y.shape[1] - 1)


class Clicks(nn.Module):
    """Linear in the outputs, with a column of a target."""

    def forward(self, y, target):
        return (y * target).sum(1, keepdim=True)


class MarkedRows(nn.Module):
    """With a target of truth values, which it negates."""

    def forward(self, y, target):
        return torch.where(target, y.sin(), y.square()).sum(1) + ((~target).sum(1) * y[:, 0]).exp()


class Energy(nn.Module):
    """Of the outputs alone."""

    def forward(self, y):
        return (y.square() - 1).square().sum(1) / 4


class Residual(nn.Module):
    """A model that gives its own loss: the squared residual of u' = cos(x) u at the rows of x, [N, 1]."""

    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(1, 4), nn.Linear(4, 1)

    def forward(self, x):
        hidden = torch.tanh(self.inner(x))
        slope = ((1 - hidden.square()) * self.inner.weight[:, 0]) @ self.outer.weight[0]
        return (slope - torch.cos(x[:, 0]) * self.outer(hidden)[:, 0]).square() / math.tau


class ScalarLoss(nn.Module):
    def forward(self, y, target):
        return F.mse_loss(y, target)


class MixedRows(nn.Module):
    def forward(self, y, target):
        return (y - y.mean(0) - target).square().sum(1)


class TwoTargets(nn.Module):
    def forward(self, y, target, weight):
        return (weight * (y - target).square()).sum(1)


# name, module, kinds of its inputs after the outputs
LOSSES = {
    "log-cosh": (LogCosh, ("like",)),
    "student-t": (StudentT, ("like",)),
    "squared-rows": (SquaredRows, ("like",)),
    "cross-entropy-rows": (CrossEntropyRows, ("class",)),
    "clicks": (Clicks, ("like",)),
    "marked-rows": (MarkedRows, ("marks",)),
    "energy": (Energy, ()),
    "gaussian-sampler": (GaussianSampler, ("like",)),
    "class-sampler": (ClassSampler, ("like",)),
    "refused-scalar": (ScalarLoss, ("like",)),
    "refused-mixed": (MixedRows, ("like",)),
    "refused-two-targets": (TwoTargets, ("like", "like")),
}
OUTPUTS = 4


def examples(kinds, outputs=OUTPUTS):
    made = {
        "like": lambda: torch.randn(3, outputs, dtype=torch.float64),
        "marks": lambda: torch.rand(3, outputs) < 0.5,
        "class": lambda: torch.randint(0, outputs, (3,)),
    }
    return tuple(made[kind]() for kind in ("like", *kinds))
