"""Writes test/fixtures/calls.txt: calls of operators that a model may consist of, forward and backward, with arguments they take, as they
come up in the samples of PyTorch's own tests. test/native/fuzz changes them a little and looks whether the process survives.

A line is the operator's name and its arguments in the order of its schema: `-` none, `i1`, `f0.5`, `b1`, `smean`, `I1,2`, `F0.5`, `B1,0`;
tensors `Tfloat64:2,3`, those of whole numbers with their values, `Tint64:2:0,1`; several, `[Tfloat64:2 - ]`.

Run with PyTorch 2.13 and the package `expecttest`, which the list needs: python scripts/reference/calls.py
"""

import zlib

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from operators import ALLOWED, FIXTURES, op_db

MOST_NUMBERS, MOST_WHOLE, MOST_OF_ONE = 400, 48, 4
TYPES = (torch.float64, torch.complex128, torch.int64, torch.bool)


class Unwritable(Exception):
    """An argument of a kind that no model has."""


def numbers(letter, values):
    return letter + ",".join(str(each) for each in values)


def tensor(t):
    name = str(t.dtype).removeprefix("torch.")
    if t.layout != torch.strided or t.numel() > MOST_NUMBERS:
        raise Unwritable
    text = f"T{name}:" + ",".join(str(size) for size in t.shape)
    if t.is_floating_point() or t.is_complex() or t.dtype == torch.bool:
        return text
    if t.numel() > MOST_WHOLE:
        raise Unwritable
    return text + ":" + ",".join(str(value) for value in t.reshape(-1).tolist())


def written(value):
    if value is None:
        return "-"
    if torch.is_tensor(value):
        return tensor(value)
    if isinstance(value, bool):
        return f"b{int(value)}"
    if isinstance(value, int):
        return f"i{value}"
    if isinstance(value, float):
        return f"f{value}"
    if isinstance(value, str) and value and " " not in value:
        return f"s{value}"
    if isinstance(value, (list, tuple)):
        if all(isinstance(each, bool) for each in value) and value:
            return numbers("B", (int(each) for each in value))
        if all(isinstance(each, int) for each in value):
            return numbers("I", value)
        if all(isinstance(each, float) for each in value):
            return numbers("F", value)
        if all(each is None or torch.is_tensor(each) for each in value):
            return "[" + "".join(written(each) + " " for each in value) + "]"
    raise Unwritable


def arguments(schema, args, kwargs):
    """All of a call's, in the schema's order; types and devices are left to their defaults."""
    words = []
    for i, argument in enumerate(schema.arguments):
        if i < len(args):
            value = args[i]
        else:
            value = kwargs.get(argument.name, argument.default_value)
        given = isinstance(value, (torch.dtype, torch.device, torch.layout, torch.memory_format))
        words.append("-" if given else written(value))
    return " ".join(words)


class Calls:
    """Of each operator the first calls of those that differ in kinds and ranks of their arguments."""

    def __init__(self):
        self.lines = {}
        self.kinds = set()

    def note(self, func, args, kwargs):
        schema = func._schema
        name = schema.name.removeprefix("aten::")
        if name not in ALLOWED or schema.is_mutable or not schema.name.startswith("aten::"):
            return
        try:
            words = arguments(schema, args, kwargs)
        except Unwritable:
            return
        full = schema.name + (f".{schema.overload_name}" if schema.overload_name else "")
        lines = self.lines.setdefault(full, [])
        kind = full + "".join(word[:8] + str(word.count(",")) for word in words.split())
        if len(lines) < MOST_OF_ONE and kind not in self.kinds:
            self.kinds.add(kind)
            lines.append(f"{full} {words}")


class Parts(TorchDispatchMode):
    """Notes what operators that are made of others come down to, and their backward passes."""

    def __init__(self, calls):
        super().__init__()
        self.calls = calls

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.calls.note(func, args, kwargs or {})
        return func(*args, **(kwargs or {}))


class Wholes(TorchFunctionMode):
    """Notes operators as they are called."""

    def __init__(self, calls):
        super().__init__()
        self.calls = calls

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        packet = getattr(torch.ops.aten, name, None) if name in ALLOWED else None
        if packet is not None:
            try:
                overload = torch._C._jit_resolve_packet(f"aten::{name}", *args, **kwargs)
                self.calls.note(getattr(packet, overload), args, kwargs)
            except Exception:  # a Python function of the same name
                pass
        return func(*args, **kwargs)


def pull(results):
    """Backward through all that has a derivative."""
    leaves = [t for t in tree_flatten(results)[0] if torch.is_tensor(t) and t.requires_grad]
    if not leaves:
        return
    total = sum((t * t.conj()).real.sum() if t.is_complex() else (t * t).sum() for t in leaves)
    total.backward(retain_graph=True)


