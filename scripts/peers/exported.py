"""Models that reach torch-curvature as .pt2 files.

    python exported.py NAME FILE ROWS    exports one, with any batch size, and prints as JSON {"xShape", "parameters",
                                         "tensors": [{"name", "shape"}], "vocabulary": null or the number of tokens}
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
    heads = 4

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


class WideTransformer(Transformer):
    """Sequences of 64 vectors of 32, four encoder blocks of width 256, 3.2 M parameters."""

    shape = (64, 32)
    heads = 8

    def __init__(self):
        super().__init__(width=256, heads=self.heads, blocks=4)


class Gpt(nn.Module):
    """64 tokens of 65, four causal blocks of width 192, 1.8 M parameters: a model of characters."""

    shape = (64,)
    vocabulary = 65
    heads = 6

    def __init__(self, width=192, blocks=4):
        super().__init__()
        self.tokens, self.places = nn.Embedding(self.vocabulary, width), nn.Embedding(self.shape[0], width)
        self.blocks = nn.ModuleList([CausalBlock(width, self.heads) for _ in range(blocks)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, self.vocabulary, bias=False)

    def forward(self, x):
        x = self.tokens(x) + self.places.weight
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class CausalBlock(Block):
    def forward(self, x):
        rows, length, width = x.shape
        q, k, v = (
            each.view(rows, length, self.heads, width // self.heads).transpose(1, 2)
            for each in self.qkv(self.norm1(x)).split(width, dim=2)
        )
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(rows, length, width))
        return x + self.down(nn.functional.gelu(self.up(self.norm2(x))))


MODELS = {"cnn": Cnn, "transformer": Transformer, "wide-transformer": WideTransformer, "gpt": Gpt}


def main():
    name, file, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    vocabulary = getattr(model, "vocabulary", None)
    x = torch.randn(4, *model.shape) if vocabulary is None else torch.zeros(4, *model.shape, dtype=torch.int64)
    program = torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},))
    torch.export.save(program, file)
    tensors = [{"name": name, "shape": list(p.shape)} for name, p in model.named_parameters()]
    parameters = sum(p.numel() for p in model.parameters())
    described = {"xShape": [rows, *model.shape], "parameters": parameters}
    print(json.dumps({**described, "tensors": tensors, "vocabulary": vocabulary}))


if __name__ == "__main__":
    main()
