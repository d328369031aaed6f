"""Writes test/fixtures/in-place: random programs of views and changes in place, as torch.export leaves them, with what torch.func
computes for them in float64 (the values of scripts/zoo/export.py).

    python scripts/reference/in_place.py [COUNT [FOLDER]]
"""

import pathlib
import random
import sys

import torch
from torch import nn

import families

COUNT = 30
BATCHES = (4, 7)
STEPS = 11

# Each takes the name of a value and a source of random numbers, and gives an expression of it.
VIEWS = [
    lambda v, r: f"{v}[:, {r.randrange(2)}:]",
    lambda v, r: f"{v}[..., :{r.choice([1, 2, -1])}]",
    lambda v, r: f"{v}[:, ::2]",
    lambda v, r: f"{v}[..., {r.choice([0, 1, -1])}]",
    lambda v, r: f"{v}[:, {r.randrange(2)}]",
    lambda v, r: f"{v}.select(-1, {r.choice([0, -1])})",
    lambda v, r: f"{v}.narrow(-1, {r.choice([0, 1])}, 2)",
    lambda v, r: f"{v}.narrow(1, -2, 2)",
    lambda v, r: f"{v}.transpose(1, -1)",
    lambda v, r: f"{v}.transpose(0, -1)",
    lambda v, r: f"{v}.mT",
    lambda v, r: f"{v}.permute(*reversed(range({v}.dim())))",
    lambda v, r: f"{v}.permute(0, *range(2, {v}.dim()), 1)",
    lambda v, r: f"{v}.movedim(1, -1)",
    lambda v, r: f"{v}.swapaxes(-1, 1)",
    lambda v, r: f"{v}.unsqueeze({r.choice([1, -1])})",
    lambda v, r: f"{v}.unsqueeze(1).squeeze(1)",
    lambda v, r: f"{v}.view({v}.shape[0], -1)",
    lambda v, r: f"{v}.view({v}.shape[0], 2, -1)",
    lambda v, r: f"{v}.reshape({v}.shape[0], -1)",
    lambda v, r: f"{v}.flatten(1)",
    lambda v, r: f"{v}.flatten(1).unflatten(1, (2, -1))",
    lambda v, r: f"{v}.contiguous()",
    lambda v, r: f"{v}.to(torch.float64)",
    lambda v, r: f"{v}.diagonal(0, 1, 2)",
    lambda v, r: f"{v}.chunk(2, -1)[{r.randrange(2)}]",
    lambda v, r: f"{v}.split(2, 1)[0]",
    lambda v, r: f"{v}.split([1, {v}.shape[-1] - 1], -1)[1]",
    lambda v, r: f"{v}.unbind(1)[1]",
    lambda v, r: f"{v}.view_as({v})",
    lambda v, r: f"torch.view_as_real(torch.view_as_complex({v}.view({v}.shape[0], -1, 2)))",
    lambda v, r: f"F.dropout({v}, 0.5, training=False)",
]
# Changes of the first value, with the help of another.
CHANGES = [
    lambda v, w, r: f"{v}.mul_({r.choice(['0.7', '-1.3'])})",
    lambda v, w, r: f"{v}.add_({w})",
    lambda v, w, r: f"{v}.mul_({w})",
    lambda v, w, r: f"{v}.sub_({w}, alpha=0.5)",
    lambda v, w, r: f"{v}.addcmul_({w}, {w}, value=0.3)",
    lambda v, w, r: f"{v}.tanh_()",
    lambda v, w, r: f"{v}.sigmoid_()",
    lambda v, w, r: f"{v}.copy_({w})",
    lambda v, w, r: f"{v}.copy_({v}.flip(-1))",
    lambda v, w, r: f"{v}.fill_(0.25)",
    lambda v, w, r: f"{v}.zero_()",
    lambda v, w, r: f"{v}.clamp_(-0.4, 0.6)",
    lambda v, w, r: f"{v}.masked_fill_({v} > 0.3, 0.1)",
    lambda v, w, r: f"{v}.masked_fill_({w} > 0, -0.2)",
    lambda v, w, r: f"{v}[:, 0] = {w}",
    lambda v, w, r: f"{v}[..., 1:] = 0.5",
    lambda v, w, r: f"{v}[:, [1, 0]] = {w}",
    lambda v, w, r: f"{v}.index_fill_(1, torch.tensor([1]), 0.9)",
    lambda v, w, r: f"{v}.index_add_(1, torch.tensor([0, 1]), {v}[:, :2].clone())",
    lambda v, w, r: f"{v}.scatter_(-1, torch.zeros({v}.shape, dtype=torch.int64), 0.4)",
    lambda v, w, r: f"{v}.gt_(0.1)",
    lambda v, w, r: f"{v} += {w}",
    lambda v, w, r: f"F.relu({v}, inplace=True)",
    lambda v, w, r: f"{v}.unsqueeze_(1)",
    lambda v, w, r: f"{v}.transpose_(1, -1)",
    lambda v, w, r: f"{v}.detach().mul_(1.1)",
]
FRESH = [
    lambda v, r: f"{v} * 1.5",
    lambda v, r: f"torch.tanh({v})",
    lambda v, r: f"{v}.clone()",
    lambda v, r: f"torch.zeros_like({v})",
    lambda v, r: f"{v}.new_ones({v}.shape)",
    lambda v, r: f"torch.empty_like({v}).copy_({v})",
    lambda v, r: f"torch.where({v} > 0, {v}, 0.2 * {v})",
]


