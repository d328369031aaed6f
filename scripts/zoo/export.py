"""Exports models of the zoo and writes what PyTorch computes for them in float64.

    python export.py FOLDER NAME…     writes NAME.pt2 and NAME.json for each, and prints a line of JSON before and after
    python export.py --list           prints the models, [{name, family}], and the families that are missing, as JSON
    python export.py --fixtures       writes test/fixtures/zoo: the models of FIXTURES, without stack traces and paths

Values are those of torch.func, of a model with random weights in eval() and float64: the output y, J v, Jᵀu, JᵀJ v, JJᵀu and, for each
loss, its value, gradient, and the products of its Hessian and Gauss-Newton matrix with v. Arrays are base64 of little-endian numbers.

The oracle of J v is forward mode (torch.func.jvp, with the attention kernel that has it). Where that fails or disagrees with double
backward (the padding row of an embedding: its gradient is zero, its tangent is not), it is double backward; the file says which.
"""

import base64
import json
import logging
import pathlib
import signal
import sys
import traceback
import warnings
import zlib
from unittest.mock import patch

import torch
from torch.func import functional_call, grad, jvp, vjp
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from models import load
from models.registry import Picked

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
SECONDS = 150
"""The exit code that asks for a new process: a failure may leave torch.func's stack of levels as it was."""
GO_ON = 3
"""Relative difference up to which two ways of PyTorch's own to compute a thing agree."""
AGREE = 1e-9


"""Small ones of every kind, which are tests of the repository."""
FIXTURES = [
    "seed-mlp", "fno-1d", "ferminet", "jastrow", "pinn-poisson-by-hand", "deeponet", "fourier-features", "gp-cholesky", "linalg-inv", "linalg-logdet",
    "schnet", "deep-sets", "planar-flow", "maf-made", "vae-elbo", "mixture-density", "hypernetwork", "mixture-of-experts", "spatial-transformer",
    "elementary-functions", "indexing", "stop-gradient", "unread-random", "in-place", "batch-softmax", "contrastive-logits", "perceiver-int-input",
    "linear-attention", "tcn-weight-norm", "lstm-learned-state", "text-cnn", "tied-weights", "lora", "sdpa-bool-mask-broadcast", "sdpa-gqa",
    "batch-norm2d", "batch-norm2d-no-running", "embedding-padding", "embedding-max-norm", "embedding-bag-mean", "embedding-bag-max", "hf-beit", "act-prelu-channels", "max-unpool2d-channels", "pyg-gcn-weighted", "pyg-dense-gat",
    "tv-squeezenet-fire", "timm-eca", "hf-gemma",
]


def main():
    warnings.filterwarnings("ignore")
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    logging.disable(logging.CRITICAL)
    if sys.argv[1] == "--list":
        entries, missing = load()
        print(json.dumps({"models": [{"name": e.name, "family": e.family} for e in entries.values()], "missing": missing}))
        return
    if sys.argv[1] == "--fixtures":
        write_fixtures()
        return
    folder = pathlib.Path(sys.argv[1])
    entries, _ = load()
    signal.signal(signal.SIGALRM, too_long)
    for name in sys.argv[2:]:
        print(json.dumps({"started": name}), flush=True)
        signal.alarm(SECONDS)
        try:
            with OnePrecision():
                record = export(entries[name], folder / f"{name}.pt2")
        except Exception as error:
            record = {"failed": reason(error)}
            if "--trace" in sys.argv:
                traceback.print_exc()
        signal.alarm(0)
        (folder / f"{name}.json").write_text(json.dumps(record, separators=(",", ":")))
        print(json.dumps({"done": name, "failed": record.get("failed")}), flush=True)
        if "failed" in record:
            sys.exit(GO_ON)


def write_fixtures():
    entries, missing = load()
    if missing:
        raise SystemExit(f"families are missing: {missing}")
    folder = SCRIPTS.parent / "test" / "fixtures" / "zoo"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    sys.path.insert(0, str(SCRIPTS))
    from reference.models import shrink

    for name in FIXTURES:
        path = folder / f"{name}.pt2"
        with OnePrecision():
            record = export(entries[name], path)
        shrink(path)
        (folder / f"{name}.json").write_text(json.dumps(record, separators=(",", ":")) + "\n")


def too_long(*_):
    raise TimeoutError(f"takes longer than {SECONDS} s")


