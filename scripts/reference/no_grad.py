"""Writes test/fixtures/no-grad: what a model does under torch.no_grad() with values that derivatives reach, as torch.export leaves it, with what
PyTorch computes for it in float64 (the values of scripts/zoo/export.py; J^T u is that of eager autograd too, or nothing is written).

    python scripts/reference/no_grad.py
"""

import torch
from torch import nn

import families

ROWS = 4
FOLDER = families.FIXTURES / "no-grad"

# Lines under no_grad, of y = 2 x W + bias, and what the model computes of their values after them.
CASES = {
    "scaled": ("y.mul_(3)", "y"),
    "operator": ("y *= 3", "y"),
    "indexed": ("y[:, 0] = 0.5", "y"),
    "copied": ("y.copy_(y.round())", "y"),
    "overwritten": ("y.zero_()", "y + h"),
    "chain": ("y.clamp_(-1, 1).add_(0.5)", "y.sin()"),
    "chain-named": ("z = y.mul_(3); t = z.add_(1)", "t * y + z"),
    "returned-and-new": ("y.mul_(3); q = y * 1", "y * y + q * y"),
    "new-changed": ("q = y * 1; q.mul_(3)", "q * y"),
    "view-changed": ("z = y.view(-1); z.add_(1)", "y * y"),
    "view-returned": ("z = y[:, :2]", "y * y * z.sum(1, keepdim=True)"),
    "view-of-changed": ("z = y.mul_(3).t()", "y * z.t()"),
    "view-before": ("part.mul_(3)", "y * y * part.sum(1, keepdim=True)"),
    "changed-view-before": ("y.mul_(3)", "y * part.sum(1, keepdim=True)"),
    "by-others": ("y.mul_(h)", "y * y"),
    "same-type": ("c = y.to(torch.float64)", "y * c"),
    "same-type-changed": ("c = y.to(torch.float64).mul_(3)", "y * c"),
    "contiguous": ("c = y.contiguous()", "y * c"),
    "other-layout": ("c = y.t().contiguous()", "y * c.t()"),
    "dropout": ("c = F.dropout(y, 0.5, False)", "y * c"),
    "flat": ("c = y.flatten(1)", "y * c"),
    "reshaped": ("c = y.reshape(y.shape)", "y * c"),
    "expanded": ("c = y.expand_as(y)", "y * c"),
    "view-of-detached": ("z = y.detach()[:, :2].mul_(3)", "y * y * z.sum(1, keepdim=True)"),
    "detached": ("c = y.detach(); c.mul_(3)", "y * y * c"),
    "copy": ("c = y.to(torch.float64, copy=True).mul_(3)", "y * c"),
    "clone": ("c = y.clone().mul_(3); y.add_(c)", "y * c"),
    "same": ("c = y", "y * c"),
    "nested": ("with torch.no_grad(): z = y.mul_(3)", "y * z"),
    "relu": ("F.relu(y, inplace=True)", "y * y"),
    "real": ("c = y.real; d = torch.conj(y)", "y * c + d.sin()"),
}


class UnderNoGrad(nn.Module):
    def __init__(self, under, after):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 3))
        self.bias = nn.Parameter(torch.randn(3))
        self.under, self.after = under, after

    def forward(self, x):
        h = x @ self.weight + self.bias
        y = h * 2
        scope = {"torch": torch, "F": nn.functional, "h": h, "y": y, "part": y[:, :2]}
        with torch.no_grad():
            exec(self.under, scope)
        return eval(self.after, scope) @ self.weight


def pulled(module, x, u):
    """J^T u of eager autograd, one vector."""
    gradients = torch.autograd.grad(module(x), list(module.parameters()), u)
    return torch.cat([each.flatten() for each in gradients])


def require_eager(module, x):
    """Raises where torch.func, by which the values are computed, differentiates another function than eager autograd."""
    params = {name: p.detach() for name, p in module.named_parameters()}
    y, pull = torch.func.vjp(lambda params: torch.func.functional_call(module, params, (x,)), params)
    u = torch.randn_like(y)
    functional = torch.cat([each.flatten() for each in pull(u)[0].values()])
    if not torch.allclose(functional, pulled(module, x, u), rtol=1e-12, atol=1e-12):
        raise ArithmeticError("torch.func and eager autograd differ")


def main():
    families.begin(FOLDER)
    rows = torch.export.Dim("batch", min=1, max=64)
    for seed, (name, (under, after)) in enumerate(CASES.items()):
        torch.manual_seed(seed)
        module, x = UnderNoGrad(under, after), torch.randn(ROWS, 3)
        require_eager(module, x)
        families.write(FOLDER, name, module, (x,), (x,), ({0: rows},), notes=[under, after], strict=False)


if __name__ == "__main__":
    main()
