"""Writes test/fixtures/kfac: Kronecker-factored approximations in float64, put together as dense matrices from one backward
pass for each row and each vector by its outputs, and models of them as .pt2 files.

    python scripts/reference/kfac.py        (PyTorch 2.13 on the CPU)

Of a layer z = W a + b the block is A ⊗ G, with ã = (a, 1): for 'expand' A = Σ w ã ãᵀ / Σ w over all positions of all rows
and G = c Σ w g gᵀ over the same; for 'reduce' both are of a row, its mean ã and its summed g (Eschenhagen et al. 2023). The
vectors u that g = ∂⟨y, u⟩/∂z come from are the roots of the loss's Hessian ('type2') or its gradients ('empirical'); c is 1,
or 1 over what PyTorch's mean divides by. EKFAC has the eigenvectors of A ⊗ G, and the diagonal of QᵀFQ for F = c Σ w ∇∇ᵀ,
with ∇ the gradient of ⟨y, u⟩ by the layer's parameters (George et al. 2018).
"""

import json
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from layers import sequential
from models import shrink

FOLDER = Path(__file__).resolve().parents[2] / "test" / "fixtures" / "kfac"
IGNORED = -100
DAMPING = 0.05
BATCH = torch.export.Dim("batch", min=1, max=4096)
WEIGHTS = [0.5, 2, 0, 1.25, 3, 0.75, 1.5, 0.25]


class Conv1D(nn.Module):
    """GPT-2's linear layer: the weight is [inputs, outputs], the positions are merged."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs) / 2)
        self.bias = nn.Parameter(torch.randn(outputs) / 2)

    def forward(self, x):
        z = torch.addmm(self.bias, x.view(-1, x.size(-1)), self.weight)
        return z.view(*x.shape[:-1], z.size(-1))


class Transformer(nn.Module):
    """One block: token and position embeddings, attention, an MLP, and the mean over the tokens."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(5, 4)
        self.positions = nn.Embedding(3, 4)
        self.norm = nn.LayerNorm(4)
        self.qkv = nn.Linear(4, 12, bias=False)
        self.proj = nn.Linear(4, 4)
        self.up = Conv1D(4, 5)
        self.down = nn.Linear(5, 4)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        h = self.tokens(x) + self.positions(torch.arange(x.size(1)))
        q, k, v = self.qkv(self.norm(h)).chunk(3, dim=-1)
        h = h + self.proj(torch.softmax(q @ k.transpose(-2, -1) / 2, -1) @ v)
        h = h + self.down(F.gelu(self.up(h)))
        return self.head(h.mean(1))


class Shared(nn.Module):
    """A layer that is used twice, and products without a module."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 3)
        self.last = nn.Linear(3, 2)

    def forward(self, x):
        return self.last(torch.tanh(self.inner(torch.tanh(self.inner(x)))))


class Tied(nn.Module):
    """An embedding whose weight is that of the last layer too, a bias of two layers, and a parameter that nothing reads."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(4, 3)
        self.first = nn.Parameter(torch.randn(3, 3))
        self.second = nn.Parameter(torch.randn(3, 3))
        self.shared = nn.Parameter(torch.randn(3))
        self.unused = nn.Parameter(torch.randn(3))

    def forward(self, x):
        h = torch.tanh(F.linear(self.embed(x), self.first, self.shared))
        h = torch.tanh(h @ self.second + self.shared)
        return F.linear(h, self.embed.weight).transpose(1, 2)


