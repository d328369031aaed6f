"""Writes test/fixtures/graphs: what graphs hold beside the layers of a model, with what torch.func computes for them in float64 (the values of
scripts/zoo/export.py): gradients of a part of the model, as of an inner step of training, which are backward passes as operators; effects in the
order of tokens, as decomposed graphs have them; memory by strides; bags and segments of any length; weights by norms of all of them.

    python scripts/reference/graphs.py [NAME …]
"""

import copy
import sys

import torch
from torch import nn
from torch.func import functional_call, grad, jvp
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

import families

ROWS, BATCH = 3, 5
FOLDER = families.FIXTURES / "graphs"


class InnerStep(nn.Module):
    """A layer stack after one step of gradient descent on examples of its own: of what x asks for, the answer of the stack then."""

    def __init__(self, stack, examples, classes):
        super().__init__()
        self.stack = stack
        self.register_buffer("examples", examples)
        self.register_buffer("classes", torch.tensor(classes))

    def loss(self, y):
        return F.cross_entropy(y, self.classes, weight=torch.linspace(0.5, 1.5, y.shape[1]), ignore_index=2)

    def forward(self, x):
        params = dict(self.stack.named_parameters())
        of = lambda params, x: functional_call(self.stack, params, (x,))
        steps = grad(lambda params: self.loss(of(params, self.examples)))(params)
        return of({name: p - 0.3 * steps[name] for name, p in params.items()}, x)


class Gradient(nn.Module):
    """∇ₓ of a function of each row."""

    def __init__(self, stack):
        super().__init__()
        self.stack = stack

    def forward(self, x):
        return grad(lambda x: torch.sin(self.stack(x)).sum())(x).flatten(1)


class Laplacian(Gradient):
    """Δ of a function of each row."""

    def forward(self, x):
        u = lambda x: torch.sin(self.stack(x)).sum()
        slopes = lambda x, axis: grad(u)(x)[:, axis].sum()
        return sum(grad(slopes)(x, axis)[:, axis] for axis in range(x.shape[1])).unsqueeze(1)


class Along(Gradient):
    """A function of each row and its derivative along a vector, in forward mode."""

    def forward(self, x):
        y, slope = jvp(self.stack, (x,), (torch.linspace(0.5, 1.0, x.shape[1]).expand_as(x),))
        return torch.cat([y, slope], 1)


class PlainLayerNorm(nn.Module):
    """As nn.LayerNorm is defined: derivatives of its kernel's backward pass take means and deviations for constants."""

    def __init__(self, kernel):
        super().__init__()
        self.axes, self.eps = [-1 - i for i in range(len(kernel.normalized_shape))], kernel.eps
        self.weight, self.bias = kernel.weight, kernel.bias

    def forward(self, x):
        centered = x - x.mean(self.axes, keepdim=True)
        normal = centered / torch.sqrt((centered**2).mean(self.axes, keepdim=True) + self.eps)
        normal = normal if self.weight is None else normal * self.weight
        return normal if self.bias is None else normal + self.bias


class Traced(nn.Module):
    """A model as a graph without derivatives (scripts/docs/export.md)."""

    def __init__(self, model, x, tracing_mode="symbolic"):
        super().__init__()
        self.model = model
        call = lambda values, x: functional_call(model, values, (x,))
        self.graph = make_fx(call, tracing_mode=tracing_mode)(self.values(), x)
        for node in self.graph.graph.nodes:
            if node.target is torch.ops.aten.detach.default:
                node.replace_all_uses_with(node.args[0])
        self.graph.recompile()

    def values(self):
        return {**dict(self.model.named_parameters()), **dict(self.model.named_buffers())}

    def forward(self, x):
        return self.graph(self.values(), x)


class Named(nn.Module):
    """A model with the names of its graph."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x)


class Function(nn.Module):
    """A function of x and of weights w of some shape."""

    def __init__(self, shape, of, **buffers):
        super().__init__()
        self.w = nn.Parameter(torch.randn(shape) * 0.5)
        for name, value in buffers.items():
            self.register_buffer(name, value)
        self.of = of
        self.changes = True  # its buffers; torch.func does not

    def forward(self, x):
        return self.of(self, x)


class Windows(nn.Module):
    """A linear map of rows by the windows of a few weights."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(9))

    def forward(self, x):
        return torch.sin(x @ self.w.unfold(0, 3, 3))


