"""Writes test/fixtures/torchscript: what TorchScript holds beside operators on tensors, one small model for each, and one JSON file for each that
is right with an input, the output (`y` of several) and the gradient of its sum by the parameters, as torch.jit.load computes them in float64. Names that begin
with `refused-` and `unfit-` have no values: the first are refused when they are loaded, the second with the input in their JSON file.

    python scripts/reference/torchscript.py     with PyTorch 2.13
"""

import enum
import json
from typing import Dict, List, NamedTuple, Tuple

import families
import torch
from reference.models import shrink  # after families, which knows the folders
from torch import nn

FOLDER = families.FIXTURES / "torchscript"


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 4)
        self.set_up()

    def set_up(self):
        pass


def masked(h: torch.Tensor, i: int):
    m = torch.tensor([i % 2 == 0, i % 3 == 0, i % 5 == 1, i % 7 > 3])
    k = torch.tensor([i % 3, i % 4, 1, i % 5], dtype=torch.uint8)
    return h.masked_fill(m, 0.0) * k


class Masks(Linear):
    """Constants that are made anew in each turn of a loop, of types that are converted."""

    def forward(self, x):
        h = self.fc(x)
        y = h * 0
        for i in range(200):
            y = y + masked(h, i) * float(i + 1)
        return y


class Shared(Linear):
    """A buffer and a frozen parameter in the memory of a parameter: through neither gradients flow."""

    def set_up(self):
        self.fc.double()
        self.register_buffer("start", self.fc.weight.detach())
        self.frozen = nn.Parameter(self.fc.bias.data, requires_grad=False)

    def forward(self, x):
        return torch.tanh(self.fc(x)) + (x - 1) @ self.start.t() * self.frozen


class Conjugates(Linear):
    """Two buffers in one memory, of which one is the other's conjugate."""

    def set_up(self):
        k = torch.randn(4, dtype=torch.complex128)
        self.register_buffer("a", k)
        self.register_buffer("b", k.conj())

    def forward(self, x):
        h = self.fc(x)
        return (h * self.a).imag + (h * self.b).imag * 2


class Sizes(Linear):
    """Sizes that are rounded towards zero, and taken from a number."""

    def forward(self, x):
        size = torch._shape_as_tensor(x)[1] if torch.jit.is_scripting() else x.shape[1]
        low = torch.div(size - 6, 2, rounding_mode="trunc")
        rest = 8 - x.shape[1] % 4
        return self.fc(x) * low * torch.ones(int(rest)).sum()


class Kind(enum.Enum):
    NARROW = "narrow"
    WIDE = "wide"


class Chosen(Linear):
    """A branch on an Enum."""

    def set_up(self):
        self.kind = Kind.WIDE

    def forward(self, x):
        h = self.fc(x)
        if self.kind == Kind.WIDE:
            h = h * 2
        return torch.tanh(h)


class Signs(Linear):
    """An operator whose derivative is a zero without memory."""

    def forward(self, x):
        h = self.fc(x)
        return torch.sgn(h) + torch.sgn(self.fc.weight[0]).sum() * h


class Steps(Linear):
    """As many steps as the example has."""

    def forward(self, x):
        h = x.new_zeros(x.shape[0], 4)
        for step in x.unbind(1):
            h = torch.tanh(self.fc(step) + h)
        return h


class Changed(Linear):
    """The same, with a change in place beside it."""

    def forward(self, x):
        h = x.new_zeros(x.shape[0], 4)
        for step in x.unbind(1):
            h = torch.tanh(self.fc(step) + h) * 1.5
            h[:, 0] *= 2
        return h


class Pieces(Linear):
    def forward(self, x):
        a, b = x.split(2, 1)
        return self.fc(a.sum(1)) * b.sum()


class Axes(Linear):
    def forward(self, x):
        rows, columns = x.size()
        return self.fc(x[:, :3].reshape(rows, 3)) * columns


class Lists(Linear):
    """Lists as Python has them."""

    def forward(self, x):
        h = self.fc(x)
        hs: List[torch.Tensor] = [h, h * 2]
        hs[1] = h * 3
        hs[-2] *= 1.5
        hs.extend([h * 4, h.sin()])
        hs.insert(1, h * 5)
        hs.insert(-20, h * 6)
        last = hs.pop()
        first = hs.pop(0)
        hs += [last.cos(), h * 7]
        hs = hs + [first]
        del hs[2]
        hs.reverse()
        same = hs
        others = hs.copy()
        same.append(h * 8)
        y = h * len(others) + len(hs)
        for i, each in enumerate(hs[1:] + hs[::-2] + hs[-3:-1] + hs[4:0:-3] + hs[7:2]):
            y = y + each * (0.1 * i)
        for each in others * 2:
            y = y * 0.5 + each
        for a, (b, c) in zip([2, 3], [(h, h * 2), (h.tanh(), h.exp())]):
            y = y + a * b - c
        others.clear()
        for i in range(3, 0, -1):
            y = y + i * h
        return y + len(others)