# name, module or layers, shape of x or the number of tokens, loss, whether some targets are ignored, what of other parameters
CASES = [
    ("two layers", [["linear", 3, 4], ["tanh"], ["linear", 4, 3]], [5, 3], "cross_entropy", False, "refuse"),
    ("several outputs", [["linear", 2, 3, {"bias": False}], ["silu"], ["linear", 3, 2]], [6, 2], "bce_with_logits", False,
     "refuse"),
    ("an ignored row", [["linear", 2, 3], ["tanh"], ["linear", 3, 3]], [6, 2], "cross_entropy", True, "refuse"),
    ("sequences", [["linear", 2, 3], ["tanh"], ["linear", 3, 3]], [7, 3, 2], "bce_with_logits", False, "refuse"),
    ("convolutions", [["conv2d", 2, 4, 3, {"stride": 2, "padding": 1, "groups": 2}], ["tanh"],
                      ["conv2d", 4, 2, [1, 2], {"dilation": [1, 2]}], ["flatten"], ["linear", 4, 3]],
     [6, 2, 4, 6], "cross_entropy", False, "refuse"),
    ("pixels", [["conv2d", 1, 2, 2], ["gelu"], ["conv2d", 2, 3, 1]], [3, 1, 3, 3], "cross_entropy", True, "refuse"),
    ("signals", [["conv1d", 2, 3, 2, {"padding": 1, "bias": False}], ["tanh"], ["flatten"], ["linear", 12, 2]],
     [7, 2, 3], "cross_entropy", False, "refuse"),
    ("tokens", [["embedding", 5, 3, {"paddingIdx": 1}], ["linear", 3, 2], ["tanh"], ["flatten"], ["linear", 6, 3]],
     (7, 3, 5), "cross_entropy", False, "refuse"),
    ("norms", [["linear", 3, 3], ["layerNorm", [3]], ["tanh"], ["linear", 3, 2]], [5, 3], "cross_entropy", False,
     "diagonal"),
    ("norms", [["linear", 3, 3], ["layerNorm", [3]], ["tanh"], ["linear", 3, 2]], [5, 3], "cross_entropy", False, "block"),
    ("transformer", Transformer, (8, 3, 5), "cross_entropy", False, "block"),
    ("shared", Shared, [6, 3], "cross_entropy", False, "refuse"),
]


def target_of(loss, y, ignored):
    if loss == "bce_with_logits":
        return torch.rand_like(y)
    target = torch.randint(0, y.shape[1], (y.shape[0], *y.shape[2:]))
    if ignored:
        target[1] = IGNORED
        target[0].view(-1)[0] = IGNORED if target[0].numel() > 1 else target[0].view(-1)[0]
    return target


def elements(loss, y, target):
    if loss == "cross_entropy":
        return F.cross_entropy(y, target, reduction="none", ignore_index=IGNORED)
    return F.binary_cross_entropy_with_logits(y, target, reduction="none")


def vectors(fisher, loss, y, target):
    """u of one row, [1, …], whose u uᵀ sum up to the row's part of the matrix by the outputs."""
    def total(flat):
        return elements(loss, flat.view(y.shape), target).sum()

    flat = y.detach().reshape(-1)
    if fisher == "type2":
        values, roots = torch.linalg.eigh(torch.autograd.functional.hessian(total, flat))
        return [(value.clamp_min(0).sqrt() * root).view(y.shape) for value, root in zip(values, roots.T)]
    flat.requires_grad_()
    terms = elements(loss, flat.view(y.shape), target)
    if loss == "cross_entropy":
        data = list(terms.reshape(-1))
    else:
        data = list(terms.reshape(-1, terms.shape[-1]).sum(1))
    return [torch.autograd.grad(each, flat, retain_graph=True)[0].view(y.shape) for each in data]