def images(*shape):
    return lambda rows: torch.randn(rows, *shape)


def tokens(length, kinds):
    return lambda rows: torch.randint(0, kinds, (rows, length))


def printed(model, x):
    torch.ops.aten._print("a line")
    torch._assert_async((x.abs() < 1e9).all(), "x is too large")
    torch.ops.aten._print("another one")
    return torch.tanh(x @ model.w)


def factorized(model, x):
    gram = model.w @ model.w.mT + 2 * torch.eye(3)
    factors, pivots = torch.linalg.lu_factor(model.w[:, :3] + 2 * torch.eye(3))
    solved = torch.linalg.lu_solve(factors, pivots, x.mT).mT
    return torch.cholesky_solve(x.mT, torch.linalg.cholesky(gram)).mT + solved


def windows(model, x):
    h = x @ model.w
    overlapping = torch.as_strided(h, (h.shape[0], 3, 4), (8, 2, 1))
    every = torch.as_strided(h, (h.shape[0], 4), (8, 2), 1)
    return overlapping.sin().sum(2).repeat(1, 2)[:, :4] * every


def bags(model, x):
    offsets, padded = model.offsets, model.padded
    sums = F.embedding_bag(model.indices, model.w, offsets, mode="sum", per_sample_weights=model.w[:, 0].repeat(2)[:9].contiguous())
    means = F.embedding_bag(model.indices, model.w, padded, mode="mean", padding_idx=2, include_last_offset=True)
    from_end = F.embedding_bag(model.indices, model.w.cos(), offsets, mode="sum", padding_idx=-1)
    pairs = F.embedding_bag(model.indices[:6].reshape(3, 2), model.w.sin(), mode="mean", padding_idx=-1)
    return x @ (sums + means.sin() + from_end * pairs + F.embedding_bag(model.indices, model.w, offsets, mode="max")).mT


def segments(model, x):
    reduce = lambda how, **options: torch.segment_reduce(model.w, how, axis=0, **options)
    lengths, offsets = model.lengths, torch.cat([model.lengths.new_zeros(1), model.lengths.cumsum(0)])
    parts = [reduce("sum", lengths=lengths), reduce("mean", lengths=lengths, initial=0.5), reduce("max", offsets=offsets), reduce("min", lengths=lengths)]
    return x @ (sum(part[:2] for part in parts) + reduce("prod", lengths=lengths, initial=2)[:2]).mT


def chosen(model, x):
    """Indices beyond the axis where a mask is false."""
    h = x @ model.w
    places, mask = torch.tensor([-3, 0, 2, 9, 3]), torch.tensor([False, True, True, False, True])
    found = torch.ops.aten._unsafe_masked_index(h.sin(), mask, [None, places], 0.5)
    pairs = torch.ops.aten._unsafe_masked_index(model.w, mask, [places.clamp(max=2), places], -1.0)
    added = torch.ops.aten._unsafe_masked_index_put_accumulate(torch.zeros_like(h), mask, [None, torch.tensor([7, 0, -1, -9, 0])], found * pairs)
    return torch.cat([found * pairs, added], 1)


def margins(model, x):
    y = torch.sin(2 * model.w)
    weights = torch.linspace(0.5, 1.5, 4)
    each = [
        F.multi_margin_loss(y, model.classes, reduction="none"),
        F.multi_margin_loss(y, model.classes, p=2, margin=0.7, weight=weights, reduction="none"),
        F.multilabel_margin_loss(y, model.labels, reduction="none"),
        F.multi_margin_loss(y, model.classes, p=2, weight=weights).expand(3),
        F.multilabel_margin_loss(y, model.labels, reduction="sum").expand(3),
        F.multi_margin_loss(y[0], model.classes[1]).expand(3),
    ]
    return x @ torch.stack(each, 1)


def spaced(model, x):
    y = torch.sin(2 * model.w)
    (first,) = torch.gradient(y, spacing=0.5, dim=1)
    (second,) = torch.gradient(y, spacing=(torch.linspace(0, 2, 6) ** 2,), dim=1, edge_order=2)
    both = torch.gradient(y, spacing=[0.5, 2.0])
    mantissa, exponent = torch.frexp(y)
    return x @ (first + second + both[0] * both[1] + mantissa * exponent)


