"""Writes test/fixtures/losses.json: values and products in float64 of PyTorch's own losses with all of their options, and
of losses that are programs, which it exports to test/fixtures/losses.

    python scripts/reference/losses.py        (PyTorch 2.13 on the CPU)

Each case is a small model with one loss from `torch.nn.functional`; derivatives come from torch.func, of the loss as a
function of the flat parameters. Row weights w multiply what a row contributes, and a mean still divides by what PyTorch
divides by. `fisher` is Jᵀ F J with F the expectation of the Hessian by the outputs over targets of the predicted
distribution.
"""

import json
from pathlib import Path

import torch
from torch.func import functional_call, grad, jacrev, vjp
from torch.nn import functional as F

from layers import sequential
from loss_programs import LOSSES, Residual, examples
from models import exported

FIXTURE = Path(__file__).resolve().parents[2] / "test" / "fixtures" / "losses.json"
FOLDER = FIXTURE.with_suffix("")

VECTORS = ([["linear", 2, 3], ["tanh"], ["linear", 3, 4]], [5, 2])
POSITIVE = ([["linear", 2, 3], ["tanh"], ["linear", 3, 4], ["softplus"]], [5, 2])
PROBABILITIES = ([["linear", 2, 3], ["tanh"], ["linear", 3, 4], ["logSoftmax", -1]], [5, 2])
TOKENS = ([["linear", 2, 3], ["tanh"], ["linear", 3, 4]], [4, 3, 2])
PIXELS = ([["conv2d", 1, 3, 2]], [4, 1, 3, 3])


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def classes(y, ignored=None, rows=()):
    target = torch.randint(0, y.shape[1], (y.shape[0], *y.shape[2:]))
    if ignored is not None:
        target.view(-1)[::3] = ignored
        for row in rows:
            target[row] = ignored
    return target


def distributions(y, axis):
    return torch.softmax(torch.randn_like(y) * 2, axis)


def counts(y):
    return torch.randint(0, 5, y.shape).to(y.dtype)


WEIGHT = [0.5, 2, 0, 1.25]
ELEMENTS = [[0.5, 1, 2, 0], [1, 0, 0.25, 1], [1, 1, 1, 1], [3, 2, 1, 0.5], [0, 0, 0, 0]]