class Program(nn.Module):
    """Lines of Python on the values h, a parameter's function of x, and v0, v1, …; all of them are read at the end."""

    def __init__(self, lines, values):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 6) * 0.5)
        self.bias = nn.Parameter(torch.randn(6) * 0.5)
        self.lines = lines
        self.values = values

    def forward(self, x):
        scope = {"torch": torch, "F": nn.functional, "h": torch.sin(x[:, :, None] * self.weight + self.bias)}
        for line in self.lines:
            exec(line, scope)
        return torch.stack([scope[name].flatten(1).sin().sum(1) for name in self.values], 1)


def drawn(seed):
    """A program of which every line runs, on tensors whose first axis are the rows or whose last one are."""
    source = random.Random(seed)
    torch.manual_seed(seed)
    lines, names = [], ["h"]
    changes = 0
    while len(lines) < STEPS:
        name = f"v{len(names)}"
        v, w = source.choice(names), source.choice(names)
        kind = source.random()
        if kind < 0.45:
            line = f"{name} = {source.choice(VIEWS)(v, source)}"
        elif kind < 0.55:
            line = f"{name} = {source.choice(FRESH)(v, source)}"
        else:
            line = source.choice(CHANGES)(v, w, source)
        made = [*names, name] if line.startswith(f"{name} =") else names
        if runs([*lines, line], made):
            changes += made is names
            lines, names = [*lines, line], made
    batches = [(shapes_of(lines, rows), rows) for rows in BATCHES]
    first = [name for name in names if all(len(shape[name]) > 1 and shape[name][0] == rows for shape, rows in batches)]
    return Program(lines, first), changes


def shapes_of(lines, rows):
    with torch.random.fork_rng():
        module = Program(lines, [])
        scope = {"torch": torch, "F": nn.functional, "h": torch.sin(torch.randn(rows, 4)[:, :, None] * module.weight + module.bias)}
        for line in lines:
            exec(line, scope)
    return {name: tuple(value.shape) for name, value in scope.items() if isinstance(value, torch.Tensor)}


def runs(lines, names):
    """Whether all lines run, and each value has the rows as its first or last axis, for any number of them."""
    try:
        batches = [(shapes_of(lines, rows), rows) for rows in BATCHES]
    except (RuntimeError, IndexError, ValueError, TypeError):
        return False
    return all(rows in (shape[name][:1] + shape[name][-1:]) and 0 not in shape[name] for shape, rows in batches for name in names)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    folder = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else families.FIXTURES / "in-place"
    families.begin(folder)
    rows = torch.export.Dim("batch", min=1, max=4096)
    seed = written = 0
    while written < count:
        seed += 1
        module, changes = drawn(seed)
        if changes < 3 or len(module.values) < 2:
            continue
        x = torch.randn(BATCHES[0], 4)
        try:
            if not families.independent(module, (x,), module(x).detach()):
                continue  # a single row lies in memory in another way, so that other values share it
            families.write(folder, f"program-{seed}", module, (x,), (x,), ({0: rows},), notes=module.lines)
        except Exception as error:  # what PyTorch itself cannot export or differentiate
            print(f"{seed}: left out, {families.export.reason(error)[:150]}")
            continue
        written += 1


if __name__ == "__main__":
    main()
