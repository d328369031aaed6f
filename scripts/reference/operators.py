"""Writes test/fixtures/operators: PyTorch's own list of operators and samples of their arguments (those of its tests), each operator that a
model may consist of applied to parameters, a dozen in a model. What they read of a matrix that is to be symmetric or triangular, and where
forward mode and backward passes of libtorch's differ, shows here: the parameters and their tangents have no such structure.

Run with PyTorch 2.13 and the package `expecttest`, which the list needs: python scripts/reference/operators.py
"""

import itertools
import re
import zipfile
import zlib

import torch
import torch.testing._internal.opinfo.core as core
from torch import nn
from torch.func import functional_call, jvp, vjp
from torch.utils._pytree import tree_flatten, tree_unflatten

import families
from families import FIXTURES, SCRIPTS

core.extract_test_fn = lambda: None  # looks through the stack for each sample
from torch.testing._internal.common_methods_invocations import op_db  # noqa: E402

FOLDER = FIXTURES / "operators"
PROGRAM = SCRIPTS.parent / "native/core/program"
ALLOWED = {
    name
    for file in (PROGRAM / "allowed_operators.cc", *(PROGRAM / "rewriting").glob("*.cc"))
    for name in re.findall(r"[a-z_0-9]+", " ".join(re.findall(r'"(.*?)"', file.read_text())))
}
NO_FUNCTION = re.compile(r"dropout|multinomial|normal|bernoulli|rand|empty|uniform|exponential|cauchy|geometric|rrelu|fractional")
"""They draw numbers, or give memory as it is."""
OF_COMPLEX = re.compile(r"linalg|cholesky|eig|fft|inverse|solve|svd|qr|logdet|matrix|abs|angle|sgn|polar|prod|cumprod|pow|sqrt|log")
"""Those tried with complex parameters, too, which are pairs of real ones."""
MOST_NUMBERS, MOST_RESULTS, IN_A_MODEL = 64, 6, 12


class Operator(nn.Module):
    """Some numbers of what an operator makes of parameters."""

    def __init__(self, op, sample):
        super().__init__()
        self.op = op
        leaves, self.structure = tree_flatten((sample.input, tuple(sample.args), dict(sample.kwargs)))
        self.leaves = [self.keep(i, leaf) for i, leaf in enumerate(leaves)]
        self.scale = 1.0

    def keep(self, i, leaf):
        if not torch.is_tensor(leaf):
            return leaf
        name = f"p{i}"
        if leaf.is_complex():
            self.register_parameter(name, nn.Parameter(torch.view_as_real(leaf.detach().resolve_conj()).clone()))
            return Kept(name, torch.view_as_complex)
        if leaf.dtype == torch.float64:
            self.register_parameter(name, nn.Parameter(leaf.detach().clone().contiguous()))
        else:
            self.register_buffer(name, leaf.detach().clone())
        return Kept(name)

    def forward(self):
        leaves = [leaf.of(getattr(self, leaf.name)) if isinstance(leaf, Kept) else leaf for leaf in self.leaves]
        first, args, kwargs = tree_unflatten(leaves, self.structure)
        results = [t for t in tree_flatten(self.op(first, *args, **kwargs))[0] if torch.is_tensor(t) and (t.is_floating_point() or t.is_complex())]
        real = [torch.view_as_real(t.resolve_conj()) if t.is_complex() else t for t in results]
        return torch.cat([t.reshape(-1)[:MOST_RESULTS] for t in real]) * self.scale


class Kept:
    def __init__(self, name, of=lambda parameter: parameter):
        self.name, self.of = name, of


class Operators(nn.Module):
    """Rows of x times what the operators give, and its sines: each second derivative counts."""

    def __init__(self, parts):
        super().__init__()
        self.parts = nn.ModuleDict(parts)

    def forward(self, x):
        values = torch.cat([part() for part in self.parts.values()])
        return values * x[:, :1] + torch.sin(values) * x[:, 1:]


