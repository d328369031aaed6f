"""Writes test/fixtures/*.json: what PyTorch computes, for the tests to compare with.

    python scripts/reference/fixtures.py        (PyTorch 2.13 on the CPU)

products.json   models of every layer in float64: output, J v, Jᵀu, JᵀJ v, JJᵀu; for each loss that fits, the loss,
                its gradient, and the products of its Hessian, Gauss-Newton matrix and empirical Fisher matrix with v
init.json       default initializations from a seed, in both precisions
"""

import json
from pathlib import Path

import torch
from torch.func import functional_call, grad, jacrev, vjp

from layers import sequential

FIXTURES = Path(__file__).resolve().parents[2] / "test" / "fixtures"

# name, layers, shape of x, losses; "tokens" in place of a shape: numbers of rows of an embedding
MODELS = [
    ("mlp tanh", [["linear", 3, 5], ["tanh"], ["linear", 5, 4], ["tanh"], ["linear", 4, 1]], [6, 3], ["mse"]),
    ("seed, small", [["linear", 4, 8], ["tanh"], ["linear", 8, 8], ["tanh"], ["linear", 8, 1], ["squeeze", -1]], [7, 4], ["mse"]),
    ("mlp relu, several outputs", [["linear", 3, 7], ["relu"], ["linear", 7, 3]], [5, 3], ["mse", "cross_entropy", "bce_with_logits"]),
    ("no bias", [["linear", 3, 4, {"bias": False}], ["sigmoid"], ["linear", 4, 2, {"bias": False}]], [5, 3], ["mse", "cross_entropy"]),
    ("gelu and silu", [["linear", 2, 5], ["gelu"], ["linear", 5, 5], ["silu"], ["linear", 5, 4], ["gelu", {"approximate": "tanh"}], ["linear", 4, 2]], [5, 2], ["mse", "bce_with_logits"]),
    ("softplus, elu, leaky relu", [["linear", 2, 4], ["softplus", {"beta": 1.5, "threshold": 2}], ["linear", 4, 4], ["elu", {"alpha": 0.7}], ["linear", 4, 3], ["leakyRelu", {"negativeSlope": 0.2}], ["linear", 3, 2], ["softplus"]], [5, 2], ["mse"]),
    ("residual", [["linear", 3, 4], ["residual", [["linear", 4, 6], ["tanh"], ["linear", 6, 4]]], ["tanh"], ["residual", [["linear", 4, 4], ["residual", [["sigmoid"], ["linear", 4, 4]]]]], ["linear", 4, 2]], [5, 3], ["mse", "cross_entropy"]),
    ("layer norm", [["linear", 3, 6], ["layerNorm", 6], ["tanh"], ["linear", 6, 4], ["layerNorm", [4], {"elementwiseAffine": False, "eps": 1e-3}], ["linear", 4, 2]], [5, 3], ["mse", "cross_entropy"]),
    ("conv2d", [["conv2d", 2, 4, 3, {"padding": 1}], ["groupNorm", 2, 4], ["relu"], ["maxPool2d", 2], ["conv2d", 4, 4, [2, 1], {"groups": 2, "stride": [1, 2]}], ["tanh"], ["flatten"], ["linear", 8, 3]], [4, 2, 6, 5], ["mse", "cross_entropy"]),
    ("average pool", [["conv2d", 1, 3, 2, {"dilation": 2, "bias": False}], ["elu"], ["avgPool2d", 2, {"stride": 1, "padding": 1, "countIncludePad": False}], ["flatten"], ["linear", 27, 2]], [3, 1, 4, 4], ["mse", "bce_with_logits"]),
    ("conv1d", [["unsqueeze", 1], ["conv1d", 1, 3, 3, {"padding": 1, "stride": 2}], ["silu"], ["flatten"], ["linear", 12, 2], ["logSoftmax", -1]], [4, 7], ["mse"]),
    ("embedding", [["embedding", 7, 4, {"paddingIdx": 0}], ["tanh"], ["flatten", 1], ["linear", 12, 3], ["softmax", 1]], "tokens", ["mse"]),
    ("one unit", [["linear", 1, 1], ["tanh"]], [1, 1], ["mse", "bce_with_logits"]),
    ("classes along an axis", [["conv1d", 2, 3, 1]], [4, 2, 3], ["mse", "cross_entropy"]),
]

INITIALISED = [
    ("seed", [["linear", 4, 64], ["tanh"], ["linear", 64, 64], ["tanh"], ["linear", 64, 1]]),
    ("every parameter", [["embedding", 9, 4, {"paddingIdx": 2}], ["flatten"], ["linear", 12, 16], ["layerNorm", 16], ["unsqueeze", 1], ["unsqueeze", -1], ["conv2d", 1, 4, [3, 1], {"padding": [1, 0]}], ["groupNorm", 2, 4], ["squeeze", -1], ["conv1d", 4, 2, 5, {"groups": 2, "bias": False}]]),
]


def flat(tree):
    return torch.cat([block.reshape(-1) for block in tree.values()])


def jacobian_of(f, params):
    outputs = f(params).numel()
    return torch.cat([block.reshape(outputs, -1) for block in jacrev(f)(params).values()], dim=1)