def positions(module, a, g):
    """ã, [R, groups, inputs], and g, [R, groups, outputs], at the positions of one use of a module by one row."""
    if isinstance(module, nn.Embedding):
        index = a.reshape(-1)
        kept = index != (-1 if module.padding_idx is None else module.padding_idx)
        onehot = F.one_hot(index[kept], module.num_embeddings).to(g.dtype)
        return onehot[:, None], g.reshape(index.numel(), -1)[kept][:, None]
    if isinstance(module, (nn.Conv1d, nn.Conv2d)):
        if isinstance(module, nn.Conv1d):
            a, kernel = a[:, :, None], (1, *module.kernel_size)
            how = {"padding": (0, *module.padding), "stride": (1, *module.stride), "dilation": (1, *module.dilation)}
        else:
            kernel = module.kernel_size
            how = {"padding": module.padding, "stride": module.stride, "dilation": module.dilation}
        patches = F.unfold(a, kernel, **how)[0].T
        a = patches.reshape(patches.shape[0], module.groups, -1)
        g = g.reshape(module.groups, module.out_channels // module.groups, -1).permute(2, 0, 1)
    else:
        a, g = a.reshape(-1, 1, a.shape[-1]), g.reshape(-1, 1, g.shape[-1])
    if getattr(module, "bias", None) is not None:
        a = torch.cat([a, torch.ones_like(a[..., :1])], -1)
    return a, g


def places(model, module):
    """Where a module's parameters lie in θ, [groups, outputs, inputs with the bias]."""
    offset, at = 0, {}
    for parameter in model.parameters():
        at[id(parameter)] = torch.arange(offset, offset + parameter.numel()).view(parameter.shape)
        offset += parameter.numel()
    weight = at[id(module.weight)]
    if isinstance(module, (nn.Embedding, Conv1D)):
        weight = weight.T
    groups = getattr(module, "groups", 1)
    weight = weight.reshape(groups, weight.shape[0] // groups, -1)
    if getattr(module, "bias", None) is None:
        return weight
    return torch.cat([weight, at[id(module.bias)].view(groups, -1, 1)], -1)


def matrices(model, layers, others, loss, x, target, weights, fisher, sharing):
    """The dense matrices, of KFAC, of EKFAC, and of inverses by each way of damping; and whether the factors leave no choice
    of eigenvectors that EKFAC depends on."""
    params = list(model.parameters())
    count = sum(p.numel() for p in params)
    terms = int((target != IGNORED).sum()) if loss == "cross_entropy" else target.numel()
    inputs, outputs, gradients = {}, {}, []
    masses = dict.fromkeys(layers, 0.0)
    for n in range(len(x)):
        if loss == "cross_entropy" and (target[n] == IGNORED).all():
            continue
        w = weights[n]
        seen = []
        hooks = [m.register_forward_hook(lambda m, i, z: seen.append((m, i[0].detach(), z))) for m in layers]
        y = model(x[n : n + 1])
        for hook in hooks:
            hook.remove()
        for k, u in enumerate(vectors(fisher, loss, y, target[n : n + 1])):
            of = torch.autograd.grad(y, [z for _, _, z in seen], u, retain_graph=True, allow_unused=True)
            own = torch.autograd.grad(y, params, u, retain_graph=True, allow_unused=True)
            own = [torch.zeros_like(p) if g is None else g for p, g in zip(params, own)]
            gradients.append((w / terms) ** 0.5 * torch.cat([g.reshape(-1) for g in own]))
            for module in layers:
                uses = [positions(m, a, g) for (m, a, _), g in zip(seen, of) if m is module]
                a, g = (torch.cat(parts) for parts in zip(*uses))
                if sharing == "reduce":
                    a, g = a.mean(0, keepdim=True), g.sum(0, keepdim=True)
                if k == 0:
                    inputs[module] = inputs.get(module, 0) + w * torch.einsum("rgi,rgj->gij", a, a)
                    masses[module] += w * len(a)
                outputs[module] = outputs.get(module, 0) + w / terms * torch.einsum("rgi,rgj->gij", g, g)
    full = torch.stack(gradients)
    full = full.T @ full
    results = {name: torch.zeros(count, count) for name in ("kfac", "ekfac", "exact", "heuristic", "pi")}
    covered = set()
    unique = True
    for module in layers:
        a = inputs[module] / masses[module]
        for group, index in enumerate(places(model, module)):
            index = index.reshape(-1)
            covered.update(index.tolist())
            block = (index[:, None], index)
            factors = (outputs[module][group], a[group])
            results["kfac"][block] = torch.kron(*factors)
            results["ekfac"][block] = in_basis(factors, full[block])
            moved = in_basis([factor + noise(factor) for factor in factors], full[block])
            unique &= (moved - results["ekfac"][block]).norm().item() < 1e-10 * full.norm().item()
            identities = [torch.eye(len(factor)) for factor in factors]
            results["exact"][block] = torch.linalg.inv(torch.kron(*factors) + DAMPING * torch.kron(*identities))
            means = [torch.trace(factor) / len(factor) for factor in factors]
            for name, pi in (("heuristic", 1), ("pi", (means[0] / means[1]) ** 0.5)):
                damped = [f + DAMPING**0.5 * p * i for f, p, i in zip(factors, (pi, 1 / pi), identities)]
                results[name][block] = torch.kron(*[torch.linalg.inv(each) for each in damped])
    offset = 0
    for parameter in params:
        index = torch.arange(offset, offset + parameter.numel())
        offset += parameter.numel()
        if index[0].item() in covered:
            continue
        block = (index[:, None], index)
        own = full[block] if others == "block" else torch.diag(torch.diag(full[block]))
        results["kfac"][block] = results["ekfac"][block] = own
        for name in ("exact", "heuristic", "pi"):
            results[name][block] = torch.linalg.inv(own + DAMPING * torch.eye(len(index)))
    return results, unique


def in_basis(factors, matrix):
    """The nearest matrix with the eigenvectors of the product of the factors."""
    q = torch.kron(*[torch.linalg.eigh(factor)[1] for factor in factors])
    return q @ torch.diag(torch.diag(q.T @ matrix @ q)) @ q.T


def noise(factor):
    """Enough to turn eigenvectors where the factor leaves their choice; a diagonal one has the unit vectors."""
    if torch.equal(factor, torch.diag(torch.diag(factor))):
        return torch.zeros_like(factor)
    random = torch.randn_like(factor)
    return 1e-13 * factor.norm() * (random + random.T)


def save(program, file):
    torch.export.save(program, FOLDER / file)
    shrink(FOLDER / file)


def case(name, made, shape, loss, ignored, others):
    torch.manual_seed(2)
    model = sequential(made, torch.float64) if isinstance(made, list) else made()
    layers = [m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Embedding, Conv1D))]
    integer = isinstance(shape, tuple)
    x = torch.randint(0, shape[2], shape[:2]) if integer else torch.randn(shape)
    y = model(x).detach()
    target = target_of(loss, y, ignored)
    file = name.replace(" ", "-")
    files = []
    if not isinstance(made, list) or name == "convolutions":
        exported = torch.export.export(model, (x,), dynamic_shapes=({0: BATCH},))
        for suffix, program in (("", exported), ("-decomposed", exported.run_decompositions())):
            files.append(f"{file}{suffix}.pt2")
            save(program, files[-1])
    v = torch.sin(torch.arange(1, sum(p.numel() for p in model.parameters()) + 1, dtype=torch.float64))
    settings = []
    for fisher in ("type2", "empirical"):
        for sharing in ("expand", "reduce"):
            weighted = (sharing == "reduce") != (fisher == "empirical")
            weights = torch.tensor(WEIGHTS if weighted else [1.0] * len(WEIGHTS))
            found, unique = matrices(model, layers, others, loss, x, target, weights, fisher, sharing)
            shifted = found["kfac"] + DAMPING * torch.eye(len(v))
            settings.append({
                "fisher": fisher,
                "approximation": sharing,
                "weighted": weighted,
                **{key: (matrix @ v).tolist() for key, matrix in found.items()},
                "unique": unique,
                "trace": torch.trace(found["kfac"]).item(),
                "frobeniusNorm": found["kfac"].norm().item(),
                "logdet": torch.logdet(shifted).item(),
            })
    return {
        "name": name,
        "layers": made if isinstance(made, list) else None,
        "files": files,
        "params": torch.cat([p.detach().reshape(-1) for p in model.parameters()]).tolist(),
        "x": {"shape": list(x.shape), "data": x.reshape(-1).tolist(), "integer": integer},
        "loss": loss,
        "target": {"shape": list(target.shape), "data": target.reshape(-1).tolist(),
                   "integer": not target.is_floating_point()},
        "others": others,
        "weights": WEIGHTS[: len(x)],
        "damping": DAMPING,
        "settings": settings,
    }


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    FOLDER.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    save(torch.export.export(Tied(), (torch.tensor([[0, 1], [2, 3]]),), dynamic_shapes=({0: BATCH},)), "tied.pt2")
    cases = [case(*each) for each in CASES]
    (FOLDER / "kfac.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")
