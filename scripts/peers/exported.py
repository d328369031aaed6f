"""Models that reach torch-curvature as .pt2 files.

    python exported.py NAME FILE ROWS    exports one, with any batch size, and prints {"xShape", "parameters"} as JSON
"""

import json
import sys

import torch
from torch import nn


class Cnn(nn.Sequential):
    """Images of 3×16×16, ten classes, about 100 k parameters."""

    shape = (3, 16, 16)

    def __init__(self):
        super().__init__(
            nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1, stride=2), nn.ReLU(),
            nn.Conv2d(64, 64, 3, padding=1, stride=2), nn.ReLU(),
            nn.Flatten(), nn.Linear(1024, 48), nn.ReLU(), nn.Linear(48, 10),
        )


class Transformer(nn.Module):
    """Sequences of 16 vectors of 32, two pre-norm encoder blocks of width 64, about 100 k parameters."""

    shape = (16, 32)

    def __init__(self, width=64, heads=4, blocks=2):
        super().__init__()
        self.embed = nn.Linear(32, width)
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(blocks)])
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        x = self.embed(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean(dim=1))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        rows, length, width = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(rows, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        scores = (q @ k.transpose(-1, -2)) / (width // self.heads) ** 0.5
        mixed = (scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(rows, length, width)
        x = x + self.out(mixed)
        return x + self.down(nn.functional.gelu(self.up(self.norm2(x))))


MODELS = {"cnn": Cnn, "transformer": Transformer}


def main():
    name, file, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    x = torch.randn(4, *model.shape)
    program = torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},))
    torch.export.save(program, file)
    parameters = sum(p.numel() for p in model.parameters())
    print(json.dumps({"xShape": [rows, *model.shape], "parameters": parameters}))


if __name__ == "__main__":
    main()