class Dicts(Linear):
    """Dictionaries as Python has them, a result among others."""

    def set_up(self):
        self.factors = {"a": 2.0, "b": 3.5}
        self.places = {3: 1, 5: 2}

    def forward(self, x) -> Dict[str, torch.Tensor]:
        h = self.fc(x)
        d: Dict[str, torch.Tensor] = {"y": h, "z": h.tanh()}
        d["w"] = d["y"] * self.factors["a"]
        d["y"] = d["w"] + self.factors.get("c", 0.25) + self.places[5]
        d.update({"v": h.sin(), "z": h.cos()})
        y = d.pop("v") + d.setdefault("u", h * 2) + d.setdefault("u", h * 3)
        del d["w"]
        if "w" in d:
            return d
        for key in d.keys():
            y = y * 0.5 + d[key]
        for key, value in d.items():
            y = y * 1.5 + value * len(key)
        for value in d.values():
            y = y - value
        same = d.copy()
        d.clear()
        found = same.get("none")
        if found is not None:
            y = found
        return {"x": x, "y": y + len(d) + len(same)}


class Results(NamedTuple):
    x: torch.Tensor
    y: torch.Tensor


class Named(Linear):
    def forward(self, x):
        results = Results(x, self.fc(x))
        return Results(results.y, results.y * results.x.sum(1, keepdim=True))


class Made(Linear):
    """Tensors made of numbers and sizes, and in the shape of another."""

    def forward(self, x):
        h = self.fc(x)
        rows, columns = x.shape
        y = h * torch.tensor([0.1, 2.5, 3.1, 0.7], dtype=x.dtype) + torch.tensor([1.1, 2.0, 3.0, 0.3], dtype=torch.float64)
        y = y @ torch.tensor([[0.1, 2.0, 1.0, 0.5], [1.5, 1.0, 0.0, 2.0], [0.2, 0.3, 0.4, 0.5], [1.0, 2.0, 3.0, 4.0]], dtype=x.dtype)
        y = y * torch.tensor([rows, columns, 2, 3], dtype=x.dtype) / torch.tensor([rows, 1, 1, 1])
        y = y + torch.tensor([[rows - rows, 2], [3, columns]]).flatten() // 2
        y = y + torch.tensor([0.5 * columns, 0.1, 0.2, 0.3]) + torch.tensor(columns, dtype=x.dtype)
        y = y * torch.as_tensor(0.1) + torch.as_tensor([0.1, 1.0, 2.0, 3.0], dtype=x.dtype, device=x.device) + torch.as_tensor(h)
        y = y * torch.tensor([True, False, True, True]) + torch.tensor(2.0).to(x.device) * torch.tensor(3).to(x) * torch.tensor(0.1).type_as(x)
        y = y + h.view(y.size()) * h.reshape(y.shape) + self.fc.bias.expand(y.size())
        y = y + torch.zeros(y.size()) + torch.ones(y.size(), dtype=x.dtype) * 0.1 + torch.full(y.size(), 0.1) + torch.full(y.size(), 7) // 2
        y = y + y.new_full(y.size(), 0.1) + x.new_ones(y.size()) + x.new_zeros(y.size())
        mask = torch.zeros(4, dtype=torch.bool)
        mask.fill_(True)
        mask[1] = False
        out = torch.zeros(rows, 4, dtype=x.dtype)
        out[:, 0] = y[:, 1]
        out[:, 1:] = y[:, 1:] * 2
        return out.masked_fill(mask, 0.1) * y + torch.view_as_real(torch.full((4,), 0.1 + 0.2j) * h).sum(-1)


class Known(Linear):
    """What is asked of tensors that the model brings, which are the same in each run."""

    def set_up(self):
        self.register_buffer("scale", torch.tensor(2.5))
        self.register_buffer("count", torch.tensor(3))
        self.register_buffer("on", torch.tensor(True))
        self.register_buffer("lengths", torch.tensor([[2, 3], [1, 2]]))
        self.register_buffer("reals", torch.tensor([0.1, 0.2, 0.3]))

    def forward(self, x):
        h = self.fc(x) * self.scale.item() + int(self.count) + float(self.scale)
        lengths: List[List[int]] = self.lengths.tolist()
        reals: List[float] = self.reals.tolist()
        if bool(self.on) and self.reals.dim() == 1 and self.fc.weight.shape[0] == 4:
            h = h * lengths[0][1] + reals[0]
        for i in range(len(self.reals)):
            h = h + i * reals[i] * self.reals[i]
        for i in range(self.fc.weight.size(1)):
            h = h + self.fc.weight[:, i] * self.fc.weight.numel()
        first, second = self.lengths.shape
        return torch.tanh(h / 100) * first + second * self.fc.weight.data[0, 0]


