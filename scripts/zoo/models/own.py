"""Models that users of curvature write themselves: science, generative models, kernels, small transformers."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, jacfwd, jacrev, jvp, vmap

from .registry import model, normal, tokens

SCIENCE = "science"
GENERATIVE = "generative"
SEQUENCE = "sequence models"


def mlp(*widths, act=nn.Tanh):
    layers = []
    for a, b in zip(widths[:-1], widths[1:]):
        layers += [nn.Linear(a, b), act()]
    return nn.Sequential(*layers[:-1])


# --- science -------------------------------------------------------------------------------------------------------


@model("seed-mlp", SCIENCE)
def _(rows):
    return mlp(4, 16, 16, 1), (normal(rows, 4),)


class SpectralReal(nn.Module):
    """A Fourier layer by real matrices: a truncated discrete Fourier transform as two constant maps."""

    def __init__(self, width, n, modes):
        super().__init__()
        k = torch.arange(modes)[:, None] * torch.arange(n)[None] * (2 * math.pi / n)
        self.register_buffer("cos", torch.cos(k.double()))
        self.register_buffer("sin", torch.sin(k.double()))
        self.re = nn.Parameter(torch.randn(width, width, modes) / width)
        self.im = nn.Parameter(torch.randn(width, width, modes) / width)

    def forward(self, x):
        a = torch.einsum("bcn,kn->bck", x, self.cos)
        b = -torch.einsum("bcn,kn->bck", x, self.sin)
        re = torch.einsum("bck,cdk->bdk", a, self.re) - torch.einsum("bck,cdk->bdk", b, self.im)
        im = torch.einsum("bck,cdk->bdk", a, self.im) + torch.einsum("bck,cdk->bdk", b, self.re)
        return (torch.einsum("bdk,kn->bdn", re, self.cos) - torch.einsum("bdk,kn->bdn", im, self.sin)) / x.shape[-1]


class SpectralComplex(nn.Module):
    def __init__(self, width, n, modes):
        super().__init__()
        self.n, self.modes = n, modes
        self.re = nn.Parameter(torch.randn(width, width, modes) / width)
        self.im = nn.Parameter(torch.randn(width, width, modes) / width)

    def forward(self, x):
        f = torch.fft.rfft(x)[..., : self.modes]
        y = torch.einsum("bck,cdk->bdk", f, torch.complex(self.re, self.im))
        return torch.fft.irfft(y, n=self.n)


class Fno(nn.Module):
    def __init__(self, spectral, width=4, n=8, modes=3):
        super().__init__()
        self.lift = nn.Conv1d(2, width, 1)
        self.spectral = nn.ModuleList([spectral(width, n, modes) for _ in range(2)])
        self.local = nn.ModuleList([nn.Conv1d(width, width, 1) for _ in range(2)])
        self.project = nn.Conv1d(width, 1, 1)

    def forward(self, x):
        h = self.lift(x)
        for spectral, local in zip(self.spectral, self.local):
            h = F.gelu(spectral(h) + local(h))
        return self.project(h)


@model("fno-1d-real", SCIENCE)
def _(rows):
    return Fno(SpectralReal), (normal(rows, 2, 8),)


@model("fno-1d", SCIENCE)
def _(rows):
    return Fno(SpectralComplex), (normal(rows, 2, 8),)


class FermiNet(nn.Module):
    """log |det| of orbitals of electrons with a two-electron stream and an envelope."""

    def __init__(self, electrons=3, width=6, log=True):
        super().__init__()
        self.first = nn.Linear(4, width)
        self.pair = nn.Linear(4, 3)
        self.mix = nn.Linear(2 * width + 3, width)
        self.orbitals = nn.Linear(width, electrons)
        self.decay = nn.Parameter(torch.ones(electrons))
        self.log = log

    def forward(self, r):
        distance = (r.square().sum(-1, keepdim=True) + 1e-6).sqrt()
        h = torch.tanh(self.first(torch.cat([r, distance], -1)))
        difference = r[:, :, None] - r[:, None, :]
        gap = (difference.square().sum(-1, keepdim=True) + 1e-2).sqrt()
        pair = torch.tanh(self.pair(torch.cat([difference, gap], -1))).mean(2)
        h = h + torch.tanh(self.mix(torch.cat([h, h.mean(1, keepdim=True).expand_as(h), pair], -1)))
        matrix = self.orbitals(h) * torch.exp(-distance * F.softplus(self.decay))
        if self.log:
            return torch.linalg.slogdet(matrix)[1].unsqueeze(-1)
        return torch.det(matrix).unsqueeze(-1)


@model("ferminet", SCIENCE)
def _(rows):
    return FermiNet(), (normal(rows, 3, 3),)


@model("ferminet-det", SCIENCE)
def _(rows):
    return FermiNet(log=False), (normal(rows, 3, 3),)


class Rbm(nn.Module):
    """log ψ of a restricted Boltzmann machine: log cosh."""

    def __init__(self):
        super().__init__()
        self.visible = nn.Linear(6, 1)
        self.hidden = nn.Linear(6, 8)

    def forward(self, s):
        theta = self.hidden(s)
        return self.visible(s) + (theta.abs() + F.softplus(-2 * theta.abs()) - math.log(2)).sum(-1, keepdim=True)


@model("rbm-wave-function", SCIENCE)
def _(rows):
    return Rbm(), (normal(rows, 6).sign(),)


class Jastrow(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(0.5))
        self.net = mlp(1, 5, 1, act=nn.SiLU)

    def forward(self, r):
        i, j = torch.triu_indices(4, 4, 1)
        d = torch.linalg.vector_norm(r[:, i] - r[:, j], dim=-1, keepdim=True)
        return (self.a * d / (1 + d) + self.net(d)).sum((1, 2)).unsqueeze(-1)


@model("jastrow", SCIENCE)
def _(rows):
    return Jastrow(), (normal(rows, 4, 3),)


class NeuralOde(nn.Module):
    def __init__(self, steps=4):
        super().__init__()
        self.field = mlp(3, 8, 2)
        self.steps = steps

    def slope(self, t, y):
        return self.field(torch.cat([y, torch.full_like(y[:, :1], t)], 1))

    def forward(self, y):
        h = 1.0 / self.steps
        for step in range(self.steps):
            t = step * h
            k1 = self.slope(t, y)
            k2 = self.slope(t + h / 2, y + h / 2 * k1)
            k3 = self.slope(t + h / 2, y + h / 2 * k2)
            k4 = self.slope(t + h, y + h * k3)
            y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return y


@model("neural-ode-rk4", SCIENCE)
def _(rows):
    return NeuralOde(), (normal(rows, 2),)


class Hamiltonian(nn.Module):
    """A Hamiltonian network: the symplectic gradient of a scalar, taken by torch.func inside."""

    def __init__(self):
        super().__init__()
        self.energy = mlp(2, 6, 1)

    def forward(self, z):
        gradient = torch.func.grad(lambda z: self.energy(z).sum())(z)
        return torch.stack([gradient[:, 1], -gradient[:, 0]], -1)


@model("hamiltonian-network", SCIENCE)
def _(rows):
    return Hamiltonian(), (normal(rows, 2),)


class Pinn(nn.Module):
    """u_t + u u_x − ν u_xx by nested forward mode."""

    def __init__(self):
        super().__init__()
        self.net = mlp(2, 6, 6, 1)

    def forward(self, z):
        e_t = torch.tensor([1.0, 0.0], dtype=z.dtype).expand_as(z)
        e_x = torch.tensor([0.0, 1.0], dtype=z.dtype).expand_as(z)
        u, u_t = jvp(self.net, (z,), (e_t,))
        along_x = lambda z: jvp(self.net, (z,), (e_x,))[1]
        u_x, u_xx = jvp(along_x, (z,), (e_x,))
        return u_t + u * u_x - 0.01 * u_xx


@model("pinn-burgers-jvp", SCIENCE)
def _(rows):
    return Pinn(), (normal(rows, 2),)


class PinnReverse(nn.Module):
    """A Laplacian by torch.autograd.grad with create_graph."""

    def __init__(self):
        super().__init__()
        self.net = mlp(2, 6, 1)

    def forward(self, z):
        f = lambda z: self.net(z).sum()
        g = torch.func.grad(f)
        u_x = lambda z: g(z)[:, 0].sum()
        u_y = lambda z: g(z)[:, 1].sum()
        return (torch.func.grad(u_x)(z)[:, 0] + torch.func.grad(u_y)(z)[:, 1]).unsqueeze(-1)


@model("pinn-poisson-grad", SCIENCE)
def _(rows):
    return PinnReverse(), (normal(rows, 2),)


class PinnByHand(nn.Module):
    """The derivatives of a tanh network by its input, written out."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(2, 8), nn.Linear(8, 1)

    def forward(self, z):
        t = torch.tanh(self.a(z))
        d1 = 1 - t * t
        d2 = -2 * t * d1
        w = self.a.weight
        second = F.linear(d2 * (w * w).sum(1), self.b.weight)
        return second + torch.sin(self.b(t))


