"""Writes models/mlp.pt2, the model of the example: a small network with random weights, for any batch.

Run with PyTorch 2.13: python scripts/examples/server/export.py
"""

import pathlib

import torch
from torch import nn

FILE = pathlib.Path(__file__).resolve().parent / "models" / "mlp.pt2"

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1)).eval()
batch = torch.export.Dim("batch", min=1, max=65536)
program = torch.export.export(model, (torch.randn(3, 4),), dynamic_shapes=({0: batch},))
FILE.parent.mkdir(exist_ok=True)
torch.export.save(program, str(FILE))
