"""Writes test/fixtures/torchscript: what TorchScript holds beside operators on tensors, one small model for each, and one JSON file for each that
is right with an input, the output and the gradient of its sum by the parameters, as torch.jit.load computes them in float64. Names that begin
with `refused-` and `unfit-` have no values: the first are refused when they are loaded, the second with the input in their JSON file.

    python scripts/reference/torchscript.py     with PyTorch 2.13
"""

import enum
import json
from typing import List, Tuple

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
                gradients = torch.autograd.grad(y.sum(), list(params.values()))
                expected |= {"y": array(y), "params": {key: array(p) for key, p in params.items()}, "gradient": torch.cat([g.flatten() for g in gradients]).tolist()}
            path.with_suffix(".json").write_text(json.dumps(expected, separators=(",", ":")))
            shrink(path)


def array(tensor):
    return {"shape": list(tensor.shape), "data": tensor.detach().flatten().tolist()}


if __name__ == "__main__":
    main()
