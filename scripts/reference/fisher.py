"""Writes test/fixtures/fisher.json: empirical Fisher matrices in float64, put together from one gradient for each datum
or row, each by a backward pass of its own.

    python scripts/reference/fisher.py        (PyTorch 2.13 on the CPU)

The scale is that of curvlinops' EFLinearOperator: c Σ g gᵀ, with g the gradient of the summed loss of a datum and c = 1, or
1 over what PyTorch's mean divides by. Rows have weights, which multiply what a row contributes; a centered matrix is that
of g minus its weighted mean over the data whose targets are not ignored.
"""

import json
from pathlib import Path

import torch
from torch.nn import functional as F

from layers import sequential

FIXTURE = Path(__file__).resolve().parents[2] / "test" / "fixtures" / "fisher.json"
IGNORED = -100

# name, layers, shape of x, loss, share of the targets that are ignored
CASES = [
    ("one output a row", [["linear", 3, 1], ["squeeze", -1]], [5, 3], "mse", 0),
    ("vectors", [["linear", 3, 2]], [4, 3], "mse", 0),
    ("vectors", [["linear", 3, 2]], [4, 3], "bce_with_logits", 0),
    ("classes", [["linear", 2, 3]], [6, 2], "cross_entropy", 0),
    ("classes, some ignored", [["linear", 2, 3]], [6, 2], "cross_entropy", 0.4),
    ("sequences of vectors", [["linear", 2, 3]], [3, 2, 2], "mse", 0),
    ("sequences of vectors", [["linear", 2, 3]], [3, 2, 2], "bce_with_logits", 0),
    ("pixels", [["conv2d", 1, 3, 2]], [3, 1, 2, 3], "cross_entropy", 0),
    ("pixels, some ignored", [["conv2d", 1, 3, 2]], [4, 1, 3, 3], "cross_entropy", 0.6),
]


def target_of(loss, y, ignored):
    if loss == "bce_with_logits":
        return torch.rand_like(y)
    if loss == "mse":
        return torch.randn_like(y)
    target = torch.randint(0, y.shape[1], (y.shape[0], *y.shape[2:]))
    target[torch.rand(target.shape) < ignored] = IGNORED
    if ignored:
        target[1] = IGNORED  # a row without any term
        target[0].view(-1)[0] = 0
    return target


def elements(loss, y, target):
    """The loss of each term, unreduced."""
    if loss == "cross_entropy":
        return F.cross_entropy(y, target, reduction="none", ignore_index=IGNORED)
    function = {"mse": F.mse_loss, "bce_with_logits": F.binary_cross_entropy_with_logits}[loss]
    return function(y, target, reduction="none")


def data_of(loss, per, values, target):
    """(row, loss of a datum) for each datum that has terms."""
    for n, row in enumerate(values):
        if loss == "cross_entropy":
            kept = target[n] != IGNORED
            if per == "datum":
                yield from ((n, value) for value in row[kept])
            elif kept.any():
                yield n, row.sum()
        elif per == "row" or row.dim() == 0:
            yield n, row.sum()
        else:
            yield from ((n, vector.sum()) for vector in row.reshape(-1, row.shape[-1]))


def matrices(model, loss, x, target, weights):
    params = list(model.parameters())
    values = elements(loss, model(x), target)
    terms = int((target != IGNORED).sum()) if loss == "cross_entropy" else target.numel()
    for per in ("datum", "row"):
        rows, gradients = [], []
        for n, value in data_of(loss, per, values, target):
            blocks = torch.autograd.grad(value, params, retain_graph=True)
            gradients.append(torch.cat([block.reshape(-1) for block in blocks]))
            rows.append(n)
        g = torch.stack(gradients)
        for weighted in (False, True):
            w = weights[rows] if weighted else torch.ones(len(rows), dtype=torch.float64)
            for center in (False, True):
                each = g - (w @ g) / w.sum() if center else g
                for reduction in ("mean", "sum"):
                    c = 1 / terms if reduction == "mean" else 1
                    matrix = c * each.T @ (w[:, None] * each)
                    yield {
                        "per": per,
                        "weighted": weighted,
                        "center": center,
                        "reduction": reduction,
                        "matrix": matrix.reshape(-1).tolist(),
                    }


def case(name, layers, shape, loss, ignored):
    torch.manual_seed(1)
    model = sequential(layers, torch.float64)
    x = torch.randn(shape, dtype=torch.float64)
    target = target_of(loss, model(x).detach(), ignored)
    weights = torch.tensor([0.5, 2, 0, 1.25, 3, 0.75], dtype=torch.float64)[: shape[0]]
    return {
        "name": name,
        "layers": layers,
        "params": torch.cat([p.detach().reshape(-1) for p in model.parameters()]).tolist(),
        "x": {"shape": shape, "data": x.reshape(-1).tolist()},
        "loss": loss,
        "target": {
            "shape": list(target.shape),
            "data": target.reshape(-1).tolist(),
            "integer": not target.is_floating_point(),
        },
        "weights": weights.tolist(),
        "matrices": list(matrices(model, loss, x, target, weights)),
    }


def main():
    cases = [case(*each) for each in CASES]
    FIXTURE.write_text(json.dumps({"torch": torch.__version__, "cases": cases}) + "\n")


if __name__ == "__main__":
    main()
