"""Writes test/fixtures/options: operators with the options that they take, as torch.export's .pt2 or TorchScript, and
one JSON file for each with what PyTorch computes in float64: output, J v and JᵀJ v. The output of a model is that of
all its cases side by side; the JSON file says which columns are whose.

J is torch.autograd.grad's, one row after the other; torch.func.jvp agrees with it where it exists.

Run with PyTorch 2.13: python scripts/reference/options.py
"""

import json
import pathlib
import warnings

import torch
from torch import nn
from torch.func import functional_call, jvp
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from models import exported, scripted

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "test" / "fixtures" / "options"
BATCH = 3
INFINITY = float("inf")


class Cases(nn.Module):
    """Methods whose names begin with `case_`, each of the input alone."""

    def names(self):
        return [name for name in dir(self) if name.startswith("case_")]

    def forward(self, x):
        return torch.cat([getattr(self, name)(x).flatten(1) for name in self.names()], 1)


class Attention(Cases):
    """x: [batch, 5, 4]"""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(4, 24)
        self.bias = nn.Parameter(torch.randn(2, 5, 5))
        self.module = nn.MultiheadAttention(4, 2, batch_first=True)
        masks = {
            "causal": torch.ones(5, 5).tril().bool(),
            "keys": torch.tensor([[True, False, True, True, False]]),
            "head": torch.tensor([[True, False, True, True, True], [False, True, True, True, False]]).unsqueeze(1),
            "rows": torch.tensor([[True] * 5, [False] * 5, [False, True, True, False, False]] + [[True] * 5] * 2),
        }
        for name, mask in masks.items():
            self.register_buffer(name, mask)
            self.register_buffer(f"{name}_added", torch.randn(mask.shape).masked_fill(~mask, -INFINITY))

    def heads(self, x, count=2):
        """Queries, keys and values, each [batch, count, 5, 8 / count]."""
        parts = self.qkv(x).chunk(3, -1)
        return [part.unflatten(-1, (count, -1)).transpose(1, 2) for part in parts]

    def case_bool_causal(self, x):
        return F.scaled_dot_product_attention(*self.heads(x), attn_mask=self.causal)

    def case_bool_keys(self, x):
        return F.scaled_dot_product_attention(*self.heads(x), attn_mask=self.keys)

    def case_bool_heads(self, x):
        return F.scaled_dot_product_attention(*self.heads(x), attn_mask=self.head)

    def case_bool_row_without_keys(self, x):
        return F.scaled_dot_product_attention(*self.heads(x), attn_mask=self.rows)

    def case_bool_of_data(self, x):
        seen = (x[..., 0] > 0).unsqueeze(1).unsqueeze(1)
        return F.scaled_dot_product_attention(*self.heads(x), attn_mask=seen)

    def case_added(self, x):
        return F.scaled_dot_product_attention(*self.heads(x), attn_mask=self.keys_added)

    def case_added_causal(self, x):
        return F.scaled_dot_product_attention(*self.heads(x), attn_mask=self.causal_added)

    def case_added_row_without_keys(self, x):
        return F.scaled_dot_product_attention(*self.heads(x), attn_mask=self.rows_added)

    def case_learned(self, x):
        return F.scaled_dot_product_attention(*self.heads(x), attn_mask=self.bias)

    def case_learned_alone(self, x):
        return F.scaled_dot_product_attention(x, x, x, attn_mask=self.bias[0])

    def case_causal(self, x):
        return F.scaled_dot_product_attention(*self.heads(x), is_causal=True)

    def case_causal_of_fewer_queries(self, x):
        q, k, v = self.heads(x)
        return F.scaled_dot_product_attention(q[:, :, :3], k, v, is_causal=True)

    def case_scale(self, x):
        return F.scaled_dot_product_attention(*self.heads(x), attn_mask=self.causal, scale=0.3)

    def case_grouped(self, x):
        q, k, v = self.heads(x, 4)
        return F.scaled_dot_product_attention(q, k[:, :2], v[:, :2], attn_mask=self.causal, enable_gqa=True)

    def case_without_heads(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=self.rows)

    def case_wider_values(self, x):
        q, k, v = self.heads(x)
        return F.scaled_dot_product_attention(q[..., :3], k[..., :3], v, attn_mask=self.keys)

    def case_module_masks(self, x):
        hidden = (x[..., 1] > 0.8) & (torch.arange(5) > 0)  # each query sees the first key
        return self.module(x, x, x, key_padding_mask=hidden, attn_mask=~self.causal, need_weights=False)[0]

    def case_module_weights(self, x):
        return self.module(x, x, x, attn_mask=~self.causal)[1]


