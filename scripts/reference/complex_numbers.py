"""Writes test/fixtures/complex: models with complex numbers inside, as parameters, inputs and outputs. The values are of the same models
with pairs (real, imaginary) in their places, which is how the package takes and gives complex numbers.

    python scripts/reference/complex_numbers.py
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

import families

ROWS = 5


def complex_of(value):
    """A complex tensor, of itself or of pairs."""
    return value if value.is_complex() else torch.view_as_complex(value)


class Complex(nn.Module):
    """A model whose parameters and results are complex, or pairs in their places."""

    def __init__(self, pairs):
        super().__init__()
        self.pairs = pairs

    def weight(self, *shape):
        value = 0.4 * torch.randn(*shape, 2)
        return nn.Parameter(value if self.pairs else torch.view_as_complex(value))

    def result(self, value):
        return torch.view_as_real(value.resolve_conj()) if self.pairs else value


def log_cosh(x):
    """As NetKet has it."""
    sign = -2 * (x.real < 0) + 1
    x = x * sign
    return x + torch.log1p(torch.exp(-2.0 * x)) - math.log(2.0)


class Boltzmann(Complex):
    """log ψ of a restricted Boltzmann machine."""

    def __init__(self, pairs):
        super().__init__(pairs)
        self.visible, self.hidden, self.kernel = self.weight(4), self.weight(6), self.weight(4, 6)

    def forward(self, spins):
        a, b, w = complex_of(self.visible), complex_of(self.hidden), complex_of(self.kernel)
        z = spins.to(w.dtype)
        return self.result(log_cosh(z @ w + b).sum(-1) + z @ a)


class Modulus(Complex):
    """log ψ from two real networks: its modulus and its phase."""

    def __init__(self, pairs):
        super().__init__(pairs)
        self.modulus, self.phase = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, spins):
        return self.result(torch.complex(self.modulus(spins).sin().sum(-1), self.phase(spins).tanh().sum(-1)))


class Jastrow(Complex):
    def __init__(self, pairs):
        super().__init__(pairs)
        self.kernel = self.weight(4, 4)

    def forward(self, spins):
        w = complex_of(self.kernel)
        z = spins.to(w.dtype)
        return self.result((z @ (w + w.mH) @ w * z).sum(-1))


class Deep(Complex):
    """Dense layers with activations that see real and imaginary parts apart, and as moduli."""

    def __init__(self, pairs):
        super().__init__(pairs)
        self.first, self.bias, self.second = self.weight(3, 5), nn.Parameter(torch.randn(5)), self.weight(5, 2)

    def forward(self, x):
        h = torch.complex(x, 0.5 * x) @ complex_of(self.first)
        h = torch.complex(F.selu(h.real), F.selu(h.imag))
        h = F.softplus(h.abs() + self.bias) / (h.abs() + 1e-3) * h
        return self.result(torch.exp(1j * h.angle()) + h.conj() @ complex_of(self.second).sum(-1, keepdim=True))


class Projected(Complex):
    """A sum of amplitudes over a symmetry: log Σ exp(log ψ)."""

    def __init__(self, pairs):
        super().__init__(pairs)
        self.kernel = self.weight(4, 3)

    def forward(self, spins):
        shifted = torch.stack([spins.roll(k, 1) for k in range(4)])
        phases = torch.polar(torch.linspace(0.5, 2, 4), torch.arange(4) * 0.7)
        amplitudes = torch.exp(log_cosh(shifted.to(phases.dtype) @ complex_of(self.kernel)).sum(-1))
        return self.result(torch.log((phases[:, None] * amplitudes).sum(0)))


class SpectralConvolution(Complex):
    """Of the Fourier neural operator, as published: a spectrum that is filled by slices."""

    def __init__(self, pairs, channels, modes):
        super().__init__(pairs)
        self.modes, self.kernel = modes, self.weight(channels, channels, modes)

    def forward(self, x):
        spectrum = torch.fft.rfft(x)
        out = torch.zeros(x.shape[0], x.shape[1], x.size(-1) // 2 + 1, device=x.device, dtype=torch.cdouble)
        out[:, :, : self.modes] = torch.einsum("bix,iox->box", spectrum[:, :, : self.modes], complex_of(self.kernel))
        return torch.fft.irfft(out, n=x.size(-1))


class FourierOperator(nn.Module):
    def __init__(self, pairs):
        super().__init__()
        self.lift, self.project = nn.Linear(2, 3), nn.Linear(3, 1)
        self.spectral = nn.ModuleList(SpectralConvolution(pairs, 3, 3) for _ in range(2))
        self.local = nn.ModuleList(nn.Conv1d(3, 3, 1) for _ in range(2))

    def forward(self, x):
        grid = torch.linspace(0, 1, x.shape[1], dtype=x.dtype).reshape(1, -1, 1).repeat(x.shape[0], 1, 1)
        h = self.lift(torch.cat((x, grid), -1)).permute(0, 2, 1)
        for spectral, local in zip(self.spectral, self.local):
            h = F.gelu(spectral(h) + local(h))
        return self.project(h.permute(0, 2, 1))


class SpectralConvolution2d(Complex):
    def __init__(self, pairs):
        super().__init__(pairs)
        self.low, self.high = self.weight(2, 2, 2, 2), self.weight(2, 2, 2, 2)

    def forward(self, x):
        spectrum = torch.fft.rfft2(x)
        out = torch.zeros(x.shape[0], 2, x.size(-2), x.size(-1) // 2 + 1, dtype=torch.cdouble)
        mix = lambda part, kernel: torch.einsum("bixy,ioxy->boxy", part, complex_of(kernel))
        out[:, :, :2, :2] = mix(spectrum[:, :, :2, :2], self.low)
        out[:, :, -2:, :2] = mix(spectrum[:, :, -2:, :2], self.high)
        return torch.fft.irfft2(out, s=(x.size(-2), x.size(-1))).tanh().sum(1)


class StateSpace(Complex):
    """A diagonal state space model (S4D) through its convolution kernel."""

    def __init__(self, pairs):
        super().__init__(pairs)
        self.step, self.decay = nn.Parameter(torch.rand(3) - 2), nn.Parameter(torch.randn(3, 4) * 0.1)
        self.frequency = nn.Parameter(math.pi * torch.arange(4.0).repeat(3, 1))
        self.mix = self.weight(3, 4)

    def forward(self, u):
        length = u.size(-1)
        a = -torch.exp(self.decay) + 1j * self.frequency
        powers = (a * self.step.exp()[:, None])[..., None] * torch.arange(length)
        kernel = 2 * torch.einsum("hn,hnl->hl", complex_of(self.mix), powers.exp()).real
        spectra = torch.fft.rfft(kernel, n=2 * length) * torch.fft.rfft(u, n=2 * length)
        return torch.fft.irfft(spectra, n=2 * length)[..., :length].tanh().sum(1)


class Rotary(nn.Module):
    """Positions as complex rotations from a buffer, as the published LLaMA."""

    def __init__(self, pairs):
        super().__init__()
        self.q, self.k, self.v = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        angles = torch.outer(torch.arange(6.0), 1.0 / 10 ** torch.arange(0, 1, 0.5))
        self.register_buffer("rotations", torch.polar(torch.ones_like(angles), angles), persistent=False)

    def rotate(self, x):
        pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2))
        return torch.view_as_real(pairs * self.rotations[: x.shape[1]]).flatten(2).type_as(x)

    def forward(self, x):
        return F.scaled_dot_product_attention(self.rotate(self.q(x)), self.rotate(self.k(x)), self.v(x)).sum(1)


class Signal(Complex):
    """Takes complex numbers."""

    def __init__(self, pairs):
        super().__init__(pairs)
        self.kernel = self.weight(4, 3)

    def forward(self, x):
        return self.result((complex_of(x) @ complex_of(self.kernel)).tanh())


class Transforms(nn.Module):
    """Fourier transforms over several axes, their real parts, moduli and phases."""

    def __init__(self, pairs):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        h = torch.fft.fft2(self.first(x), norm="ortho")
        shifted = torch.fft.ifftshift(torch.fft.fftshift(h, dim=-1) * torch.arange(4), dim=-1)
        back = torch.fft.ifft(shifted, dim=-2).real + torch.fft.hfft(h, n=4)
        return self.second(back.tanh()) + h.abs() + torch.sgn(h).imag


class Conjugates(Complex):
    """Imaginary parts of conjugates, which libtorch has as views that negate, in products and attention."""

    def __init__(self, pairs):
        super().__init__(pairs)
        self.kernel = self.weight(4, 6)
        self.last = nn.Linear(9, 3)

    def forward(self, x):
        w = complex_of(self.kernel)
        y = (x.to(w.dtype) @ w).conj().imag.tanh() + (x.to(w.dtype) @ w.sin()).conj().imag
        q = (x.to(w.dtype) @ w.cos()).conj().imag.unflatten(1, (1, 2, 3))
        z = (x.to(w.dtype) @ w).conj().imag.unflatten(1, (2, 3))
        attention = F.scaled_dot_product_attention(q, z.unsqueeze(1), q).flatten(1)
        return self.last(torch.cat([attention, (z.mT @ z).diagonal(dim1=1, dim2=2)], 1)) + y[:, :3]


class Conjugated(Complex):
    """The conjugate of a wave function."""

    def __init__(self, pairs):
        super().__init__(pairs)
        self.kernel = self.weight(4, 3)

    def forward(self, x):
        w = complex_of(self.kernel)
        return self.result((x.to(w.dtype) @ w).sin().conj())


def spins(*shape):
    return torch.where(torch.randn(*shape) > 0, 1.0, -1.0)


# name: module, input of a batch
MODELS = {
    "boltzmann": (Boltzmann, lambda: spins(ROWS, 4)),
    "modulus-and-phase": (Modulus, lambda: spins(ROWS, 4)),
    "jastrow": (Jastrow, lambda: spins(ROWS, 4)),
    "deep": (Deep, lambda: torch.randn(ROWS, 3)),
    "projected": (Projected, lambda: spins(ROWS, 4)),
    "fourier-operator": (FourierOperator, lambda: torch.randn(ROWS, 8, 1)),
    "fourier-operator-2d": (SpectralConvolution2d, lambda: torch.randn(ROWS, 2, 6, 6)),
    "state-space": (StateSpace, lambda: torch.randn(ROWS, 3, 6)),
    "rotary": (Rotary, lambda: torch.randn(ROWS, 5, 4)),
    "signal": (Signal, lambda: torch.randn(ROWS, 4, 2)),
    "transforms": (Transforms, lambda: torch.randn(ROWS, 3, 4)),
    "conjugates": (Conjugates, lambda: torch.randn(ROWS, 4)),
    "conjugated": (Conjugated, lambda: torch.randn(ROWS, 4)),
}


def main():
    folder = families.FIXTURES / "complex"
    families.begin(folder)
    rows = torch.export.Dim("batch", min=1, max=4096)
    for seed, (name, (build, inputs)) in enumerate(MODELS.items()):
        torch.manual_seed(seed)
        x = inputs()
        taken = torch.view_as_complex(x) if name == "signal" else x
        torch.manual_seed(seed)
        module = build(False)
        torch.manual_seed(seed)
        families.write(folder, name, module, (taken,), (x,), ({0: rows},), oracle=build(True))


if __name__ == "__main__":
    main()