def product_case(name, layers, shape, losses):
    torch.manual_seed(0)
    model = sequential(layers, torch.float64)
    params = {key: p.detach() + 0.1 * torch.randn_like(p) for key, p in model.named_parameters()}
    if shape == "tokens":
        x = torch.randint(0, 7, (5, 3))
    else:
        x = torch.randn(shape, dtype=torch.float64)
    v = {key: torch.randn_like(p) for key, p in params.items()}

    def f(params):
        return functional_call(model, params, (x,))

    y = f(params)
    u = torch.randn_like(y)
    # J by reverse mode: forward mode disagrees with it about the padding row of an embedding.
    jacobian = jacobian_of(f, params)
    jtu = jacobian.T @ u.reshape(-1)
    jv = jacobian @ flat(v)
    case = {
        "name": name,
        "layers": layers,
        "parameters": [[key, list(p.shape)] for key, p in params.items()],
        "params": flat(params).tolist(),
        "x": {"shape": list(x.shape), "data": x.reshape(-1).tolist(), "integer": not x.is_floating_point()},
        "v": flat(v).tolist(),
        "y": {"shape": list(y.shape), "data": y.reshape(-1).tolist()},
        "u": u.reshape(-1).tolist(),
        "jv": jv.tolist(),
        "jtu": jtu.tolist(),
        "jtjv": (jacobian.T @ jv).tolist(),
        "jjtu": (jacobian @ jtu).tolist(),
    }
    case["losses"] = [loss_case(model, params, x, v, y, loss, reduction) for loss in losses for reduction in ("mean", "sum")]
    return case


def loss_case(model, params, x, v, y, loss, reduction):
    functions = {
        "mse": torch.nn.functional.mse_loss,
        "cross_entropy": torch.nn.functional.cross_entropy,
        "bce_with_logits": torch.nn.functional.binary_cross_entropy_with_logits,
    }
    if loss == "cross_entropy":
        target = torch.randint(0, y.shape[1], (y.shape[0], *y.shape[2:]))
    elif loss == "bce_with_logits":
        target = torch.rand_like(y)
    else:
        target = torch.randn_like(y)

    def of_output(y):
        return functions[loss](y, target, reduction=reduction)

    def total(params):
        return of_output(functional_call(model, params, (x,)))

    def f(params):
        return functional_call(model, params, (x,))

    value = total(params)
    # Reverse over reverse: jvp(grad(mse_loss)) fails in PyTorch 2.13 ("ZeroTensors are immutable").
    gradient, pull_gradient = vjp(grad(total), params)
    hessian_v = pull_gradient(v)[0]
    jacobian = jacobian_of(f, params)
    jv = (jacobian @ flat(v)).reshape(y.shape)
    output_hessian_jv = vjp(grad(of_output), y)[1](jv)[0]

    # One gradient of the summed loss for each datum, on the scale of the loss: what a mean divides by.
    terms = target.numel()
    gradients = datum_gradients(functions[loss], loss, y, target, jacobian)
    fisher = gradients.T @ (gradients @ flat(v)) / (terms if reduction == "mean" else 1)
    return {
        "loss": loss,
        "reduction": reduction,
        "target": {
            "shape": list(target.shape),
            "data": target.reshape(-1).tolist(),
            "integer": not target.is_floating_point(),
        },
        "value": value.item(),
        "gradient": flat(gradient).tolist(),
        "hessianV": flat(hessian_v).tolist(),
        "gaussNewtonV": (jacobian.T @ output_hessian_jv.reshape(-1)).tolist(),
        "empiricalFisherV": fisher.tolist(),
    }


def datum_gradients(function, loss, y, target, jacobian):
    """The gradients of the summed loss of each datum by the parameters, [data, P], as curvlinops' EFLinearOperator takes
    them: for cross-entropy a datum is a target, for other losses the vector along the last axis (for outputs of [batch]
    a number)."""
    if loss == "cross_entropy":
        data = y.movedim(1, -1).reshape(-1, y.shape[1])
        indices = torch.arange(y.numel()).reshape(y.shape).movedim(1, -1).reshape(-1, y.shape[1])
        targets = target.reshape(-1)
    else:
        width = y.shape[-1] if y.dim() > 1 else 1
        data, targets = y.reshape(-1, width), target.reshape(-1, width)
        indices = torch.arange(y.numel()).reshape(-1, width)
    gradients = []
    for datum, wanted, index in zip(data, targets, indices):
        by_output = grad(lambda y: function(y[None], wanted[None], reduction="sum"))(datum.detach())
        gradients.append(jacobian[index].T @ by_output)
    return torch.stack(gradients)


def init_case(name, layers, seed, dtype):
    torch.manual_seed(seed)
    values = torch.cat([p.detach().reshape(-1) for p in sequential(layers, dtype).parameters()])
    return {
        "name": name,
        "layers": layers,
        "seed": seed,
        "dtype": str(dtype).removeprefix("torch."),
        "length": len(values),
        "every": 37,
        "values": values[::37].double().tolist(),
    }


def write(name, content):
    (FIXTURES / name).write_text(json.dumps(content) + "\n")


def main():
    FIXTURES.mkdir(parents=True, exist_ok=True)
    write("products.json", {"torch": torch.__version__, "cases": [product_case(*model) for model in MODELS]})
    cases = [
        init_case(name, layers, seed, dtype)
        for name, layers in INITIALISED
        for seed in (0, 2**40 + 3)
        for dtype in (torch.float32, torch.float64)
    ]
    write("init.json", {"torch": torch.__version__, "cases": cases})


if __name__ == "__main__":
    main()