def reason(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]


def export(entry, path):
    torch.manual_seed(zlib.crc32(entry.name.encode()))
    module, inputs = entry.build(entry.rows)
    module = (module if entry.pick is None else Picked(module, entry.pick)).eval()
    with torch.no_grad():
        module(*inputs)  # makes lazy layers
    module = module.double()
    shake(module)
    program = exported_dynamic(module, inputs) if entry.dynamic else None
    dynamic = program is not None
    exported_rows = len(inputs[0])
    if not dynamic:
        # A file of two rows, run on four: any multiple should do where rows are independent.
        with torch.no_grad():
            if independent(module, inputs, module(*inputs)):
                inputs = tuple(x[:4] for x in inputs)
                exported_rows = 2
        program = torch.export.export(module, tuple(x[:exported_rows] for x in inputs))
    torch.export.save(program, path)
    arrays = values(module, inputs, entry)
    check_program(program, inputs, exported_rows, arrays["y"])
    return {
        "name": entry.name,
        "family": entry.family,
        "dynamic": dynamic,
        "exportedRows": exported_rows,
        "rows": len(inputs[0]),
        "independent": independent(module, inputs, arrays["y"]),
        **encoded(arrays, inputs),
    }


class OnePrecision(TorchFunctionMode):
    """Conversions to float32 in a model's code are to float64: all in one precision, which a parameter vector can have."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if function is torch.Tensor.float:
            return function_of_double(*args, **kwargs)
        single = lambda value: torch.float64 if value is torch.float32 else value
        kwargs = {key: single(value) for key, value in kwargs.items()}
        return function(*[single(value) for value in args], **kwargs)


def function_of_double(x, **options):
    return x.to(torch.float64, **options)


def shake(module):
    """Away from zeros, ones and neutral statistics, which hide faults."""
    with torch.no_grad():
        for p in module.parameters():
            if p.is_floating_point():
                p.add_(0.1 * torch.randn_like(p))
        for m in module.modules():
            if getattr(m, "running_var", None) is not None:
                m.running_mean.uniform_(-0.3, 0.3)
                m.running_var.uniform_(0.6, 1.4)


def exported_dynamic(module, inputs):
    """The program for any batch, or nothing where torch.export finds that it is for one only."""
    try:
        batch = torch.export.Dim("batch", min=1, max=4096)
        return torch.export.export(module, inputs, dynamic_shapes=tuple({0: batch} for _ in inputs))
    except TimeoutError:
        raise
    except Exception:
        return None


def check_program(program, inputs, rows, y):
    """torch.export may lose what a model does; that would be no fault of ours."""
    difference = relative(program.module()(*[x[:rows] for x in inputs]).detach(), y[:rows])
    if not difference < AGREE:
        raise ValueError(f"the exported program itself differs from the model by {difference:.0e}")


def independent(module, inputs, y):
    with torch.no_grad():
        try:
            alone = torch.cat([module(*[x[i : i + 1] for x in inputs]) for i in range(len(inputs[0]))])
        except Exception:
            return False
    return alone.shape == y.shape and relative(alone, y) < AGREE


def values(module, inputs, entry):
    params = {name: p.detach() for name, p in module.named_parameters() if p.requires_grad}
    if any(p.dtype != torch.float64 for p in params.values()):
        raise ValueError("parameters of another kind than float64")
    v = {name: torch.randn_like(p) for name, p in params.items()}

    def f(params):
        # Copies, for models that change their parameters in place.
        return functional_call(module, {name: p.clone() for name, p in params.items()}, inputs)

    with sdpa_kernel(SDPBackend.MATH), torch.backends.mkldnn.flags(enabled=False), patch.object(torch, "_weight_norm", weight_norm):
        y, pull = vjp(f, params)
        if not (torch.is_tensor(y) and y.dtype == torch.float64):
            raise ValueError("does not return one tensor of float64")
        if not torch.isfinite(y).all():
            raise ValueError("gives infinities")
        u = torch.randn_like(y)
        jtu = pull(u)[0]
        jv, oracle = push(f, params, v, y)
        jtjv = pull(jv)[0]
        jjtu, _ = push(f, params, jtu, y)
        arrays = {
            "params": flat(params), "v": flat(v), "y": y.detach(), "u": u, "jv": jv, "jtu": flat(jtu), "jtjv": flat(jtjv), "jjtu": jjtu,
            "names": [[name, list(p.shape)] for name, p in params.items()], "oracle": oracle, "losses": {},
        }
        for name, target in targets(y).items():
            arrays["losses"][name] = of_loss(f, params, v, y, jv, pull, name, target)
    return arrays


def weight_norm(v, g, dim=0):
    """g v / ‖v‖ by operators whose second derivatives are right: that of libtorch's kernel differs from finite differences."""
    return v * (g / torch.norm_except_dim(v, 2, dim))