def written(model, x):
    """Memory that is filled in parts, as decomposed graphs have it, and a buffer that no run reads as the one before left it."""
    y, h = x.new_empty(x.shape[0], 3, 2), x
    for t in range(3):
        h = torch.tanh(h @ model.w)
        y[:, t] = h
    state, runs = (model.state, model.runs) if model.changes else (model.state.clone(), model.runs.clone())
    state.copy_(model.w[:1] * 2)
    runs.add_(1)
    mask = torch.empty(2, 2).fill_(-2.0).triu_(1)
    return ((y * state) @ mask.exp()).flatten(1)


def filled(model, x):
    """Complex numbers without a dtype, which are of the default precision; truth values in arithmetic."""
    h = (x @ model.w).mul(True) + True
    turned = torch.full((h.shape[1],), 0.1 + 0.2j) * h.exp() + torch.full_like(h, 0.7) * 0.3j
    return torch.view_as_real(turned).flatten(1)


def changed(model, x):
    """Operators in place whose functional form has another overload, or its arguments in another order."""
    h = x @ model.w
    k = torch.arange(4.0)
    k //= 2
    steps = torch.arange(4)
    steps //= 2
    scaled = h.clone().ldexp_(k)
    slopes = h.exp().clone().polygamma_(1)
    floors = x.sum(1, keepdim=True) + k
    floors //= 0.3
    whole = x.cumsum(1)[:, :1].clone().floor_divide_(torch.tensor(0.7))
    return scaled.tanh() + slopes * k + floors * h + whole + h[:, steps]


def squeezed(model, x):
    """Axes of one element, among which that of a single row is none: torch.func, which gets single rows, is told the others."""
    drop = lambda h, *axes: h.squeeze() if model.changes else h.squeeze(axes)
    h = drop(torch.tanh(x.unsqueeze(1).unsqueeze(0) @ model.w), 0, 2)
    shifted = x.sum(1)[:, None, None].squeeze(-1)
    h = (h.squeeze(0) if model.changes else h) + shifted
    h = h.unsqueeze(1).squeeze((0, 1) if model.changes else 1)
    h = (h.unsqueeze(1) @ model.w.sin()[:2]).squeeze_(1)
    return drop(h.sum(1, keepdim=True), 1)


class Rrelu(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 6), nn.RReLU(0.1, 0.4), nn.Linear(6, 2))

    def forward(self, x):
        return self.body(x)


def convolutional():
    return nn.Sequential(
        nn.ReflectionPad2d(1), nn.Conv2d(2, 3, 3, bias=True), nn.PReLU(3), nn.MaxPool2d(2), nn.ConvTranspose2d(3, 2, 2, stride=2), nn.ReplicationPad2d(1),
        nn.AvgPool2d(2, 1), nn.Tanh(), nn.Upsample(scale_factor=2, mode="bilinear"), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(8, 4),
    )


def weight_norms():
    """By the norm of a whole matrix, and of slices along an axis in the middle."""
    return nn.Sequential(
        weight_norm(nn.Linear(3, 8), dim=None), nn.Tanh(), nn.Unflatten(1, (2, 4)), weight_norm(nn.Conv1d(2, 3, 2), dim=1), nn.Flatten(),
    )


def plain(module):
    """A copy with layer norms by their definition."""
    module = copy.deepcopy(module)
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.LayerNorm):
                setattr(parent, name, PlainLayerNorm(child))
    return module


def normalized():
    """Layer norms of every kind: with and without weights and shifts, of one and of two axes."""
    unscaled, unshifted = nn.LayerNorm(6, elementwise_affine=False), nn.LayerNorm(6, bias=False)
    return nn.Sequential(
        nn.Linear(3, 6), nn.Tanh(), nn.LayerNorm(6), nn.Linear(6, 6), nn.Tanh(), unscaled, nn.Linear(6, 6), nn.Tanh(), unshifted, nn.Linear(6, 8),
        nn.Unflatten(1, (2, 4)), nn.LayerNorm((2, 4), eps=0.1), nn.Flatten(), nn.Linear(8, 2),
    )