@model("pinn-poisson-by-hand", SCIENCE)
def _(rows):
    return PinnByHand(), (normal(rows, 2),)


class DeepOnet(nn.Module):
    def __init__(self):
        super().__init__()
        self.branch, self.trunk = mlp(6, 8, 5), mlp(1, 8, 5)
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, u, y):
        return torch.einsum("bk,bpk->bp", self.branch(u), self.trunk(y)) + self.bias


@model("deeponet", SCIENCE)
def _(rows):
    return DeepOnet(), (normal(rows, 6), normal(rows, 4, 1))


class Siren(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(2, 8), nn.Linear(8, 8), nn.Linear(8, 3)])

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = torch.sin(5.0 * layer(x))
        return self.layers[-1](x)


@model("siren", SCIENCE)
def _(rows):
    return Siren(), (normal(rows, 2),)


class FourierFeatures(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("b", torch.randn(2, 4))
        self.net = mlp(8, 8, 3, act=nn.GELU)

    def forward(self, x):
        p = 2 * math.pi * x @ self.b
        return torch.sigmoid(self.net(torch.cat([p.sin(), p.cos()], -1)))


@model("fourier-features", SCIENCE)
def _(rows):
    return FourierFeatures(), (normal(rows, 2),)


class Kan(nn.Module):
    """A Kolmogorov–Arnold layer with Gaussian basis functions."""

    def __init__(self):
        super().__init__()
        self.register_buffer("grid", torch.linspace(-2, 2, 5))
        self.c1 = nn.Parameter(torch.randn(3, 4, 5) * 0.3)
        self.c2 = nn.Parameter(torch.randn(4, 2, 5) * 0.3)

    def layer(self, x, c):
        return torch.einsum("big,iog->bo", torch.exp(-(x[..., None] - self.grid).square()), c)

    def forward(self, x):
        return self.layer(self.layer(x, self.c1), self.c2)


@model("kan-gaussian", SCIENCE)
def _(rows):
    return Kan(), (normal(rows, 3),)


class Rbf(nn.Module):
    """Kernel regression with learned centers, length scales and an inducing-point solve."""

    def __init__(self, solve):
        super().__init__()
        self.centers = nn.Parameter(torch.randn(4, 2))
        self.scale = nn.Parameter(torch.zeros(2))
        self.values = nn.Parameter(torch.randn(4, 1))
        self.noise = nn.Parameter(torch.tensor(-1.0))
        self.solve = solve

    def kernel(self, a, b):
        a, b = a * self.scale.exp(), b * self.scale.exp()
        return torch.exp(-0.5 * (a[:, None] - b[None]).square().sum(-1))

    def forward(self, x):
        k = self.kernel(self.centers, self.centers) + self.noise.exp() * torch.eye(4, dtype=x.dtype)
        if self.solve == "cholesky":
            w = torch.cholesky_solve(self.values, torch.linalg.cholesky(k))
        elif self.solve == "inv":
            w = torch.linalg.inv(k) @ self.values
        else:
            w = torch.linalg.solve(k, self.values)
        return self.kernel(x, self.centers) @ w


for solve in ("cholesky", "solve", "inv"):

    @model(f"gp-{solve}", SCIENCE)
    def _(rows, solve=solve):
        return Rbf(solve), (normal(rows, 2),)


class GpCdist(nn.Module):
    def __init__(self):
        super().__init__()
        self.centers = nn.Parameter(torch.randn(4, 2))
        self.head = nn.Linear(4, 1)

    def forward(self, x):
        return self.head(torch.exp(-torch.cdist(x, self.centers)))


@model("rbf-cdist", SCIENCE)
def _(rows):
    return GpCdist(), (normal(rows, 2),)


class InverseOfInput(nn.Module):
    """A network of matrices that are inverted: Kalman gains, precision matrices."""

    def __init__(self, how):
        super().__init__()
        self.lift = nn.Linear(3, 3)
        self.how = how

    def forward(self, a):
        s = a @ a.transpose(1, 2) + 0.5 * torch.eye(3, dtype=a.dtype)
        if self.how == "inv":
            s = torch.linalg.inv(s)
        elif self.how == "cholesky":
            s = torch.linalg.cholesky(s)
        elif self.how == "eigvalsh":
            return torch.tanh(torch.linalg.eigvalsh(self.lift(s) + self.lift(s).transpose(1, 2)))
        elif self.how == "matrix-exp":
            return torch.matrix_exp(0.1 * self.lift(s))
        elif self.how == "svdvals":
            return torch.linalg.svdvals(self.lift(s))
        elif self.how == "qr":
            return torch.linalg.qr(self.lift(s))[1]
        elif self.how == "logdet":
            return torch.logdet(s + torch.diag_embed(F.softplus(self.lift(s).sum(1)))).unsqueeze(-1)
        elif self.how == "pinv":
            return torch.linalg.pinv(self.lift(s))
        elif self.how == "triangular":
            return torch.linalg.solve_triangular(torch.linalg.cholesky(s), self.lift(a), upper=False)
        return self.lift(s).sum(1)


for how in ("inv", "cholesky", "eigvalsh", "matrix-exp", "svdvals", "qr", "logdet", "pinv", "triangular"):

    @model(f"linalg-{how}", SCIENCE)
    def _(rows, how=how):
        return InverseOfInput(how), (normal(rows, 3, 3),)


class SchNet(nn.Module):
    """Continuous-filter convolution over distances, sum pooling; atoms by embedding."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(5, 6)
        self.register_buffer("mu", torch.linspace(0, 3, 5))
        self.filter = mlp(5, 6, 6, act=nn.Softplus)
        self.mix, self.out = nn.Linear(6, 6), mlp(6, 4, 1, act=nn.Softplus)

    def forward(self, z, r):
        h = self.embed(z)
        d = (r[:, :, None] - r[:, None]).square().sum(-1).add(1e-6).sqrt()
        w = self.filter(torch.exp(-2 * (d[..., None] - self.mu).square()))
        h = h + self.mix((w * h[:, None]).sum(2))
        return self.out(h).sum(1)


@model("schnet", SCIENCE)
def _(rows):
    return SchNet(), (tokens(5, rows, 4), normal(rows, 4, 3))


class Egnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.message, self.coordinate, self.update = mlp(5, 6, 4, act=nn.SiLU), mlp(4, 4, 1, act=nn.SiLU), mlp(6, 6, 2, act=nn.SiLU)

    def forward(self, h, x):
        n = h.shape[1]
        difference = x[:, :, None] - x[:, None]
        pair = torch.cat([h[:, :, None].expand(-1, -1, n, -1), h[:, None].expand(-1, n, -1, -1), difference.square().sum(-1, keepdim=True)], -1)
        m = self.message(pair)
        x = x + (difference * self.coordinate(m)).mean(2)
        h = h + self.update(torch.cat([h, m.sum(2)], -1))
        return torch.cat([h, x], -1)


@model("egnn", SCIENCE)
def _(rows):
    return Egnn(), (normal(rows, 3, 2), normal(rows, 3, 3))


class DeepSets(nn.Module):
    def __init__(self):
        super().__init__()
        self.phi, self.rho = mlp(2, 6, 5, act=nn.ReLU), mlp(5, 6, 2, act=nn.ReLU)

    def forward(self, x):
        return self.rho(torch.logsumexp(self.phi(x), 1))


@model("deep-sets", SCIENCE)
def _(rows):
    return DeepSets(), (normal(rows, 4, 2),)


class PointNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.norm, self.b = nn.Conv1d(3, 6, 1), nn.BatchNorm1d(6), nn.Conv1d(6, 8, 1)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return F.log_softmax(self.head(self.b(F.relu(self.norm(self.a(x)))).amax(-1)), -1)


@model("pointnet", SCIENCE)
def _(rows):
    return PointNet(), (normal(rows, 3, 5),)


# --- generative and vision written by hand -------------------------------------------------------------------------


class Coupling(nn.Module):
    def __init__(self, flip):
        super().__init__()
        self.net = mlp(2, 8, 4)
        self.flip = flip

    def forward(self, x):
        a, b = x.chunk(2, 1)
        if self.flip:
            a, b = b, a
        s, t = self.net(a).chunk(2, 1)
        s = torch.tanh(s)
        b = b * s.exp() + t
        return torch.cat([b, a] if self.flip else [a, b], 1), s.sum(1)


class RealNvp(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([Coupling(i % 2 == 1) for i in range(3)])

    def forward(self, x):
        logdet = torch.zeros_like(x[:, 0])
        for layer in self.layers:
            x, each = layer(x)
            logdet = logdet + each
        return (torch.distributions.Normal(0.0, 1.0, validate_args=False).log_prob(x).sum(1) + logdet).unsqueeze(-1)


@model("realnvp", GENERATIVE)
def _(rows):
    return RealNvp(), (normal(rows, 4),)


class Planar(nn.Module):
    def __init__(self):
        super().__init__()
        self.u, self.w, self.b = nn.Parameter(torch.randn(2) * 0.3), nn.Parameter(torch.randn(2)), nn.Parameter(torch.zeros(1))

    def forward(self, z):
        a = z @ self.w + self.b
        psi = (1 - torch.tanh(a) ** 2)[:, None] * self.w
        return torch.cat([z + torch.tanh(a)[:, None] * self.u, torch.log1p(psi @ self.u)[:, None]], 1)


@model("planar-flow", GENERATIVE)
def _(rows):
    return Planar(), (normal(rows, 2),)


class Spline(nn.Module):
    """A monotonic piecewise-linear flow: cumsum, searchsorted, gather."""

    def __init__(self):
        super().__init__()
        self.net = mlp(1, 6, 5)

    def forward(self, x):
        p = F.softmax(self.net(x[:, :1]), -1)
        c = F.pad(p.cumsum(-1), (1, 0))
        u = torch.sigmoid(x[:, 1:])
        i = (u * 5).floor().clamp(0, 4).long()
        return c.gather(1, i) + (u * 5 - i) * p.gather(1, i)


@model("linear-spline-flow", GENERATIVE)
def _(rows):
    return Spline(), (normal(rows, 2),)


class Maf(nn.Module):
    """MADE: masked linear layers."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 9), nn.Linear(9, 6)
        degree = torch.arange(9) % 2 + 1
        self.register_buffer("m1", (degree[:, None] >= torch.arange(1, 4)[None]))
        self.register_buffer("m2", (torch.arange(1, 4).repeat(2)[:, None] > degree[None]).double())

    def forward(self, x):
        h = torch.relu(F.linear(x, self.a.weight * self.m1, self.a.bias))
        mu, log_sigma = F.linear(h, self.b.weight * self.m2, self.b.bias).chunk(2, -1)
        return (x - mu) * torch.exp(-log_sigma)


@model("maf-made", GENERATIVE)
def _(rows):
    return Maf(), (normal(rows, 3),)


class Vae(nn.Module):
    """The evidence lower bound with the noise as an input."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = mlp(5, 8, 4), mlp(2, 8, 5)

    def forward(self, x, noise):
        mean, log_var = self.encoder(x).chunk(2, -1)
        z = mean + noise * torch.exp(0.5 * log_var)
        logits = self.decoder(z)
        rec = F.binary_cross_entropy_with_logits(logits, torch.sigmoid(x), reduction="none").sum(-1)
        kl = -0.5 * (1 + log_var - mean.square() - log_var.exp()).sum(-1)
        return (rec + kl).unsqueeze(-1)


@model("vae-elbo", GENERATIVE)
def _(rows):
    return Vae(), (normal(rows, 5), normal(rows, 2))


class MixtureDensity(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = mlp(2, 8, 9)

    def forward(self, x, y):
        logits, mean, log_sigma = self.net(x).chunk(3, -1)
        log_prob = -0.5 * ((y - mean) * torch.exp(-log_sigma)).square() - log_sigma - 0.5 * math.log(2 * math.pi)
        return torch.logsumexp(F.log_softmax(logits, -1) + log_prob, -1, keepdim=True)


@model("mixture-density", GENERATIVE)
def _(rows):
    return MixtureDensity(), (normal(rows, 2), normal(rows, 1))


class Hyper(nn.Module):
    """A network whose weights another network makes for each row."""

    def __init__(self):
        super().__init__()
        self.hyper = mlp(2, 6, 4 * 3 + 4 + 4)

    def forward(self, context, x):
        w = self.hyper(context)
        w1, b1, w2 = w.split([12, 4, 4], 1)
        h = torch.tanh(torch.baddbmm(b1.unsqueeze(-1), w1.view(-1, 4, 3), x.unsqueeze(-1)))
        return torch.bmm(w2.unsqueeze(1), h).squeeze(-1)


@model("hypernetwork", GENERATIVE)
def _(rows):
    return Hyper(), (normal(rows, 2), normal(rows, 3))


class UNet(nn.Module):
    def __init__(self, transpose):
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 6, 3, padding=1)
        self.norm = nn.GroupNorm(2, 6)
        self.up = nn.ConvTranspose2d(6, 4, 2, stride=2) if transpose else nn.Conv2d(6, 4, 1)
        self.transpose = transpose
        self.out = nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, x):
        a = F.silu(self.down1(x))
        b = F.silu(self.norm(self.down2(F.max_pool2d(a, 2))))
        if not self.transpose:
            b = F.interpolate(b, size=a.shape[-2:], mode="bilinear")
        return self.out(torch.cat([a, self.up(b)], 1))


@model("unet-transposed", GENERATIVE)
def _(rows):
    return UNet(True), (normal(rows, 1, 4, 4),)


@model("unet-interpolate", GENERATIVE)
def _(rows):
    return UNet(False), (normal(rows, 1, 4, 4),)


class Diffusion(nn.Module):
    """A noise predictor with a sinusoidal time embedding and FiLM."""

    def __init__(self):
        super().__init__()
        self.time, self.a, self.b, self.c = mlp(6, 8, 8, act=nn.SiLU), nn.Linear(2, 8), nn.Linear(8, 16), nn.Linear(8, 2)

    def forward(self, x, t):
        f = torch.exp(-math.log(1e4) * torch.arange(3, dtype=x.dtype) / 3)
        e = self.time(torch.cat([(t * f).sin(), (t * f).cos()], -1))
        scale, shift = self.b(e).chunk(2, -1)
        return self.c(F.silu(self.a(x) * (1 + scale) + shift))


@model("diffusion-film", GENERATIVE)
def _(rows):
    return Diffusion(), (normal(rows, 2), normal(rows, 1))


class Vq(nn.Module):
    """Soft vector quantization: distances to a codebook and a softmax."""

    def __init__(self):
        super().__init__()
        self.encoder, self.codes, self.decoder = nn.Linear(4, 3), nn.Parameter(torch.randn(5, 3)), nn.Linear(3, 4)

    def forward(self, x):
        z = self.encoder(x)
        d = z.pow(2).sum(1, keepdim=True) - 2 * z @ self.codes.t() + self.codes.pow(2).sum(1)
        return self.decoder(F.softmax(-d, -1) @ self.codes)


@model("soft-vq", GENERATIVE)
def _(rows):
    return Vq(), (normal(rows, 4),)


class Moe(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(3, 4)
        self.w = nn.Parameter(torch.randn(4, 3, 2))

    def forward(self, x):
        top, index = self.gate(x).topk(2, -1)
        gates = torch.zeros(x.shape[0], 4, dtype=x.dtype).scatter(1, index, top.softmax(-1))
        return torch.einsum("bi,eio,be->bo", x, self.w, gates)


@model("mixture-of-experts", GENERATIVE)
def _(rows):
    return Moe(), (normal(rows, 3),)


class Maxout(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 12), nn.Linear(4, 2)

    def forward(self, x):
        h = self.a(x).unflatten(1, (4, 3)).max(-1).values
        s = h.sort(-1).values
        return self.b(torch.clamp(s, -1, 0.8)) + torch.maximum(h[:, :2], h[:, 2:]) - torch.minimum(h[:, :1], s[:, 1:2])


@model("maxout-sort", GENERATIVE)
def _(rows):
    return Maxout(), (normal(rows, 3),)


class Stn(nn.Module):
    """A spatial transformer: affine_grid and grid_sample."""

    def __init__(self):
        super().__init__()
        self.locate, self.conv = nn.Linear(16, 6), nn.Conv2d(1, 2, 2)

    def forward(self, x):
        theta = self.locate(x.flatten(1)).view(-1, 2, 3) * 0.1 + torch.eye(2, 3, dtype=x.dtype)
        grid = F.affine_grid(theta, (x.shape[0], 1, 4, 4), align_corners=False)
        return self.conv(F.grid_sample(x, grid, align_corners=False))


@model("spatial-transformer", GENERATIVE)
def _(rows):
    return Stn(), (normal(rows, 1, 4, 4),)


class Functional(nn.Module):
    """Elementary functions, one after another."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 8), nn.Linear(8, 2)

    def forward(self, x):
        h = self.a(x)
        p = F.softplus(h) + 0.1
        parts = [
            torch.erf(h), torch.lgamma(p), torch.digamma(p), torch.atan2(h, p), torch.expm1(h), torch.log1p(p), torch.rsqrt(p), torch.sinc(h),
            torch.logaddexp(h, p), torch.hypot(h, p), torch.xlogy(p, p), torch.special.i0(h), torch.nan_to_num(h), torch.addcmul(h, p, h, value=0.3),
            torch.addcdiv(h, h, p), torch.lerp(h, p, 0.3), torch.cumprod(p, -1), torch.cumsum(h, 1), torch.logcumsumexp(h, -1), torch.roll(h, 1, 1),
            torch.flip(h, [1]), h.std(1, keepdim=True) * p, h.var(1, keepdim=True) + h, h.norm(dim=1, keepdim=True) * h, torch.where(h > 0, p, h * h),
            h.masked_fill(h < -0.5, 0.25), torch.tril(h.unsqueeze(-1) * p.unsqueeze(1)).sum(-1), p ** h, 2.0 ** h, h ** 3, h.abs(), h.reciprocal().tanh(),
            torch.asinh(h), torch.acosh(1 + p), torch.atanh(torch.tanh(h)), torch.tan(h * 0.3), torch.cosh(h), torch.frac(h), torch.fmod(h, 0.7), torch.remainder(h, 0.7),
            torch.prod(p, 1, keepdim=True) * h, h.median(1, keepdim=True).values * h, torch.trapezoid(h, dim=1)[:, None] * h, torch.kthvalue(h, 3, 1, True).values + h, h.diff(dim=1, append=h[:, :1]),
        ]
        return self.b(torch.tanh(torch.stack(parts).sum(0) * 0.2))


@model("elementary-functions", GENERATIVE)
def _(rows):
    return Functional(), (normal(rows, 3),)


class Indexing(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 8)
        self.register_buffer("pick", torch.tensor([3, 0, 5, 5]))

    def forward(self, x):
        h = torch.tanh(self.a(x))
        parts = [
            h[:, self.pick], h.index_select(1, self.pick), h[:, ::2], h[:, -4:], torch.take_along_dim(h, h.argsort(1), 1)[:, :4],
            h.unfold(1, 2, 2).sum(-1), torch.cat([h[:, :2], h[:, 6:]], 1), h.view(-1, 2, 4).movedim(1, 2)[..., 0], h.repeat(1, 2)[:, 3:7],
            h.repeat_interleave(2, 1)[:, 5:9], torch.index_add(h, 1, self.pick, h[:, :4])[:, :4], h.scatter_add(1, self.pick.expand(h.shape[0], -1), h[:, :4])[:, :4],
            torch.diagonal(h.view(-1, 2, 4), 1, 1, 2).sum(1, keepdim=True).expand(-1, 4), h.tile(2)[:, 1:5], torch.block_diag(h[0:1, :2], h[0:1, :2]).sum() * 0 + h[:, :4],
            torch.select(h, 1, -1)[:, None].expand(-1, 4), h.narrow(1, 2, 4), torch.rot90(h.view(-1, 2, 2, 2), 1, (2, 3)).flatten(1)[:, :4],
        ]
        return torch.stack(parts, 1)


@model("indexing", GENERATIVE)
def _(rows):
    return Indexing(), (normal(rows, 3),)


class BatchSoftmax(nn.Module):
    """Rows that depend on one another."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 4)

    def forward(self, x):
        return self.a(x).softmax(0)


@model("batch-softmax", GENERATIVE, independent=False)
def _(rows):
    return BatchSoftmax(), (normal(rows, 3),)


class BatchMean(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 4)

    def forward(self, x):
        h = torch.tanh(self.a(x))
        return h - h.mean(0)


@model("batch-mean", GENERATIVE, independent=False)
def _(rows):
    return BatchMean(), (normal(rows, 3),)


class Contrastive(nn.Module):
    """Similarities of each row with each other: SimCLR's logits."""

    def __init__(self):
        super().__init__()
        self.net = mlp(3, 6, 4)

    def forward(self, x):
        z = F.normalize(self.net(x), dim=-1)
        return z @ z.T / 0.5


@model("contrastive-logits", GENERATIVE, independent=False)
def _(rows):
    return Contrastive(), (normal(rows, 3),)


# --- sequences -----------------------------------------------------------------------------------------------------


class Gpt(nn.Module):
    """A decoder with a boolean causal mask, tied output weights and learned positions."""

    def __init__(self, how="bool"):
        super().__init__()
        self.tok, self.pos = nn.Embedding(11, 8), nn.Embedding(5, 8)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(8), nn.LayerNorm(8), nn.LayerNorm(8)
        self.qkv, self.out, self.up, self.down = nn.Linear(8, 24, bias=False), nn.Linear(8, 8), nn.Linear(8, 16), nn.Linear(16, 8)
        self.how = how
        self.register_buffer("mask", torch.tril(torch.ones(5, 5)).bool(), persistent=False)

    def attend(self, q, k, v):
        if self.how == "bool":
            return F.scaled_dot_product_attention(q, k, v, attn_mask=self.mask)
        if self.how == "causal":
            return F.scaled_dot_product_attention(q, k, v, is_causal=True)
        if self.how == "alibi":
            i = torch.arange(5, dtype=q.dtype)
            bias = -(i[:, None] - i[None]).abs() * torch.tensor([0.5, 0.25], dtype=q.dtype)[:, None, None]
            return F.scaled_dot_product_attention(q, k, v, attn_mask=bias.masked_fill(~self.mask, float("-inf")))
        scores = (q @ k.transpose(-2, -1)) / math.sqrt(4)
        return scores.masked_fill(~self.mask, float("-inf")).softmax(-1) @ v

    def forward(self, ids):
        b, t = ids.shape
        x = self.tok(ids) + self.pos(torch.arange(t))
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, 2, 4).permute(2, 0, 3, 1, 4)
        x = x + self.out(self.attend(q, k, v).transpose(1, 2).reshape(b, t, 8))
        x = x + self.down(F.gelu(self.up(self.norm2(x))))
        return F.linear(self.norm3(x), self.tok.weight)