# model, loss with its options, target
CASES = [
    (VECTORS, {"name": "cross_entropy", "weight": WEIGHT}, classes),
    (VECTORS, {"name": "cross_entropy", "ignoreIndex": 1}, lambda y: classes(y, 1, [2])),
    (VECTORS, {"name": "cross_entropy", "ignoreIndex": 255, "weight": WEIGHT}, lambda y: classes(y, 255)),
    (VECTORS, {"name": "cross_entropy", "labelSmoothing": 0.1}, lambda y: classes(y, -100)),
    (VECTORS, {"name": "cross_entropy", "labelSmoothing": 1}, classes),
    (VECTORS, {"name": "cross_entropy", "labelSmoothing": 0.3, "weight": WEIGHT, "ignoreIndex": 2}, lambda y: classes(y, 2, [1])),
    (VECTORS, {"name": "cross_entropy"}, lambda y: distributions(y, 1)),
    (VECTORS, {"name": "cross_entropy"}, lambda y: torch.rand_like(y)),
    (VECTORS, {"name": "cross_entropy", "weight": WEIGHT, "labelSmoothing": 0.2}, lambda y: distributions(y, 1)),
    (PIXELS, {"name": "cross_entropy", "weight": WEIGHT[:3], "labelSmoothing": 0.1, "ignoreIndex": 1}, lambda y: classes(y, 1, [0])),
    (PIXELS, {"name": "cross_entropy", "weight": WEIGHT[:3]}, lambda y: distributions(y, 1)),
    (TOKENS, {"name": "cross_entropy", "weight": WEIGHT[:3]}, classes),
    (VECTORS, {"name": "bce_with_logits", "weight": WEIGHT}, torch.rand_like),
    (VECTORS, {"name": "bce_with_logits", "weight": ELEMENTS}, torch.rand_like),
    (VECTORS, {"name": "bce_with_logits", "posWeight": WEIGHT}, lambda y: (torch.rand_like(y) < 0.5).to(y.dtype)),
    (VECTORS, {"name": "bce_with_logits", "posWeight": WEIGHT, "weight": [[w[0] + 0.5] for w in ELEMENTS]}, torch.rand_like),
    (TOKENS, {"name": "bce_with_logits", "posWeight": WEIGHT}, torch.rand_like),
    (VECTORS, {"name": "mse"}, torch.randn_like),
    (VECTORS, {"name": "huber"}, torch.randn_like),
    (VECTORS, {"name": "huber", "delta": 0.4}, torch.randn_like),
    (TOKENS, {"name": "huber", "delta": 2}, lambda y: 3 * torch.randn_like(y)),
    (VECTORS, {"name": "smooth_l1"}, torch.randn_like),
    (VECTORS, {"name": "smooth_l1", "beta": 0.4}, torch.randn_like),
    (VECTORS, {"name": "smooth_l1", "beta": 0}, torch.randn_like),
    (VECTORS, {"name": "l1"}, torch.randn_like),
    (VECTORS, {"name": "poisson_nll"}, counts),
    (VECTORS, {"name": "poisson_nll", "full": True}, counts),
    (POSITIVE, {"name": "poisson_nll", "logInput": False}, counts),
    (POSITIVE, {"name": "poisson_nll", "logInput": False, "full": True, "eps": 0.1}, counts),
    (POSITIVE, {"name": "gaussian_nll"}, lambda y: torch.randn_like(y[..., :2])),
    (POSITIVE, {"name": "gaussian_nll", "full": True, "eps": 0.6}, lambda y: torch.randn_like(y[..., :2])),
    (VECTORS, {"name": "gaussian_nll", "variance": 0.7}, torch.randn_like),
    (VECTORS, {"name": "gaussian_nll", "variance": [0.5, 2, 0, 1.25], "eps": 0.2, "full": True}, torch.randn_like),
    (VECTORS, {"name": "gaussian_nll", "variance": [[w[0] + 0.5] for w in ELEMENTS]}, torch.randn_like),
    (PROBABILITIES, {"name": "kl_div"}, lambda y: distributions(y, -1)),
    (PROBABILITIES, {"name": "kl_div", "logTarget": True}, lambda y: distributions(y, -1).log()),
    (VECTORS, {"name": "log-cosh"}, torch.randn_like),
    (VECTORS, {"name": "student-t"}, lambda y: 2 * torch.randn_like(y)),
    (VECTORS, {"name": "squared-rows", "sampler": "gaussian-sampler"}, torch.randn_like),
    (VECTORS, {"name": "cross-entropy-rows", "sampler": "class-sampler"}, classes),
    (VECTORS, {"name": "clicks"}, torch.randn_like),
    (VECTORS, {"name": "energy"}, lambda y: None),
    (VECTORS, {"name": "marked-rows"}, lambda y: torch.rand_like(y) < 0.5),
]

PROGRAMS = {name: module().double() for name, (module, _) in LOSSES.items()}


def pytorch(name, options):
    """The loss as (outputs, target, reduction), by PyTorch's function or by a program."""
    if name in PROGRAMS:
        return lambda y, *rest: getattr(PROGRAMS[name](y, *(t for t in rest[:-1] if t is not None)), rest[-1])()
    given = {key: tensor(*value) if isinstance(value, list) else value for key, value in options.items()}
    if name == "cross_entropy":
        renamed = {"ignoreIndex": "ignore_index", "labelSmoothing": "label_smoothing"}
        function = F.cross_entropy
    elif name == "bce_with_logits":
        renamed, function = {"posWeight": "pos_weight"}, F.binary_cross_entropy_with_logits
    elif name == "poisson_nll":
        renamed, function = {"logInput": "log_input"}, F.poisson_nll_loss
    elif name == "kl_div":
        renamed, function = {"logTarget": "log_target"}, F.kl_div
    elif name == "gaussian_nll":
        return lambda y, target, reduction: gaussian(y, target, reduction, **given)
    else:
        renamed = {}
        function = {"mse": F.mse_loss, "huber": F.huber_loss, "smooth_l1": F.smooth_l1_loss, "l1": F.l1_loss}[name]
    arguments = {renamed.get(key, key): value for key, value in given.items()}
    return lambda y, target, reduction: function(y, target, reduction=reduction, **arguments)