class Normalisation(Cases):
    """x: [batch, 4, 3, 3]"""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.norms = nn.ModuleDict({
            "batch": nn.BatchNorm2d(4),
            "plain": nn.BatchNorm2d(4, affine=False),
            "line": nn.BatchNorm1d(4),
            "instance": nn.InstanceNorm2d(4, affine=True),
            "tracked": nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
            "free": nn.InstanceNorm2d(4),
            "layer": nn.LayerNorm(4),
            "unshifted": nn.LayerNorm(3, bias=False),
        })
        self.wide = nn.Parameter(torch.randn(4, 2))
        for norm in self.norms.values():
            if getattr(norm, "running_mean", None) is not None:
                norm.running_mean.uniform_(-1, 1)
                norm.running_var.uniform_(0.5, 1.5)

    def case_batch_as_tokens(self, x):
        return self.norms["layer"](self.norms["batch"](x).flatten(2).transpose(1, 2)) ** 2

    def case_batch_after_convolution(self, x):
        return self.norms["layer"](self.norms["batch"](self.conv(x)).flatten(2).transpose(1, 2)) ** 2

    def case_batch_without_weights(self, x):
        return self.norms["plain"](self.conv(x)).tanh()

    def case_batch_of_one_pixel(self, x):
        return self.norms["batch"](self.conv(x)[:, :, :1, :1]).tanh()

    def case_batch_of_vectors(self, x):
        return self.norms["line"](self.conv(x).mean((2, 3))).tanh()

    def case_batch_of_lines(self, x):
        return self.norms["line"](self.conv(x).flatten(2)).transpose(1, 2).tanh()

    def case_batch_with_strided_weight(self, x):
        norm = self.norms["batch"]
        weight, bias = self.wide.unbind(1)
        return F.batch_norm(self.conv(x), norm.running_mean, norm.running_var, weight, bias).tanh()

    def case_batch_with_shift_alone(self, x):
        norm = self.norms["batch"]
        return F.batch_norm(self.conv(x), norm.running_mean, norm.running_var, None, norm.bias).tanh()

    def case_instance(self, x):
        return self.norms["instance"](self.conv(x)).permute(0, 2, 3, 1).tanh()

    def case_instance_by_running_statistics(self, x):
        return self.norms["tracked"](self.conv(x)).permute(0, 2, 3, 1).tanh()

    def case_instance_without_weights(self, x):
        return self.norms["free"](self.conv(x)).tanh()

    def case_group_with_shift_alone(self, x):
        return F.group_norm(self.conv(x), 2) + self.wide[:, :1, None].tanh()

    def case_layer_without_shift(self, x):
        return self.norms["unshifted"](self.conv(x)).tanh()