for how in ("bool", "causal", "alibi", "by-hand"):

    @model(f"gpt-{how}", SEQUENCE)
    def _(rows, how=how):
        return Gpt(how), (tokens(11, rows, 5),)


class Llama(nn.Module):
    """Rotary positions, RMS norm, SwiGLU, grouped queries, a padding mask made of the ids."""

    def __init__(self):
        super().__init__()
        self.tok = nn.Embedding(11, 8, padding_idx=0)
        self.n1, self.n2, self.n3 = nn.RMSNorm(8), nn.RMSNorm(8), nn.RMSNorm(8)
        self.q, self.k, self.v, self.o = (nn.Linear(8, w, bias=False) for w in (8, 4, 4, 8))
        self.gate, self.up, self.down = nn.Linear(8, 12, bias=False), nn.Linear(8, 12, bias=False), nn.Linear(12, 8, bias=False)
        self.head = nn.Linear(8, 11, bias=False)

    @staticmethod
    def rotate(x):
        f = torch.arange(x.shape[2], dtype=x.dtype)[:, None] * torch.tensor([1.0, 0.1], dtype=x.dtype)
        cos, sin = f.cos().repeat(1, 2), f.sin().repeat(1, 2)
        a, b = x.chunk(2, -1)
        return x * cos + torch.cat([-b, a], -1) * sin

    def forward(self, ids):
        b, t = ids.shape
        x = self.tok(ids)
        h = self.n1(x)
        q = self.rotate(self.q(h).view(b, t, 2, 4).transpose(1, 2))
        k = self.rotate(self.k(h).view(b, t, 1, 4).transpose(1, 2)).expand(-1, 2, -1, -1)
        v = self.v(h).view(b, t, 1, 4).transpose(1, 2).expand(-1, 2, -1, -1)
        mask = torch.ones(t, t, dtype=torch.bool).tril()[None, None] & ((ids != 0)[:, None, None, :] | torch.eye(t, dtype=torch.bool))
        x = x + self.o(F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(b, t, 8))
        h = self.n2(x)
        return self.head(self.n3(x + self.down(F.silu(self.gate(h)) * self.up(h))))


