"""Writes test/fixtures/empty: models that have no parameters, no trainable ones, ones without elements, or no outputs, as
torch.export's .pt2 and as TorchScript's .pt. All take x of [batch, 2].

Run with PyTorch 2.13: python scripts/reference/empty.py
"""

import pathlib
import warnings

import torch
from models import exported, scripted
from torch import nn

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "test" / "fixtures" / "empty"


class Buffers(nn.Module):
    """All numbers are constants; they are looked up by integers, so that no input is floating."""

    def __init__(self):
        super().__init__()
        self.register_buffer("table", torch.randn(4, 3))

    def forward(self, x):
        return torch.nn.functional.embedding(x.long().abs() % 4, self.table).tanh().flatten(1)


class NoOutputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 3)

    def forward(self, x):
        return torch.tanh(self.layer(x))[:, :0]


class NoWidth(nn.Module):
    """Parameters of shapes [0, 2], [0] and [3, 0] among others."""

    def __init__(self):
        super().__init__()
        self.narrow = nn.Linear(2, 0)
        self.widen = nn.Linear(0, 3)
        self.last = nn.Linear(3, 1)

    def forward(self, x):
        return self.last(torch.tanh(self.widen(self.narrow(x))))


class OnlyEmpty(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(0, 2))

    def forward(self, x):
        return torch.nn.functional.linear(x, self.weight)


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, x):
        return torch.tanh(x)


def frozen():
    module = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    return module.requires_grad_(False)


MODELS = {
    "frozen": frozen,
    "buffers": Buffers,
    "no-outputs": NoOutputs,
    "no-width": NoWidth,
    "only-empty": OnlyEmpty,
    "unused": Unused,
}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    FOLDER.mkdir(exist_ok=True)
    for name, make in MODELS.items():
        torch.manual_seed(0)
        module = make().eval()
        exported(module, (torch.randn(3, 2),), True, FOLDER / f"{name}.pt2")
        scripted(module, FOLDER / f"{name}.pt")
