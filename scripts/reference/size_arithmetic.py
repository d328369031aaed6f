"""Writes test/fixtures/sizes: models that compute with the sizes of their inputs and with numbers that they are given, exported with
symbols for both and evaluated at other sizes than those of the export.

    python scripts/reference/size_arithmetic.py
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

import families

ROWS = 4
EXPORTED, LENGTH = 6, 9

# Of the length n of the second axis; whole numbers.
WHOLE = {
    "half": lambda n: n // 2,
    "affine": lambda n: 2 * n - 3,
    "remainder": lambda n: (n + 1) % 4 + 1,
    "square": lambda n: n**2,
    "negative": lambda n: -n + 20,
    "largest": lambda n: torch.sym_max(n, 7),
    "smallest": lambda n: torch.sym_min(n - 1, 50),
    "truncated": lambda n: torch.sym_int(n * 1.7),
    "rounded-up": lambda n: (n + 3) // 4 * 4,
    "chosen": lambda n: torch.sym_ite(n > 4, n + 2, n),
}
# Other numbers.
REAL = {
    "root": lambda n: torch.sym_sqrt(n),
    "power": lambda n: n**0.5,
    "inverse": lambda n: 1 / n,
    "quotient": lambda n: (n - 1) / (n + 1),
    "float": lambda n: torch.sym_float(n) * 0.1,
    "inverse-root": lambda n: 1.0 / torch.sym_sqrt(n * 3 + 1),
    "negative-power": lambda n: (n + 1) ** -0.5,
    "mixed": lambda n: n // 2 + n / 4 - 0.25 * n,
    "symmetric": lambda n: torch.sym_float(torch.sym_not(n > 100)) + 0.5,
}


class Scaled(nn.Module):
    """Numbers as factors, divisors, summands, fillings and options."""

    def __init__(self, of):
        super().__init__()
        self.of = of
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        n = self.of(x.shape[1])
        h = torch.tanh(self.fc(x))
        y = h * n + h.sin() / n - n * h.square() + torch.full((3,), 0.5) * n
        return (F.softplus(y) + torch.add(h, h.cos(), alpha=n)).sum(1)


class Shaped(nn.Module):
    """Whole numbers as sizes of new tensors, too."""

    def __init__(self, of):
        super().__init__()
        self.of = of
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        n = self.of(x.shape[1])
        h = torch.tanh(self.fc(x))
        weights = torch.arange(n, dtype=x.dtype) / n
        return (h * n).mean(1) + torch.outer(h.sum((1, 2)), weights + torch.ones(n)).sum(1, keepdim=True) / n


class Attention(nn.Module):
    """Scores over √length, of halves of the sequence, windows of it and its positions."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x):
        n = x.shape[1]
        scores = self.q(x) @ self.k(x).mT / math.sqrt(x.shape[-1])
        scores = scores - torch.arange(n).sub(n // 2).abs() * (8 / n)
        mask = torch.ones(n, n, dtype=torch.bool).tril(n // 3)
        h = scores.masked_fill(~mask, -torch.inf).softmax(-1) @ self.v(x)
        halves = h[:, : n // 2].sum(1) * n**-0.5 + h[:, n // 2 :].mean(1)
        return halves + F.interpolate(h.mT, size=n * 2).sum(-1) + h.reshape(x.shape[0], n * 3).norm(dim=1, keepdim=True)


class Given(nn.Module):
    """Takes numbers beside tensors: one that varies, others that the export has made constants."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 4)

    def forward(self, x, steps: int, factor: float, flip: bool, nothing=None):
        h = self.fc(x)
        for _ in range(2):
            h = h + torch.tanh(h) * factor / steps
        if flip:
            h = h.flip(-1)
        return h if nothing is None else h + nothing


class Scripted(nn.Module):
    """In TorchScript: a factor that is made of a size by functions of the module math."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(2))

    def forward(self, x):
        n = x.shape[1]
        factor = math.log(n) + math.exp(-n) + math.sin(n) * math.tanh(n / 7) + math.atan(n) - math.cosh(0.1 * n) / math.cos(n)
        return x.sum(1, keepdim=True) * self.w * factor


def script(folder):
    torch.jit.save(torch.jit.script(Scripted().double()), folder / "functions.script.pt")


def main():
    folder = families.FIXTURES / "sizes"
    families.begin(folder)
    rows = torch.export.Dim("batch", min=1, max=4096)
    length = torch.export.Dim.DYNAMIC
    x = torch.randn(ROWS, LENGTH, 3)
    example = torch.randn(3, EXPORTED, 3)
    models = {
        **{f"whole-{name}": Shaped(of) for name, of in WHOLE.items()},
        **{f"real-{name}": Scaled(of) for name, of in REAL.items()},
        "attention": Attention(),
    }
    for name, module in models.items():
        families.write(folder, name, module, (example,), (x,), ({0: rows, 1: length},))
    # In strict mode, PyTorch follows functions of the module math.
    strict = {"strict-root": lambda n: math.sqrt(n), "strict-inverse": lambda n: 3 / math.sqrt(2 * n)}
    for name, of in strict.items():
        families.write(folder, name, Scaled(of), (example,), (x,), ({0: rows, 1: length},), strict=True)
    module, x = Given(), torch.randn(ROWS, 3)
    families.write(
        folder, "given-numbers", module, (torch.randn(3, 3), 5, 0.5, True, None), (x, 7, 0.5, True, None),
        ({0: rows}, length, None, None, None), given=(x, torch.tensor(7)),
    )  # fmt: skip
    script(folder)


if __name__ == "__main__":
    main()