class Weights(Linear):
    """Sizes of parameters and buffers, which a trace computes with as with tensors."""

    def set_up(self):
        self.register_buffer("spare", torch.randn(4, 3))

    def forward(self, x):
        w, b = self.fc.weight, self.fc.bias
        h = self.fc(x).view(x.size(0), w.size(0)) / w.shape[1] ** 0.5
        h = h + torch.zeros(x.size(0), w.shape[0]) + b.unsqueeze(0).expand(x.size(0), b.size(0)) * (w.shape[1] * 0.1)
        h = h.reshape(-1, b.numel()) * (w.shape[0] // 2) - (x[:, : w.size(0) - 1].sum(1, keepdim=True) + w.size(0) % x.size(1))
        return h * (1 / self.spare.shape[1]) + torch.full((4,), self.spare.shape[0] / 7) + self.spare.mean() * len(self.spare)


class Kinds(Linear):
    """Integers of a few bits, which are not sizes."""

    def set_up(self):
        self.register_buffer("small", torch.tensor(200, dtype=torch.uint8))
        self.register_buffer("long", torch.tensor(200))

    def forward(self, x):
        return self.fc(x) * (self.small * x.size(1)) + (self.long * x.size(1)) + torch.full((4,), x.size(1) / 7)


class Accumulated(Linear):
    """Tensors that are made anew in each run may change."""

    def forward(self, x):
        h = self.fc(x)
        total = torch.tensor(0.0)
        flags = torch.tensor([True, False, True, True])
        places = torch.tensor([0, 1, 2, 3])
        for i in range(3):
            total += i * self.fc.weight.sum()
            places[i] += 2
            flags[i] = i == 1
        total *= 0.5
        return h.masked_fill(flags, 0.1) * total + places + torch.tensor(2.0, dtype=x.dtype).mul_(3)


class Reshaped(Linear):
    """A size that is asked before a change of shape in place."""

    def forward(self, x):
        h = self.fc(x)
        columns = h.size(1)
        h.unsqueeze_(1)
        return h.squeeze(1) * columns


class Equal(Linear):
    """A branch on the equality of tensors, in lists."""

    def set_up(self):
        self.one, self.two = nn.Parameter(torch.tensor(2.0)), nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        h = self.fc(x)
        if [self.one] == [self.two]:
            h = h * 2
        return h * self.one * self.two


class Together(Linear):
    def forward(self, xs: List[torch.Tensor]):
        return self.fc(xs[0] + xs[1])


class Parts(Linear):
    def forward(self, x):
        return self.fc(x).view(x.shape[:-1] + [2, 2]).sum(-1)


class Branches(Linear):
    def forward(self, x):
        if x.dim() == 2:
            return self.fc(x) * 2
        return self.fc(x)


class Learned(Linear):
    """A number taken from a parameter, along which there would be no derivatives."""

    def forward(self, x):
        return self.fc(x) * self.fc.weight[0, 0].item()


class LearnedList(Linear):
    def forward(self, x):
        bias: List[float] = self.fc.bias.tolist()
        return self.fc(x) * bias[0]


class Counted(Linear):
    """A number that is taken from a buffer after it was changed."""

    def set_up(self):
        self.register_buffer("calls", torch.tensor(0))

    def forward(self, x):
        self.calls.add_(1)
        return self.fc(x) * (1 + int(self.calls))


class CountedLocally(Linear):
    def forward(self, x):
        n = torch.tensor([2, 3])
        n[0].add_(1)
        h = self.fc(x)
        for _ in range(int(n[0])):
            h = torch.tanh(h) * 2
        return h


class Hooked(Linear):
    def set_up(self):
        def triple(self, input: Tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
            return output * 3

        self.register_forward_hook(triple)

    def forward(self, x):
        return torch.tanh(self.fc(x))


class Large(Linear):
    def forward(self, x):
        return self.fc(x + (9007199254740993 % 1009)) + (x[:, :1].long() + 9007199254740993) % 1009


class Largest(Linear):
    def forward(self, x):
        return self.fc(x) + x[:, :1].long().masked_fill(x[:, :1] > 0, 9223372036854775807) % 1000


class Divided(Linear):
    def set_up(self):
        self.zero = 0

    def forward(self, x):
        return self.fc(x) * (7 % self.zero)


class Doubled(Linear):
    def forward(self, x):
        numbers: List[int] = [1]
        for _ in range(60):
            numbers = numbers + numbers
        return self.fc(x) * len(numbers)


class Waves(Linear):
    def forward(self, x):
        return torch.exp(1j * self.fc(x))


SCRIPT, TRACE = ("script",), ("trace",)
BOTH = ("script", "trace")
# name: module, formats, the shape of the example, that of the input
CASES = {
    "masks": (Masks, SCRIPT, (5, 3), (5, 3)),
    "shared": (Shared, BOTH, (5, 3), (5, 3)),
    "conjugates": (Conjugates, BOTH, (5, 3), (5, 3)),
    "sizes": (Sizes, TRACE, (2, 3), (5, 3)),
    "chosen": (Chosen, SCRIPT, (5, 3), (5, 3)),
    "signs": (Signs, BOTH, (5, 3), (5, 3)),
    "steps": (Steps, TRACE, (2, 4, 3), (5, 4, 3)),
    "changed": (Changed, TRACE, (2, 4, 3), (5, 4, 3)),
    "unfit-steps": (Steps, TRACE, (2, 4, 3), (5, 6, 3)),
    "unfit-changed": (Changed, TRACE, (2, 4, 3), (5, 6, 3)),
    "unfit-pieces": (Pieces, BOTH, (2, 4, 3), (5, 6, 3)),
    "unfit-axes": (Axes, SCRIPT, (2, 3), (5, 3, 3)),
    "unfit-waves": (Waves, BOTH, (2, 3), (5, 3)),
    "refused-counted": (Counted, SCRIPT, (2, 3), (2, 3)),
    "refused-counted-locally": (CountedLocally, SCRIPT, (2, 3), (2, 3)),
    "refused-hooked": (Hooked, SCRIPT, (2, 3), (2, 3)),
    "refused-large": (Large, SCRIPT, (2, 3), (2, 3)),
    "refused-largest": (Largest, BOTH, (2, 3), (2, 3)),
    "refused-divided": (Divided, SCRIPT, (2, 3), (2, 3)),
    "refused-doubled": (Doubled, SCRIPT, (2, 3), (2, 3)),
    # A trace keeps the number in a tensor.
    "large": (Large, TRACE, (2, 3), (5, 3)),
    "lists": (Lists, SCRIPT, (5, 3), (5, 3)),
    "dicts": (Dicts, SCRIPT, (5, 3), (5, 3)),
    "named": (Named, SCRIPT, (5, 3), (5, 3)),
    "made": (Made, SCRIPT, (5, 3), (5, 3)),
    "known": (Known, SCRIPT, (5, 3), (5, 3)),
    "weights": (Weights, BOTH, (2, 3), (5, 3)),
    "kinds": (Kinds, SCRIPT, (2, 3), (5, 3)),
    "accumulated": (Accumulated, SCRIPT, (2, 3), (5, 3)),
    "refused-reshaped": (Reshaped, BOTH, (2, 3), (2, 3)),
    "refused-equal": (Equal, SCRIPT, (2, 3), (2, 3)),
    "refused-together": (Together, SCRIPT, (2, 3), (2, 3)),
    "refused-parts": (Parts, SCRIPT, (2, 3), (2, 3)),
    "refused-branches": (Branches, SCRIPT, (2, 3), (2, 3)),
    "refused-learned": (Learned, SCRIPT, (2, 3), (2, 3)),
    "refused-learned-list": (LearnedList, SCRIPT, (2, 3), (2, 3)),
}


def main():
    families.begin(FOLDER)
    for seed, (name, (build, formats, example, shape)) in enumerate(CASES.items()):
        torch.manual_seed(seed)
        module, x = build().eval(), torch.randn(shape)
        for each in formats:
            path = FOLDER / f"{name}.{each}.pt"
            made = torch.jit.script(module) if each == "script" else torch.jit.trace(module, (torch.randn(example),), check_trace=False)
            made.save(path)
            if name.startswith("refused-"):
                shrink(path)
                continue
            expected = {"x": array(x)}
            if not name.startswith("unfit-"):
                loaded = torch.jit.load(path)
                params = {key: p for key, p in loaded.named_parameters() if p.requires_grad}
                y = loaded(x)
                y = y["y"] if isinstance(y, dict) else y[1] if isinstance(y, tuple) else y
                gradients = torch.autograd.grad(y.sum(), list(params.values()))
                expected |= {"y": array(y), "params": {key: array(p) for key, p in params.items()}, "gradient": torch.cat([g.flatten() for g in gradients]).tolist()}
            path.with_suffix(".json").write_text(json.dumps(expected, separators=(",", ":")))
            shrink(path)


def array(tensor):
    return {"shape": list(tensor.shape), "data": tensor.detach().flatten().tolist()}


if __name__ == "__main__":
    main()