class Operators(Cases):
    """x: [batch, 6]"""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 6)
        self.points = nn.Parameter(torch.randn(4, 3))
        self.table = nn.Parameter(torch.randn(5, 3))
        self.register_buffer("numbers", torch.arange(6))
        self.register_buffer("seen", torch.tensor([True, False, True, True, False, True]))

    def h(self, x):
        return self.fc(x).unflatten(1, (2, 3))

    def case_where_whole_number(self, x):
        return torch.where(self.seen, self.fc(x), self.numbers)

    def case_where_scalars(self, x):
        return torch.where(self.seen, self.fc(x), 3) + torch.where(self.seen, 2.5, self.fc(x))

    def case_whole_numbers(self, x):
        return (self.numbers - self.fc(x)) * self.seen + self.fc(x) * self.numbers

    def case_alpha(self, x):
        return torch.add(self.fc(x), self.fc.bias, alpha=2) - torch.sub(self.fc.bias, self.fc(x), alpha=-3)

    def case_cat_whole_numbers(self, x):
        return torch.cat([self.fc(x), self.numbers.expand(x.shape[0], -1)], -1)

    def case_rounded_quotient(self, x):
        y = self.fc(x)
        return torch.div(y, 0.3, rounding_mode="floor") * y + torch.div(y, self.numbers + 1, rounding_mode="trunc")

    def case_linear_of_vectors(self, x):
        return self.fc(x).unsqueeze(-1) * F.linear(self.table[0], self.points)

    def case_baddbmm(self, x):
        y = self.h(x)
        return torch.baddbmm(y[:, :, :2], y, y.mT, beta=2, alpha=-1)

    def case_einsum_repeated(self, x):
        y = self.h(x)
        return torch.einsum("bij,bik->bjk", y, y)

    def case_extremes(self, x):
        y = self.h(x)
        return torch.cat([y.max(-1)[0], y.min(-2, keepdim=True)[0].squeeze(-2), y.topk(2, -1, False)[0].sum(1)], -1)

    def case_pool(self, x):
        return F.max_pool2d(self.h(x).unsqueeze(1), 2, stride=1, padding=1, dilation=1, ceil_mode=True)

    def case_pad(self, x):
        return F.pad(self.h(x), (2, 1), mode="reflect") + F.pad(self.h(x), (2, 1), mode="replicate")

    def case_masked_index(self, x):
        return self.fc(x)[:, self.seen] + self.fc(x).masked_fill(self.seen, 5.0)[:, :4]

    def case_embedding_padding(self, x):
        return F.embedding((x > 0).long(), self.table, padding_idx=-4).tanh()

    def case_norms(self, x):
        y = self.h(x)
        return torch.stack([y.flatten(1).norm(dim=1), y.norm(1, dim=(1, 2)), y.norm(3, dim=(1, 2))], -1)

    def case_std(self, x):
        y = self.h(x)
        return torch.cat([y.std(-1), y.var((1, 2), correction=0, keepdim=True).flatten(1)], -1)

    def case_median(self, x):
        return self.fc(x).unsqueeze(1).expand(-1, 2, -1).median(-1)[0]

    def case_distances_1(self, x):
        return torch.cdist(self.h(x), self.points, p=1.0)

    def case_distances_2(self, x):
        return torch.cdist(self.h(x), self.points)

    def case_distances_3(self, x):
        return torch.cdist(self.h(x), self.points, p=3.0)

    def case_distances_half(self, x):
        return torch.cdist(self.h(x), self.points, p=0.5)

    def case_distances_infinite(self, x):
        return torch.cdist(self.h(x), self.points, p=INFINITY)

    def case_distances_to_themselves(self, x):
        y = self.h(x)
        return torch.cdist(y, y) + torch.cdist(y, y, p=1.5)

    def case_distances_of_pairs(self, x):
        return F.pdist(self.points) * self.fc(x)

    def case_distances_of_pairs_1(self, x):
        return F.pdist(self.points, 1.0) * self.fc(x)