@model("llama-by-hand", SEQUENCE)
def _(rows):
    return Llama(), (tokens(11, rows, 4),)


class CrossAttention(nn.Module):
    """Perceiver-like: learned queries attend to the input, key mask as a boolean input."""

    def __init__(self):
        super().__init__()
        self.query = nn.Parameter(torch.randn(2, 6))
        self.kv = nn.Linear(3, 12)
        self.head = nn.Linear(12, 2)

    def forward(self, x, mask):
        k, v = self.kv(x).chunk(2, -1)
        y = F.scaled_dot_product_attention(self.query.expand(x.shape[0], -1, -1), k, v, attn_mask=mask[:, None, :])
        return self.head(y.flatten(1))


@model("perceiver-bool-input", SEQUENCE)
def _(rows):
    mask = torch.rand(rows, 4) > 0.4
    mask[:, 0] = True
    return CrossAttention(), (normal(rows, 4, 3), mask)


@model("perceiver-int-input", SEQUENCE)
def _(rows):
    mask = (torch.rand(rows, 4) > 0.4).long()
    mask[:, 0] = 1

    class FromInt(CrossAttention):
        def forward(self, x, mask):
            return super().forward(x, mask.bool())

    return FromInt(), (normal(rows, 4, 3), mask)


class Ssm(nn.Module):
    """A diagonal state space model, scanned step by step."""

    def __init__(self):
        super().__init__()
        self.log_a = nn.Parameter(torch.randn(4) * 0.3)
        self.b, self.c, self.d = nn.Linear(2, 4), nn.Linear(4, 2), nn.Parameter(torch.ones(2))

    def forward(self, x):
        a = torch.exp(-F.softplus(self.log_a))
        h = torch.zeros(x.shape[0], 4, dtype=x.dtype)
        out = []
        for u in x.unbind(1):
            h = a * h + self.b(u)
            out.append(self.c(h) + self.d * u)
        return torch.stack(out, 1)