def samples(op, dtype):
    """The first of those with the most axes that is small and has parameters."""
    torch.manual_seed(zlib.crc32(op.full_name.encode()))
    found = []
    try:
        for sample in op.sample_inputs("cpu", dtype, requires_grad=False):
            leaves = [leaf for leaf in tree_flatten((sample.input, sample.args, sample.kwargs))[0] if torch.is_tensor(leaf)]
            plain = all(leaf.layout == torch.strided for leaf in leaves)
            numbers = sum(leaf.numel() for leaf in leaves if leaf.dtype == dtype)
            finite = all(torch.isfinite(leaf).all() for leaf in leaves if leaf.dtype == dtype)
            if plain and finite and 0 < numbers <= MOST_NUMBERS:
                found.append(sample)
    except Exception:  # samples for CUDA only
        pass
    return sorted(found, key=axes, reverse=True)[:1]


def axes(sample):
    leaves = tree_flatten((sample.input, sample.args, sample.kwargs))[0]
    return sum(leaf.dim() for leaf in leaves if torch.is_tensor(leaf) and leaf.numel() > 0)


def targets(part):
    """The operators of its exported program."""
    program = torch.export.export(Operators({"part": part}), (torch.randn(3, 2),), dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=64)},))
    names = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    return {name.split(".")[1] if name.startswith("aten.") else name for name in names}


def kind(part):
    """Which derivatives it has; nothing where it has none that are finite, or is none of a model's operators. Sets its scale."""
    params = {name: p.detach() for name, p in part.named_parameters()}
    f = lambda params: functional_call(part, params, ())
    v = {name: torch.randn_like(p) for name, p in params.items()}
    try:
        y, pull = vjp(f, params)
        u = torch.randn_like(y)
        first = torch.cat([g.reshape(-1) for g in pull(u)[0].values()])
        if not (len(y) and torch.isfinite(y).all() and torch.isfinite(first).all() and first.abs().max() > 0):
            return None
        if not targets(part) <= ALLOWED:
            return None
        part.scale = 1 / max(1e-3, y.abs().max().item(), first.abs().max().item())
    except Exception:
        return None
    return has(lambda: jvp(f, (params,), (v,))[1]), has(lambda: vjp(lambda p: vjp(f, p)[1](u)[0], params)[1](v)[0][next(iter(v))])


def has(compute):
    try:
        return bool(torch.isfinite(compute()).all())
    except Exception:
        return False


def main():
    families.begin(FOLDER)
    parts = {}
    for op in op_db:
        for dtype, name in (torch.float64, op.full_name), (torch.complex128, f"{op.full_name}.complex"):
            if not op.supports_autograd or dtype not in op.dtypes or NO_FUNCTION.search(op.name):
                continue
            if dtype.is_complex and not OF_COMPLEX.search(op.name):
                continue
            for part in [Operator(op, sample) for sample in samples(op, dtype)]:
                derivatives = kind(part)
                if derivatives is not None:
                    parts.setdefault((dtype.is_complex, *derivatives), {})[name.replace(".", "__")] = part
    number = itertools.count()
    for (_, forward, twice), named in sorted(parts.items()):
        names = sorted(named)
        for begin in range(0, len(names), IN_A_MODEL):
            some = names[begin : begin + IN_A_MODEL]
            module = Operators({name: named[name] for name in some})
            example = (torch.randn(3, 2),)
            batch = torch.export.Dim("batch", min=1, max=64)
            name = f"operators-{next(number)}"
            try:
                notes = {"operators": some, "forwardMode": forward, "twice": twice}
                families.write(FOLDER, name, module, example, (torch.randn(5, 2),), ({0: batch},), notes=notes, method=zipfile.ZIP_DEFLATED)
            except Exception as error:
                print(name, some, str(error)[:300])
    print(sum(len(named) for named in parts.values()), "samples")


if __name__ == "__main__":
    main()