class Unchecked:
    """F.gaussian_nll_loss refuses negative variances by looking at them, which torch.func cannot."""

    def __enter__(self):
        self.any, torch.any = torch.any, lambda *_: False

    def __exit__(self, *_):
        torch.any = self.any


def gaussian(y, target, reduction, variance=None, **options):
    if variance is None:
        y, variance = y.chunk(2, -1)
    elif not isinstance(variance, float):
        variance = variance.expand_as(y)
    with Unchecked():
        return F.gaussian_nll_loss(y, target, variance, reduction=reduction, **options)


def hessian_product(function, at, u):
    """By two backward passes: not all of the losses have forward derivatives of their backward ones."""
    return vjp(grad(function), at)[1](u)[0]


def fisher_of_outputs(name, options, y, target):
    """∂²(Σ loss)/∂y² averaged over targets of the predicted distribution, as a function of u; None where it has none."""
    if name == "poisson_nll" and not options.get("logInput", True):
        return lambda u: u * y / (y + options.get("eps", 1e-8)) ** 2
    if name == "gaussian_nll" and "variance" not in options:
        v = y[..., 2:].clamp_min(options.get("eps", 1e-6))
        return lambda u: u * torch.cat([1 / v, 1 / (2 * v**2)], -1)
    if name in PROGRAMS and "sampler" not in options:
        return None
    if name in ("huber", "smooth_l1", "l1", "kl_div"):
        return None
    loss = pytorch(name, options)
    return lambda u: hessian_product(lambda at: loss(at, target, "sum"), y, u)


def numbers(values):
    return [float(f"{value:.15g}") for value in values.reshape(-1).tolist()]