@model("state-space-scan", SEQUENCE)
def _(rows):
    return Ssm(), (normal(rows, 5, 2),)


class Tcn(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.utils.parametrizations.weight_norm(nn.Conv1d(2, 4, 2)), nn.utils.parametrizations.weight_norm(nn.Conv1d(4, 4, 2, dilation=2))
        self.skip = nn.Conv1d(2, 4, 1)

    def forward(self, x):
        h = F.relu(self.a(F.pad(x, (1, 0))))
        return (F.relu(self.b(F.pad(h, (2, 0)))) + self.skip(x))[..., -1]


@model("tcn-weight-norm", SEQUENCE)
def _(rows):
    return Tcn(), (normal(rows, 2, 6),)


class LinearAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(4, 12)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        q, k = F.elu(q) + 1, F.elu(k) + 1
        kv = torch.cumsum(torch.einsum("btd,bte->btde", k, v), 1)
        return torch.einsum("btd,btde->bte", q, kv) / torch.einsum("btd,btd->bt", q, k.cumsum(1)).unsqueeze(-1)


@model("linear-attention", SEQUENCE)
def _(rows):
    return LinearAttention(), (normal(rows, 4, 4),)


class Seq2Seq(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.encoder, self.decoder, self.head = nn.Embedding(7, 4), nn.GRU(4, 5, batch_first=True), nn.GRU(4, 5, batch_first=True), nn.Linear(5, 7)

    def forward(self, source, target):
        _, state = self.encoder(self.embed(source))
        return self.head(self.decoder(self.embed(target), state)[0])


@model("gru-seq2seq", SEQUENCE)
def _(rows):
    return Seq2Seq(), (tokens(7, rows, 4), tokens(7, rows, 3))


class MultiTask(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 4, batch_first=True)
        self.h0 = nn.Parameter(torch.randn(1, 1, 4) * 0.3)
        self.c0 = nn.Parameter(torch.randn(1, 1, 4) * 0.3)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        b = x.shape[0]
        y, (h, c) = self.lstm(x, (self.h0.expand(-1, b, -1).contiguous(), self.c0.expand(-1, b, -1).contiguous()))
        return self.head(h[-1] + c[-1])


@model("lstm-learned-state", SEQUENCE)
def _(rows):
    return MultiTask(), (normal(rows, 4, 3),)


class CharCnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.convs, self.head = nn.Embedding(12, 5, padding_idx=0), nn.ModuleList([nn.Conv1d(5, 3, k) for k in (2, 3)]), nn.Linear(6, 3)

    def forward(self, ids):
        x = self.embed(ids).transpose(1, 2)
        return self.head(torch.cat([conv(x).relu().amax(-1) for conv in self.convs], 1))


@model("text-cnn", SEQUENCE)
def _(rows):
    return CharCnn(), (tokens(12, rows, 5),)


class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(6), nn.LayerNorm(6)
        self.token, self.channel, self.head = mlp(4, 6, 4, act=nn.GELU), mlp(6, 8, 6, act=nn.GELU), nn.Linear(6, 3)

    def forward(self, x):
        x = x + self.token(self.n1(x).transpose(1, 2)).transpose(1, 2)
        x = x + self.channel(self.n2(x))
        return self.head(x.mean(1))


@model("mlp-mixer", SEQUENCE)
def _(rows):
    return Mixer(), (normal(rows, 4, 6),)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.b = nn.Linear(4, 4)
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.b(torch.tanh(self.a(x))) @ self.a.weight


@model("tied-weights", SEQUENCE)
def _(rows):
    return Tied(), (normal(rows, 4),)


class Frozen(nn.Module):
    """A frozen body, a low-rank adapter (LoRA) and a scale that is used twice."""

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 6).requires_grad_(False)
        self.a, self.b = nn.Parameter(torch.randn(2, 4) * 0.5), nn.Parameter(torch.randn(6, 2) * 0.5)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.body(x) + x @ self.a.T @ self.b.T))