def others():
    """Operators that PyTorch's list does not call, or only by another name."""
    aten = torch.ops.aten

    def t(*sizes):
        return torch.randn(sizes, dtype=torch.float64)

    def hidden(gates):
        return (t(3, 4), t(gates * 5, 4), t(gates * 5, 5), t(gates * 5), t(gates * 5))

    def cell(gates, state):
        x, *weights = hidden(gates)
        return x, state, *weights

    bags = torch.tensor([0, 2, 1, 4, 3]), torch.tensor([0, 2, 2])
    image, volume = t(2, 3, 4, 6), t(2, 3, 4, 6, 5)
    yield aten._convolution.default, (image, t(4, 3, 2, 3), t(4), [1, 2], [1, 0], [1, 1], False, [0, 0], 1, False, False, False, False)
    yield aten._convolution.default, (image, t(3, 2, 2, 3), t(2), [2, 1], [1, 0], [1, 1], True, [1, 0], 1, False, False, False, False)
    yield aten._convolution.deprecated, (image, t(6, 1, 2, 3), t(6), [1, 2], [1, 0], [1, 1], False, [0, 0], 3, False, False, False)
    yield aten._convolution_mode.default, (image, t(4, 3, 2, 3), t(4), [1, 1], "same", [1, 2], 1)
    yield aten.conv2d.padding, (image, t(4, 3, 2, 3), t(4), [1, 1], "valid", [1, 2], 1)
    yield aten.conv_transpose3d.input, (volume, t(3, 2, 2, 3, 2), t(2), [1, 2, 1], [1, 0, 1], [0, 1, 0], 1, [1, 1, 1])
    yield aten.conv_tbc.default, (t(6, 2, 3), t(2, 3, 4), t(4), 1)
    yield aten.bilinear.default, (t(4, 3), t(4, 2), t(5, 3, 2), t(5))
    yield aten.nll_loss2d.default, (t(2, 3, 4, 2), torch.randint(0, 3, (2, 4, 2)), t(3), 1, -100)
    yield aten.nll_loss.default, (t(4, 3), torch.randint(0, 3, (4,)), t(3), 1, -100)
    yield aten.nll_loss_nd.default, (t(2, 3, 4, 2), torch.randint(0, 3, (2, 4, 2)), t(3), 2, 1)
    yield aten.embedding_bag.default, (t(5, 3), *bags, False, 1, False, None, False)
    yield aten.embedding_bag.default, (t(5, 3), *bags, False, 0, False, t(5), True)
    yield aten.embedding_bag.padding_idx, (t(5, 3), *bags, False, 2, False, None, False, 1)
    for name in ("upsample_nearest2d", "_upsample_nearest_exact2d", "upsample_bilinear2d", "upsample_bicubic2d"):
        flag = [] if "nearest" in name else [False]
        yield getattr(aten, name).vec, (image, [7, 3], *flag, None)
        yield getattr(aten, name).vec, (image, None, *flag, [1.5, 0.5])
    for name in ("upsample_nearest3d", "_upsample_nearest_exact3d", "upsample_trilinear3d"):
        flag = [] if "nearest" in name else [True]
        yield getattr(aten, name).vec, (volume, [7, 3, 2], *flag, None)
        yield getattr(aten, name).vec, (volume, None, *flag, [1.5, 0.5, 2.0])
    for name in ("_upsample_bicubic2d_aa_backward", "_upsample_bilinear2d_aa_backward"):
        yield getattr(aten, name).default, (t(2, 3, 5, 3), [5, 3], [2, 3, 4, 6], False, None, None)
    yield aten.grid_sampler.default, (image, torch.rand(2, 5, 3, 2, dtype=torch.float64), 0, 0, False)
    yield aten.grid_sampler.default, (volume, torch.rand(2, 5, 3, 2, 3, dtype=torch.float64), 1, 2, True)
    yield aten.affine_grid_generator.default, (t(2, 2, 3), [2, 3, 4, 6], True)
    yield aten.affine_grid_generator.default, (t(2, 3, 4), [2, 3, 4, 6, 5], False)
    yield aten._native_batch_norm_legit_no_training.default, (image, t(3), t(3), t(3), t(3).exp(), 0.1, 1e-5)
    yield aten.rnn_relu_cell.default, cell(1, t(3, 5))
    yield aten.rnn_tanh_cell.default, cell(1, t(3, 5))
    yield aten.gru_cell.default, cell(3, t(3, 5))
    yield aten.lstm_cell.default, cell(4, [t(3, 5), t(3, 5)])
    yield aten.narrow.Tensor, (t(5, 3), 0, torch.tensor(1), 2)
    yield aten._unsafe_index_put.default, (t(5, 3), [torch.tensor([1, 4])], t(2, 3), False)
    yield aten.stft.default, (t(2, 40), 16, 4, 12, t(12).exp(), False, True, True)
    yield aten.lu_solve.default, (t(3, 2), *torch.linalg.lu_factor(t(3, 3)))


def main():
    calls = Calls()
    for overload, arguments_of in others():
        overload(*arguments_of)  # it takes them
        calls.note(overload, arguments_of, {})
    for op in op_db:
        torch.manual_seed(zlib.crc32(op.full_name.encode()))
        for dtype in TYPES:
            if not op.supports_dtype(dtype, "cpu"):
                continue
            differentiable = dtype in (torch.float64, torch.complex128) and op.supports_autograd
            try:
                samples = list(op.sample_inputs("cpu", dtype, requires_grad=differentiable))
            except Exception:  # samples for CUDA only
                continue
            for sample in samples[:40]:
                try:
                    with Parts(calls), Wholes(calls):
                        pull(op(sample.input, *sample.args, **sample.kwargs))
                except Exception:  # no derivative, or none of this type
                    continue
    lines = [line for name in sorted(calls.lines) for line in calls.lines[name]]
    (FIXTURES / "calls.txt").write_text("\n".join(lines) + "\n")
    print(f"{len(lines)} calls of {len(calls.lines)} operators")


if __name__ == "__main__":
    main()