def case(model, loss, target_of):
    layers, shape = model
    torch.manual_seed(2)
    module = sequential(layers, torch.float64)
    for parameter in module.parameters():
        parameter.data = parameter.data.round(decimals=3)
    x = torch.randn(shape, dtype=torch.float64).round(decimals=3)
    names = [name for name, _ in module.named_parameters()]
    sizes = [parameter.shape for parameter in module.parameters()]
    params = torch.cat([parameter.detach().reshape(-1) for parameter in module.parameters()])

    def outputs(flat, data=x):
        parts = flat.split([size.numel() for size in sizes])
        values = {name: part.view(size) for name, part, size in zip(names, parts, sizes)}
        return functional_call(module, values, (data,))

    target = target_of(outputs(params))
    if target is not None and target.is_floating_point():
        target = target.round(decimals=3)
    options = {key: value for key, value in loss.items() if key != "name"}
    function = pytorch(loss["name"], options)
    y = outputs(params)
    mean, total = function(y, target, "mean"), function(y, target, "sum")
    divisor = total / mean
    weights = tensor(0.5, 2, 0, 1.25, 3)[: shape[0]]
    v = torch.randn_like(params).round(decimals=3)

    def row(n):
        """The summed loss of one row; options that have rows are cut, too."""
        cut = {
            key: value[n : n + 1] if isinstance(value, list) and isinstance(value[0], list) else value
            for key, value in options.items()
        }
        each = pytorch(loss["name"], cut)
        one = None if target is None else target[n : n + 1]
        return lambda at: each(at[n : n + 1], one, "sum")

    rows = [row(n) for n in range(shape[0])]
    jacobian = jacrev(outputs)(params).reshape(y.numel(), -1)
    u = (jacobian @ v).view(y.shape)
    fisher = fisher_of_outputs(loss["name"], options, y, target)

    def weighted(at, w):
        return sum(each * one(at) for each, one in zip(w, rows))

    def products(w, c):
        of_outputs = hessian_product(lambda at: weighted(at, w), y, u)
        gradients = torch.stack([grad(lambda flat, n=n: rows[n](outputs(flat)))(params) for n in range(shape[0])])
        scaled = {
            "value": c * weighted(y, w),
            "gradient": c * grad(lambda flat: weighted(outputs(flat), w))(params),
            "hessian": c * hessian_product(lambda flat: weighted(outputs(flat), w), params, v),
            "gaussNewton": c * jacobian.T @ of_outputs.reshape(-1),
            "empiricalFisher": c * gradients.T @ (w * (gradients @ v)),
        }
        if fisher is not None:
            by_row = w.view(-1, *[1] * (y.dim() - 1))
            scaled["fisher"] = c * jacobian.T @ (by_row * fisher(u)).reshape(-1)
        return {key: value.item() if key == "value" else numbers(value) for key, value in scaled.items()}

    ones = torch.ones_like(weights)
    whole = products(ones, 1 / divisor)
    assert abs(whole["value"] - mean.item()) < 1e-12 * abs(mean.item())
    direct = grad(lambda flat: function(outputs(flat), target, "mean"))(params)
    assert torch.allclose(direct, torch.tensor(whole["gradient"], dtype=torch.float64), rtol=1e-10, atol=1e-13)
    return {
        "layers": layers,
        "params": numbers(params),
        "x": {"shape": shape, "data": numbers(x)},
        "v": numbers(v),
        "loss": loss,
        "target": target
        if target is None
        else {
            "shape": list(target.shape),
            "data": target.reshape(-1).tolist(),
            "integer": not target.is_floating_point(),
            **({"truth": True} if target.dtype == torch.bool else {}),
        },
        "weights": weights.tolist(),
        "mean": whole,
        "weightedSum": products(weights, 1),
    }


def residual():
    """Of a model that gives its own loss: the mean over the rows."""
    torch.manual_seed(3)
    module = Residual().double()
    x = torch.linspace(-2, 2, 7, dtype=torch.float64)[:, None]
    exported(module, (x,), True, FOLDER / "residual.pt2")
    named = dict(module.named_parameters())
    params = torch.cat([parameter.detach().reshape(-1) for parameter in named.values()])

    def rows(flat):
        parts = flat.split([parameter.numel() for parameter in named.values()])
        return functional_call(module, {name: part.view_as(named[name]) for name, part in zip(named, parts)}, (x,))

    v = torch.randn_like(params).round(decimals=3)
    gradients = jacrev(rows)(params)
    return {
        "x": {"shape": list(x.shape), "data": numbers(x)},
        "v": numbers(v),
        "value": rows(params).mean().item(),
        "gradient": numbers(gradients.mean(0)),
        "hessian": numbers(hessian_product(lambda flat: rows(flat).mean(), params, v)),
        "empiricalFisher": numbers(gradients.T @ (gradients @ v) / len(x)),
    }


def main():
    FOLDER.mkdir(exist_ok=True)
    for name, (_, kinds) in LOSSES.items():
        exported(PROGRAMS[name], examples(kinds), True, FOLDER / f"{name}.pt2")
    exported(PROGRAMS["student-t"], examples(("like",), 1), True, FOLDER / "student-t-of-one.pt2")
    exported(PROGRAMS["squared-rows"], examples(("like",)), False, FOLDER / "refused-fixed.pt2")
    cases = [case(*each) for each in CASES]
    FIXTURE.write_text(json.dumps({"torch": torch.__version__, "residual": residual(), "cases": cases}) + "\n")


if __name__ == "__main__":
    main()