class Factories(Cases):
    """x: [batch, 6]. TorchScript, whose tensors made without a dtype are of the default precision."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 4)

    def case_eye(self, x):
        return self.fc(x) @ torch.eye(4)

    def case_full(self, x):
        return self.fc(x) @ torch.full([4, 2], 0.3) + torch.full([2], 2)

    def case_linear(self, x):
        return F.linear(self.fc(x), torch.ones([3, 4]), torch.zeros([3]))

    def case_linspace(self, x):
        return self.fc(x) @ torch.linspace(0.1, 1.0, 4).unsqueeze(1)

    def case_arange(self, x):
        return self.fc(x)[:, torch.arange(3)] @ torch.arange(0.5, 3.5).unsqueeze(1)

    def case_window(self, x):
        return self.fc(x) @ torch.hann_window(4).unsqueeze(1)

    def case_numbers(self, x):
        return self.fc(x) / torch.tensor(x.size(1)) + torch.tensor([0.1, 0.2, 0.3, 0.4])

    def case_norm(self, x):
        return self.fc(x) * self.fc.weight.norm() + self.fc(x).norm(2, [1], True)

    def forward(self, x):
        return torch.cat([
            self.case_arange(x),
            self.case_eye(x),
            self.case_full(x),
            self.case_linear(x),
            self.case_linspace(x),
            self.case_norm(x),
            self.case_numbers(x),
            self.case_window(x),
        ], 1)  # fmt: skip


# Cases in which torch.func.jvp is not the transpose of torch.autograd.grad: it counts the padding row of an embedding.
ONE_WAY = ("case_embedding_padding",)


def check_forward_mode(name, f, params, v, tangent):
    """Where there is forward mode, it agrees with J v."""
    try:
        with sdpa_kernel(SDPBackend.MATH):
            other = jvp(f, (params,), (v,))[1]
    except (NotImplementedError, RuntimeError):
        return
    # Operators without a formula can give nothing at all.
    if name not in ONE_WAY and other.any():
        torch.testing.assert_close(other, tangent, rtol=1e-9, atol=1e-9)


def expectation(model, x):
    params = {name: p.detach().requires_grad_() for name, p in model.named_parameters()}
    v = {name: torch.randn_like(p) for name, p in params.items()}
    flat = torch.cat([v[name].flatten() for name in params])
    columns, outputs, tangents, rows = [], [], [], []
    for name in model.names():

        def f(p):
            return functional_call(One(model, name), {f"cases.{key}": value for key, value in p.items()}, (x,))

        with sdpa_kernel(SDPBackend.MATH):
            y = f(params)
        jacobian = torch.stack([
            torch.cat([
                (torch.zeros_like(p) if g is None else g).flatten()
                for g, p in zip(
                    torch.autograd.grad(each, list(params.values()), retain_graph=True, allow_unused=True),
                    params.values(),
                )
            ])
            for each in y.flatten()
        ])
        tangent = (jacobian @ flat).view_as(y)
        check_forward_mode(name, f, {key: p.detach() for key, p in params.items()}, v, tangent)
        columns.append({"name": name.removeprefix("case_").replace("_", " "), "width": y.shape[1]})
        outputs.append(y.detach())
        tangents.append(tangent)
        rows.append(jacobian.view(*y.shape, -1))
    jacobian = torch.cat(rows, 1).flatten(0, 1)
    return {
        "cases": columns,
        "x": {"shape": list(x.shape), "data": x.flatten().tolist()},
        "v": flat.tolist(),
        "output": torch.cat(outputs, 1).flatten().tolist(),
        "jvp": torch.cat(tangents, 1).flatten().tolist(),
        "product": (jacobian.T @ (jacobian @ flat)).tolist(),
    }


class One(nn.Module):
    """One of the cases."""

    def __init__(self, cases, name):
        super().__init__()
        self.cases, self.name = cases, name

    def forward(self, x):
        return getattr(self.cases, self.name)(x).flatten(1)


def write(name, expected):
    (FOLDER / f"{name}.json").write_text(json.dumps(expected, separators=(",", ":")))


def main():
    warnings.filterwarnings("ignore")
    FOLDER.mkdir(exist_ok=True)
    for make, shape in ((Attention, (5, 4)), (Normalisation, (4, 3, 3)), (Operators, (6,))):
        torch.manual_seed(0)
        model = make().double().eval()
        x = torch.randn(BATCH, *shape, dtype=torch.float64)
        name = make.__name__.lower()
        exported(model, (x,), True, FOLDER / f"{name}.pt2")
        write(name, expectation(model, x))
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    model = Factories().eval()
    scripted(model, FOLDER / "factories.script.pt")
    write("factories", expectation(model, torch.randn(BATCH, 6)))


if __name__ == "__main__":
    main()