def push(f, params, v, y):
    """J v, and how it was found."""
    found, failures = {}, []
    for way, compute in (("forward mode", push_forward), ("double backward", push_double)):
        try:
            found[way] = compute(f, params, v, y).detach()
            if not torch.isfinite(found[way]).all():  # as libtorch's derivatives of logcumsumexp
                del found[way]
                raise ArithmeticError("not finite")
        except Exception as error:
            failures.append(f"{way}: {reason(error)[:80]}")
    if len(found) == 2:
        difference = relative(found["forward mode"], found["double backward"])
        if difference < AGREE:
            return found["forward mode"], "forward mode, double backward"
        return found["double backward"], f"double backward (forward mode differs by {difference:.0e})"
    if not found:
        return push_by_rows(f, params, v, y), "reverse mode, row by row"
    (way, value), = found.items()
    return value, f"{way} ({failures[0]})"


def push_forward(f, params, v, y):
    return jvp(f, (params,), (v,))[1]


def push_double(f, params, v, y):
    u = torch.zeros_like(y, requires_grad=True)
    return vjp(lambda u: vjp(f, params)[1](u)[0], u)[1](v)[0]


def push_by_rows(f, params, v, y):
    _, pull = vjp(f, params)
    units = torch.eye(y.numel()).reshape(-1, *y.shape)
    return torch.stack([(flat(pull(unit)[0]) * flat(v)).sum() for unit in units]).reshape(y.shape)


def targets(y):
    found = {"mse": torch.randn_like(y)}
    if y.dim() == 2 and y.shape[1] > 1:
        found["cross_entropy"] = torch.randint(0, y.shape[1], (y.shape[0],))
    return found


LOSSES = {"mse": torch.nn.functional.mse_loss, "cross_entropy": torch.nn.functional.cross_entropy}


def of_loss(f, params, v, y, jv, pull, name, target):
    def of_output(y):
        return LOSSES[name](y, target)

    def total(params):
        return of_output(f(params))

    try:
        gradient, pull_gradient = vjp(grad(total), params)
        hessian_v = flat(pull_gradient(v)[0])
    except Exception:  # an operator without a second derivative
        gradient, hessian_v = grad(total)(params), None
    hessian_jv = cross_entropy_hessian(y, jv) if name == "cross_entropy" else vjp(grad(of_output), y.detach())[1](jv)[0]
    return {
        "target": target,
        "value": total(params).item(),
        "gradient": flat(gradient),
        "hessianV": hessian_v,
        "gaussNewtonV": flat(pull(hessian_jv)[0]),
    }


def cross_entropy_hessian(y, u):
    """p_i Σ_j p_j (u_i − u_j) / N: PyTorch's p ⊙ u − p (p·u) cancels where one class has nearly all the probability."""
    p = y.detach().softmax(1)
    return p * (p[:, None, :] * (u[:, :, None] - u[:, None, :])).sum(-1) / len(y)


def flat(tree):
    return torch.cat([block.detach().reshape(-1) for block in tree.values()]) if tree else torch.zeros(0)


def relative(a, b):
    if a.shape != b.shape:
        return float("inf")
    return ((a - b).abs().max() / b.abs().max().clamp_min(1e-300)).item() if b.numel() else 0.0


def encoded(value, inputs):
    tree = lambda value: (
        {key: tree(each) for key, each in value.items()} if isinstance(value, dict) else array(value) if torch.is_tensor(value) else value
    )
    return {**tree(value), "inputs": [array(x) for x in inputs]}


def array(x):
    x = x.detach().contiguous()
    data = x.to(torch.uint8) if x.dtype == torch.bool else x
    return {"dtype": str(x.dtype).removeprefix("torch."), "shape": list(x.shape), "base64": base64.b64encode(data.numpy().tobytes()).decode()}


if __name__ == "__main__":
    main()