@model("lora", SEQUENCE)
def _(rows):
    return Frozen(), (normal(rows, 4),)


class StopGradient(nn.Module):
    """Targets of a network under no_grad, as in self-distillation: constants to every derivative."""

    def __init__(self):
        super().__init__()
        self.online, self.target, self.shared = mlp(3, 5, 4), mlp(3, 5, 4), nn.Linear(3, 4)

    def forward(self, x):
        b = x.shape[0]
        with torch.no_grad():
            target = self.target(x).reshape(b * 2, 2).softmax(-1).reshape(b, 4)
            scale = self.shared(x).norm(dim=1, keepdim=True)
            shift = self.shared.bias
        return self.online(x) * target / scale + self.shared(x) * scale.detach() + shift


@model("stop-gradient", GENERATIVE)
def _(rows):
    return StopGradient(), (normal(rows, 3),)


class Unread(nn.Module):
    """Computes what nobody reads: random numbers, an attention without derivative, a cumulative histogram."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 4)

    def forward(self, x):
        h = self.a(x)
        torch.rand_like(h)
        torch.bernoulli(h.sigmoid())
        return torch.tanh(h)


@model("unread-random", GENERATIVE)
def _(rows):
    return Unread(), (normal(rows, 3),)


class InPlace(nn.Module):
    """Operators that write to values of their own; some are overloads of another name than their pure forms."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        h = (self.a(x) * 0.5).pow_(2.0) + 0.1
        h.add_(x[:, :1].square()).mul_(0.5)
        g = self.a(x).pow(2).add_(0.1).pow_(h)
        k = (g * 2.0).sub_(h, alpha=0.25).div_(2.0)
        return self.b(k.tanh_())


@model("in-place", GENERATIVE)
def _(rows):
    return InPlace(), (normal(rows, 3),)