# By name: the module, its rows, and whether its graph is decomposed.
GRAPHS = {
    "inner-step-images": lambda: (InnerStep(convolutional(), torch.randn(3, 2, 6, 6), [0, 3, 2]), images(2, 6, 6), False),
    "inner-step-tokens": lambda: (
        InnerStep(nn.Sequential(nn.Embedding(7, 4, padding_idx=1), nn.ReflectionPad1d(1), nn.LayerNorm(6), nn.GELU(), nn.Flatten(), nn.Linear(18, 3), Windows()), torch.tensor([[0, 1, 2], [3, 3, 6]]), [1, 0]),
        tokens(3, 7), False),
    "inner-step-pixels": lambda: (
        InnerStep(nn.Sequential(nn.Conv2d(1, 3, 2), nn.AdaptiveMaxPool2d(2)), torch.randn(2, 1, 4, 4), [[[0, 1], [2, 0]], [[1, 1], [0, 2]]]),
        images(1, 4, 4), False),
    "gradient-layer-norm": lambda: (Gradient(nn.Sequential(nn.Linear(3, 6), nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, 2))), images(3), False),
    "gradient-volumes": lambda: (
        Gradient(nn.Sequential(nn.Conv3d(1, 2, 2), nn.Tanh(), nn.MaxPool3d(2, 1), nn.ReplicationPad3d(1), nn.AvgPool3d(2), nn.Upsample(scale_factor=2))),
        images(1, 4, 3, 3), False),
    "printed": lambda: (Function((3, 2), printed), images(3), True),
    "factorized": lambda: (Function((3, 5), factorized), images(3), True),
    "windows": lambda: (Function((3, 8), windows), images(3), True),
    "bags": lambda: (
        Function((5, 4), bags, indices=torch.tensor([0, 2, 4, 4, 1, 0, 3, 2, 1]), offsets=torch.tensor([0, 2, 5]), padded=torch.tensor([0, 4, 7, 9])), images(4), False),
    "segments": lambda: (Function((6, 3), segments, lengths=torch.tensor([2, 1, 3])), images(3), False),
    "margins": lambda: (
        Function((3, 4), margins, classes=torch.tensor([0, 3, 1]), labels=torch.tensor([[2, 0, -1, 3], [3, 3, 1, -1], [-1, 0, 0, 0]])), images(3), False),
    "spaced": lambda: (Function((3, 6), spaced), images(3), False),
    "written": lambda: (Function((2, 2), written, state=torch.zeros(1, 2), runs=torch.tensor(0)), images(2), False),
    "written-decomposed": lambda: (Function((2, 2), written, state=torch.zeros(1, 2), runs=torch.tensor(0)), images(2), True),
    "rrelu": lambda: (Rrelu(), images(4), True),
    "weight-norms": lambda: (weight_norms(), images(3), False),
    "weight-norms-decomposed": lambda: (weight_norms(), images(3), True),
    "chosen": lambda: (Function((3, 4), chosen), images(3), False),
    "filled": lambda: (Function((3, 4), filled), images(3), False),
    "filled-decomposed": lambda: (Function((3, 4), filled), images(3), True),
    "squeezed": lambda: (Function((3, 2), squeezed), images(3), False),
    "gradient-normalized": lambda: (Gradient(normalized()), images(3), False),
    "laplacian-normalized": lambda: (Laplacian(nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.LayerNorm(5), nn.Linear(5, 2))), images(2), False),
    "along": lambda: (Along(nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 4), nn.GELU(), nn.Linear(4, 2))), images(2), False),
    "changed": lambda: (Function((3, 4), changed), images(3), False),
}


def main():
    wanted = sys.argv[1:]
    if wanted:
        torch.set_default_dtype(torch.float64)
    else:
        families.begin(FOLDER)
    rows = torch.export.Dim("batch", min=1, max=64)
    for seed, (name, make) in enumerate(GRAPHS.items()):
        if wanted and name not in wanted:
            continue
        torch.manual_seed(seed)
        module, inputs, decomposed = make()
        example = inputs(ROWS)
        forward = isinstance(module, Along)
        if isinstance(module, (InnerStep, Gradient)):
            module, oracle = Traced(module.eval(), example, "real" if forward else "symbolic"), Named(plain(module))
        else:
            oracle = copy.deepcopy(module.eval())
            oracle.changes = False
        # A graph of forward mode has the rows of its example.
        shapes, batch = (None, 2 * ROWS) if forward else (({0: rows},), BATCH)
        families.write(FOLDER, name, module, (example,), (inputs(batch),), shapes, oracle=oracle, decomposed=decomposed)


if __name__ == "__main__":
    main()
