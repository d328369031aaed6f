"""Writes test/fixtures/signatures: models with several inputs and results, of which some have no batch, and the values of torch.func for
them in float64, in the form of the zoo (scripts/zoo/export.py).

Run with PyTorch 2.13: python scripts/reference/signatures.py
"""

import json
import pathlib
import sys

import torch
from torch import nn

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(SCRIPTS), str(SCRIPTS / "zoo")]

from export import encoded, values  # noqa: E402
from reference import families  # noqa: E402
from reference.models import shrink, traced  # noqa: E402

FOLDER = SCRIPTS.parent / "test" / "fixtures" / "signatures"
BATCH, SEQUENCE = torch.export.Dim("batch", min=1, max=4096), torch.export.Dim("sequence", min=2, max=64)
EDGES = torch.export.Dim("edges", min=1, max=4096)


class Dictionary(nn.Module):
    """Tokens and a mask of each row, a grid and a time of all; a dictionary of results."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 4)
        self.mix = nn.Linear(4, 4)
        self.logits = nn.Linear(4, 3)
        self.value = nn.Linear(4, 1)

    def forward(self, tokens, mask, grid, time):
        h = (self.embedding(tokens) * mask[..., None]).sum(1) / tokens.shape[1]
        # The sum over the points of the grid: as many as there are rows in the data.
        h = torch.tanh(self.mix(h)) + torch.tanh(self.mix(grid)).sum(0) * time
        return {"logits": self.logits(h), "value": self.value(h), "hidden": (h, h.argmax(-1))}


class SharedFirst(nn.Module):
    """An input without rows comes first."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
        self.scale = nn.Linear(1, 2)

    def forward(self, time, x):
        return self.net(x) * torch.tanh(self.scale(time))


class Bytes(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(6, 3)

    def forward(self, image):
        return torch.sin(self.net(image.flatten(1) / 255))


class Masked(nn.Module):
    """The truth values of a mask are negated, multiplied and hide keys, each of which bytes would do otherwise."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.net = nn.Linear(4, 2)

    def forward(self, x, mask):
        h = self.attention(x, x, x, key_padding_mask=mask, need_weights=False)[0]
        return self.net((h * ~mask[..., None] + x * mask[..., None]).sum(1))


class Graph(nn.Module):
    """The nodes are the batch, the edges are not."""

    def __init__(self):
        super().__init__()
        self.own, self.other = nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, x, edge_index):
        source, target = edge_index[0], edge_index[1]
        sums = torch.zeros(x.shape[0], 2, dtype=x.dtype).index_add(0, target, self.other(x)[source])
        return torch.tanh(self.own(x) + sums)


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(3, 2)

    def forward(self, x):
        y = torch.tanh(self.net(x))
        return y, (y**2).sum(1, keepdim=True)


class SequenceFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(3, 2)

    def forward(self, x):
        return self.net(x).transpose(0, 1)


class SequenceOut(SequenceFirst):
    def forward(self, x):
        return self.net(x.sum(0)[..., None].expand(-1, 3))


def tokens(rows):
    return torch.randint(0, 10, (rows, 7)), torch.rand(rows, 7) > 0.3, torch.randn(5, 4), torch.tensor(0.5)


def masked(rows):
    """No row is hidden as a whole."""
    mask = torch.rand(rows, 5) > 0.5
    mask[:, 0] = False
    return torch.randn(rows, 5, 4), mask


MODELS = {
    # name: (module, inputs, dynamic shapes, [(suffix, options of Model.load, what picks the result)], rows independent)
    "dictionary": (
        Dictionary, tokens, ({0: BATCH, 1: SEQUENCE}, {0: BATCH, 1: SEQUENCE}, None, None),
        [("logits", {"output": "logits"}, lambda r: r["logits"]), ("hidden", {"output": 2}, lambda r: r["hidden"][0])], True,
    ),
    "shared-first": (
        SharedFirst, lambda rows: (torch.randn(1), torch.randn(rows, 3)), (None, {0: BATCH}), [("", {}, lambda r: r)], True,
    ),
    "bytes": (
        Bytes, lambda rows: (torch.randint(0, 256, (rows, 2, 3), dtype=torch.uint8),), ({0: BATCH},), [("", {}, lambda r: r)], True,
    ),
    "graph": (
        Graph, lambda rows: (torch.randn(rows, 3), torch.randint(0, rows, (2, 8))), ({0: BATCH}, {1: EDGES}),
        [("", {}, lambda r: r)], False,
    ),
    "pair": (
        Pair, lambda rows: (torch.randn(rows, 3),), ({0: BATCH},),
        [("first", {"output": 0}, lambda r: r[0]), ("second", {"output": 1}, lambda r: r[1])], True,
    ),
    "masked": (Masked, masked, ({0: BATCH}, {0: BATCH}), [("", {}, lambda r: r)], True),
}
# Written as TorchScript, too.
TRACED = ("pair", "masked")

"""Refused: the batch is not the first axis of an input, or of the output."""
REFUSED = {
    "sequence-first": (SequenceFirst, torch.randn(7, 2, 3), {1: BATCH}),
    "sequence-out": (SequenceOut, torch.randn(4, 6), {0: BATCH, 1: SEQUENCE}),
}


def main():
    families.begin(FOLDER)
    for seed, (name, (build, inputs, shapes, results, independent)) in enumerate(MODELS.items()):
        torch.manual_seed(seed)
        module = build().eval()
        save(module, inputs(3), shapes, name)
        if name in TRACED:
            traced(module, inputs(3), FOLDER / f"{name}.pt")
        data = inputs(5)
        for suffix, options, pick in results:
            expected = {"file": name, "load": options, "rows": 5, "independent": independent, **encoded(picked(module, data, pick), data)}
            path = FOLDER / f"{'-'.join(filter(None, (name, suffix)))}.json"
            path.write_text(json.dumps(expected, separators=(",", ":")) + "\n")
    fixed_grid()
    for name, (build, x, shape) in REFUSED.items():
        save(build().eval(), (x,), (shape,), f"refused-{name}")


class Points(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(3, 2)

    def forward(self, x, grid):
        return torch.tanh(self.net(x)) * torch.tanh(self.net(grid)).sum(0)


def fixed_grid():
    """A file of two rows with a grid of two points: run on four rows, the grid is whole."""
    torch.manual_seed(9)
    module = Points().eval()
    save(module, (torch.randn(2, 3), torch.randn(2, 3)), None, "fixed-grid")
    data = (torch.randn(4, 3), torch.randn(2, 3))
    expected = {"file": "fixed-grid", "load": {}, "rows": 4, "independent": True, **encoded(picked(module, data, lambda r: r), data)}
    (FOLDER / "fixed-grid.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


def save(module, inputs, shapes, name):
    path = FOLDER / f"{name}.pt2"
    torch.export.save(torch.export.export(module, inputs, dynamic_shapes=shapes), path)
    shrink(path)


def picked(module, inputs, pick):
    forward = module.forward
    module.forward = lambda *args: pick(forward(*args))
    try:
        return values(module, inputs, None)
    finally:
        del module.forward


if __name__ == "__main__":
    main()
