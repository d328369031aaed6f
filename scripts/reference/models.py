"""Writes test/fixtures/models: small PyTorch models as torch.export's .pt2 and as TorchScript's .pt, and one JSON file for
each with an input, a vector v, and the output and JᵀJ v that PyTorch computes in float64.

Run with PyTorch 2.13: python scripts/reference/models.py
"""

import io
import json
import pathlib
import warnings
import zipfile

import torch
from torch import nn
from torch.nn import functional as F

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "test" / "fixtures" / "models"
BATCH = 5  # of the expected values; of exports for a fixed batch twice that batch
EXPORTED = 3  # rows of the example
DYNAMIC = torch.export.Dim("batch", min=1, max=4096)


class OutOfOrder(nn.Module):
    """Parameters in use in another order than they are registered, of which one is in use by its second name, and some are not."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.randn(2))
        self.last = nn.Linear(4, 3)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.spare = nn.Linear(2, 1)
        self.weight = nn.Parameter(torch.randn(4, 4))
        self.first = nn.Linear(4, 4)
        self.first.weight = self.weight

    def forward(self, x):
        h = torch.tanh(self.first(x))[:, None] * x[:, :2, None]
        h = self.attention(h, h, h, need_weights=False)[0]
        return self.last(h.sum(1))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 6)
        self.second = nn.Linear(6, 6)
        self.last = nn.Linear(6, 2)

    def forward(self, x):
        h = torch.tanh(self.first(x))
        return self.last(h + torch.nn.functional.gelu(self.second(h)))


class Convolutional(nn.Module):
    """Max and average pooling, batch norm, in-place activations, a view by the batch size."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.average = nn.AvgPool2d(2)
        self.fc = nn.Linear(4, 2)
        with torch.no_grad():
            self.norm.running_mean.uniform_(-0.5, 0.5)
            self.norm.running_var.uniform_(0.5, 1.5)

    def forward(self, x):
        h = self.pool(self.relu(self.norm(self.conv1(x))))
        h = self.average(torch.nn.functional.silu(self.conv2(h)))
        return self.fc(h.view(h.size(0), -1))


class Normalised(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(2, 4, 3)
        self.group = nn.GroupNorm(2, 4)
        self.layer = nn.LayerNorm([4, 4])
        self.instance = nn.InstanceNorm1d(4, affine=True)
        self.fc = nn.Linear(16, 2)

    def forward(self, x):
        h = self.instance(self.layer(self.group(self.conv(x))))
        return self.fc(torch.nn.functional.softplus(h).flatten(1))


class Embedded(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.fc = nn.Linear(4, 3)

    def forward(self, tokens):
        positions = torch.arange(tokens.shape[1]).unsqueeze(0).expand(tokens.shape[0], -1)
        h = self.embedding(tokens) + torch.sin(positions.unsqueeze(-1).to(self.fc.weight.dtype))
        return self.fc(h.mean(1))


class Tied(nn.Module):
    """A decoder that shares the embedding's weight."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(6, 4)
        self.body = nn.Linear(4, 4)
        self.decoder = nn.Linear(4, 6, bias=False)
        self.decoder.weight = self.embedding.weight

    def forward(self, tokens):
        return self.decoder(torch.tanh(self.body(self.embedding(tokens).sum(1))))


class Frozen(nn.Module):
    def __init__(self):
        super().__init__()
        self.frozen = nn.Linear(3, 5)
        self.free = nn.Linear(5, 2)
        self.frozen.requires_grad_(False)

    def forward(self, x):
        return self.free(torch.sigmoid(self.frozen(x)))


class Buffers(nn.Module):
    """A buffer, a buffer outside the state dict, a boolean buffer, and a constant made in forward."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.register_buffer("scale", torch.tensor([0.5, 1.5, 2.5, 3.5]))
        self.register_buffer("shift", torch.tensor([0.1, 0.2, 0.3, 0.4]), persistent=False)
        self.register_buffer("mask", torch.tensor([True, False, True, True]))

    def forward(self, x):
        h = torch.tanh(self.fc(x * self.scale + self.shift))
        return torch.where(self.mask, h, h * 0.25) + torch.tensor([1.0, 2.0, 3.0, 4.0])


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.left = nn.Linear(3, 4)
        self.right = nn.Linear(2, 4)

    def forward(self, x, z):
        return torch.nn.functional.elu(self.left(x)) * self.right(z)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.fc = nn.Linear(8, 2)

    def forward(self, x):
        return self.fc(self.attention(x, x, x, need_weights=False)[0].mean(1))


class Transformer(nn.Module):
    """An encoder layer with a class token and a causal mask."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.embed = nn.Linear(3, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.1, batch_first=True)
        self.head = nn.Linear(8, 2)
        self.register_buffer("mask", torch.ones(5, 5).triu(1).bool(), persistent=False)

    def forward(self, x):
        h = torch.cat([self.token.expand(x.shape[0], -1, -1), self.embed(x)], 1)
        return self.head(self.layer(h, src_mask=self.mask)[:, -1])


class HandWritten(nn.Module):
    """Attention spelled out, with reshapes that carry the batch size, and einsum."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(6, 18)
        self.out = nn.Linear(6, 3)

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = self.qkv(x).reshape(batch, length, 3, 2, 3).permute(2, 0, 3, 1, 4).unbind(0)
        weights = torch.softmax(torch.einsum("bhid,bhjd->bhij", q, k) / 3**0.5, -1)
        h = torch.matmul(weights, v).transpose(1, 2).reshape(batch * length, width)
        return self.out(h).view(batch, length, 3).mean(1)


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.rnn = kind(3, 4, batch_first=True)
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        return self.fc(self.rnn(x)[0][:, -1])


class Softmaxes(nn.Module):
    """Several results from one operator: chunk, split and max."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 6)

    def forward(self, x):
        first, second = self.fc(x).chunk(2, dim=1)
        parts = second.split([1, 2], dim=1)
        top = second.max(dim=1, keepdim=True)
        return torch.softmax(first, -1) * torch.log_softmax(torch.cat(parts, 1), 1) + top.values


class Cell(nn.Module):
    """A loop of a constant number of steps, a submodule list, and a branch on a constant."""

    def __init__(self):
        super().__init__()
        self.steps = 3
        self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(2)])
        self.out = nn.Linear(4, 2)
        self.gated = True

    def forward(self, x):
        h = x
        for _ in range(self.steps):
            for layer in self.layers:
                h = torch.tanh(layer(h))
            if self.gated:
                h = h * torch.sigmoid(x)
        return self.out(h)


def mlp():
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4), nn.Softplus(), nn.Linear(4, 2))


def floats(*shape):
    return lambda batch: (torch.randn(batch, *shape, dtype=torch.float64),)


def tokens(length, size):
    return lambda batch: (torch.randint(0, size, (batch, length)),)


class Scaled(nn.Module):
    """Divides by the number of rows: as a literal in the graph."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        return torch.tanh(self.fc(x)) / x.shape[0] + torch.arange(x.shape[0])[:, None]


class Coincidental(nn.Module):
    """Sizes that equal a batch of 2 by chance, beside some that are the batch."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(5, 4)
        self.out = nn.Linear(8, 2)
        self.shift = nn.Parameter(torch.randn(1, 4))

    def forward(self, x):
        h = self.fc(torch.cat([x, torch.ones(x.shape[0], 1)], 1)) / torch.ones(2, 4).sum()
        h = h + torch.logsumexp(torch.zeros(2, 4) + self.fc.bias, 0) + torch.logsumexp(self.shift.expand(2, 4), 0)
        heads = h.view(2, 2, 2).transpose(1, 2)
        h = h[torch.arange(x.shape[0])] + torch.softmax(heads @ heads.transpose(-1, -2), -1).reshape(2, -1)
        a, b = self.out(h.unsqueeze(1).repeat(1, 2, 1).flatten(1)).split(1, dim=1)
        return torch.cat([a * b, a], 1)


class Merged(nn.Module):
    """Attention with the batch merged into its heads, on windows of the rows' own axes."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.qkv = nn.Linear(4, 12)

    def forward(self, x):
        batch, length = x.shape
        q, k, v = self.qkv(self.embed(x)).view(batch, length, 3, 2, 2).permute(2, 0, 3, 1, 4).reshape(3, batch * 2, length, 2)
        h = torch.bmm(torch.softmax(torch.bmm(q, k.transpose(1, 2)), -1), v)
        return h.view(batch, 2, length, 2).transpose(1, 2).reshape(batch, length, 4).mean(1)


class Whitened(nn.Module):
    """Inverts a matrix of each row."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        gram = x @ x.transpose(1, 2)
        return self.fc(torch.linalg.solve(gram, x.sum(2)) + torch.linalg.inv(gram).sum(2)) + torch.linalg.cholesky(gram)[:, 0]


class BakedBatch(nn.Module):
    """Its view fits the exported batch only, and mixes rows: 3 rows of 4 become 3 of 4 along the other axis."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 4)

    def forward(self, x):
        return self.fc(x).reshape(4, 3).t()


class Together(nn.Module):
    """Rows that depend on one another, in the way that `mix` says; `mix(h, x)` with h = tanh(W x + b) of each row."""

    def __init__(self, mix, embedded=False):
        super().__init__()
        self.embed = nn.Embedding(6, 3) if embedded else nn.Identity()
        self.fc = nn.Linear(3, 2)
        self.mix = mix

    def forward(self, x):
        h = self.embed(x)
        return self.mix(torch.tanh(self.fc(h.mean(1) if h.dim() == 3 else h)), x)


def together(mix, embedded=False):
    return lambda: Together(mix, embedded)


class Assigned(nn.Module):
    """Assignments to fresh tensors and through views, as a functional graph has them."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        y = torch.tanh(self.fc(x))
        shifted = torch.zeros_like(y)
        shifted[:, 1:] = y[:, :3]
        shifted.view(-1, 2, 2)[:, 0].mul_(3)
        pairs = torch.zeros(x.shape[0], 4, 2, dtype=x.dtype)
        pairs[..., 0] = y.T.contiguous().T
        pairs[..., 1].fill_(2.0)
        pairs[:, :, 1] = 0.5
        return shifted + pairs.sum(-1) * y


class InPlace(nn.Module):
    """Changes of views whose bases nobody reads afterwards."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        y = self.fc(x).view(-1, 2, 2).transpose(1, 2)
        y.mul_(2).tanh_()
        y = F.dropout(y.flatten(1), 0.5, training=False, inplace=True)
        y += x
        return F.silu(y[:, 1:], inplace=True)


class Overwrite(nn.Module):
    """Changes parts of values through views."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 4)

    def forward(self, x):
        h = self.fc(x)
        first = h[:, 0]
        h[:, 1:3] *= h[:, :2].clone().tanh()
        h.view(-1, 2, 2)[:, 1].add_(x[:, :1])
        first.mul_(3)
        y = torch.empty_like(h)
        y[:, :2] = h[:, 2:]
        y[:, 2:] = first[:, None] * h[:, :2]
        return y


class Complex(nn.Module):
    """Complex numbers in a buffer, which a conversion of the module leaves alone, and as a literal."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 4)
        self.register_buffer("waves", torch.randn(2, 4, dtype=torch.complex128))

    def _apply(self, fn, recurse=True):
        waves = self.waves
        super()._apply(fn, recurse)
        self.waves = waves
        return self

    def forward(self, x):
        h = torch.exp(1j * self.fc(x)) * self.waves[0] + self.waves[1]
        return torch.view_as_real(h * (0.5 - 2j)).flatten(1)


class Cells(nn.Module):
    """Cells without biases, which a trace spells out in changes of views."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTMCell(3, 4, bias=False)
        self.gru = nn.GRUCell(3, 4, bias=False)

    def forward(self, x):
        h, c = self.lstm(x[:, 0])
        h, c = self.lstm(x[:, 1], (h, c))
        return torch.cat([h * c, self.gru(x[:, 1], self.gru(x[:, 0]))], 1)


class Bags(nn.Module):
    """Sums and means of embeddings, whose offsets a trace makes from the number of tokens."""

    def __init__(self):
        super().__init__()
        self.sums = nn.EmbeddingBag(7, 4, mode="sum")
        self.means = nn.EmbeddingBag(7, 4, mode="mean")

    def forward(self, tokens):
        return torch.tanh(self.sums(tokens)) * self.means(tokens)


# Exported in functional form, in which nothing changes in place.
FUNCTIONAL = ("assigned",)

# Exported with strict=True, too, whose graphs list the parameters in use, in order of use.
STRICT = ("out-of-order",)

# name: module, inputs for a batch, dynamic export or rows that it is exported for, dtype, other TorchScript than a trace?
MODELS = {
    "mlp": (mlp, floats(3), True, torch.float64, "both"),
    "mlp-static": (mlp, floats(3), EXPORTED, torch.float64, "trace"),
    "mlp-float32": (mlp, floats(3), True, torch.float32, "both"),
    "residual": (Residual, floats(3), True, torch.float64, "both"),
    "cnn": (Convolutional, floats(1, 8, 8), True, torch.float64, "both"),
    "cnn-static": (Convolutional, floats(1, 8, 8), EXPORTED, torch.float64, None),
    "norms": (Normalised, floats(2, 6), True, torch.float64, "trace"),
    "embedding": (Embedded, tokens(3, 7), True, torch.float64, "both"),
    "tied": (Tied, tokens(2, 6), True, torch.float64, "both"),
    "frozen": (Frozen, floats(3), True, torch.float64, "both"),
    "buffers": (Buffers, floats(4), True, torch.float64, "both"),
    "two-inputs": (
        TwoInputs,
        lambda batch: (*floats(3)(batch), *floats(2)(batch)),
        True,
        torch.float64,
        "both",
    ),
    "attention": (Attention, floats(3, 8), True, torch.float64, "trace"),
    "transformer": (Transformer, floats(4, 3), True, torch.float64, "trace"),
    "transformer-static": (Transformer, floats(4, 3), EXPORTED, torch.float64, None),
    "hand-written": (HandWritten, floats(4, 6), True, torch.float64, "both"),
    "hand-written-static": (HandWritten, floats(4, 6), EXPORTED, torch.float64, None),
    "lstm": (lambda: Recurrent(nn.LSTM), floats(4, 3), True, torch.float64, "trace"),
    "lstm-static": (lambda: Recurrent(nn.LSTM), floats(4, 3), EXPORTED, torch.float64, None),
    "gru": (lambda: Recurrent(nn.GRU), floats(4, 3), True, torch.float64, "trace"),
    "rnn": (lambda: Recurrent(nn.RNN), floats(4, 3), True, torch.float64, "trace"),
    "softmax": (Softmaxes, floats(4), True, torch.float64, "both"),
    "dropout-eval": (
        lambda: nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.ReLU(), nn.Linear(4, 2)),
        floats(3),
        True,
        torch.float64,
        "both",
    ),
    "loop": (Cell, floats(4), True, torch.float64, "both"),
    "fixed-one-transformer": (Transformer, floats(4, 3), 1, torch.float64, None),
    "fixed-one-lstm": (lambda: Recurrent(nn.LSTM), floats(4, 3), 1, torch.float64, None),
    "fixed-one-cnn": (Convolutional, floats(1, 8, 8), 1, torch.float64, None),
    "fixed-eight-attention": (HandWritten, floats(4, 6), 8, torch.float64, None),
    "fixed-eight-merged": (Merged, tokens(3, 7), 8, torch.float64, None),
    "fixed-three-scaled": (Scaled, floats(4), 3, torch.float64, None),
    "fixed-two-coincidental": (Coincidental, floats(4), 2, torch.float64, None),
    "merged": (Merged, tokens(3, 7), True, torch.float64, "trace"),
    "whitened": (Whitened, floats(3, 5), True, torch.float64, "trace"),
    "baked-batch": (BakedBatch, floats(3), 3, torch.float64, None),
    "rows-softmax": (together(lambda h, x: torch.softmax(h, 0)), floats(3), True, torch.float64, "trace"),
    "rows-mean": (together(lambda h, x: h - h.mean(0)), floats(3), True, torch.float64, "trace"),
    "rows-weakly": (together(lambda h, x: h + 1e-4 * h.mean(0)), floats(3), True, torch.float64, None),
    "rows-neighbors": (together(lambda h, x: h + h.roll(1, 0)), floats(3), True, torch.float64, None),
    "rows-pairs": (together(lambda h, x: h @ h.T), floats(3), True, torch.float64, None),
    "rows-numbered": (
        together(lambda h, x: h * torch.arange(x.shape[0])[:, None]),
        floats(3),
        True,
        torch.float64,
        None,
    ),
    "rows-tokens": (together(lambda h, x: h - h.mean(0), True), tokens(2, 6), True, torch.float64, None),
    "rows-counted": (
        together(lambda h, x: h * (x == x[:1]).sum(0).double().mean(), True),
        tokens(2, 6),
        True,
        torch.float64,
        None,
    ),
    "rows-derivatives": (
        together(lambda h, x: h + h.mean(0) - h.mean(0).detach()),
        floats(3),
        True,
        torch.float64,
        None,
    ),
    "assigned": (Assigned, floats(4), True, torch.float64, None),
    "in-place": (InPlace, floats(4), True, torch.float64, "trace"),
    "out-of-order": (OutOfOrder, floats(4), True, torch.float64, "trace"),
    "overwritten": (Overwrite, floats(3), True, torch.float64, "both"),
    "complex": (Complex, floats(3), True, torch.float64, "both"),
    "cells": (Cells, floats(2, 3), True, torch.float64, "trace"),
    "bags": (Bags, tokens(3, 7), True, torch.float64, "trace"),
}


class Noise(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x)


class Counter(nn.Module):
    """Changes a buffer."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x):
        self.calls.add_(1)
        return self.fc(x) * self.calls


class Branch(nn.Module):
    """Control flow that depends on the data."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x):
        if bool(x.sum() > 0):
            return self.fc(x)
        return self.fc(-x)


class Conditional(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x):
        return torch.cond(x.sum() > 0, lambda v: self.fc(v), lambda v: self.fc(-v), (x,))


class Item(nn.Module):
    """Takes a number out of the data, where its tangent ends."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x):
        h = self.fc(x)
        return h * float(h.sum())


class Waves(nn.Module):
    """Returns complex numbers."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x):
        return torch.exp(1j * self.fc(x))


class Spare(nn.Module):
    """A buffer in half precision, which forward may leave alone."""

    def __init__(self, read):
        super().__init__()
        self.fc = nn.Linear(3, 2)
        self.register_buffer("scale", torch.ones(2, dtype=torch.float16))
        self.read = read

    def forward(self, x):
        return self.fc(x) + self.scale if self.read else self.fc(x)


# What the model returns has no axis for the batch.
WITHOUT_ROWS = {"summed": lambda h, x: h.sum(), "averaged": lambda h, x: h.mean(0)}

# name: module, inputs, formats, eval?, dtype
REFUSED = {
    "dropout-train": (
        lambda: nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2)),
        floats(3),
        ("pt2", "trace", "script"),
        False,
        torch.float64,
    ),
    "batch-norm-train": (
        lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)),
        floats(3),
        ("pt2", "script"),
        False,
        torch.float64,
    ),
    "random": (Noise, floats(3), ("pt2", "script"), True, torch.float64),
    "buffer-mutation": (Counter, floats(3), ("pt2", "script"), True, torch.float64),
    "branch": (Branch, floats(3), ("script",), True, torch.float64),
    "cond": (Conditional, floats(3), ("pt2",), True, torch.float64),
    "item": (Item, floats(3), ("script",), True, torch.float64),
    "half": (mlp, floats(3), ("pt2", "trace"), True, torch.bfloat16),
    "mixed": (
        lambda: nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)),
        floats(3),
        ("pt2", "trace"),
        True,
        "mixed",
    ),
    # Scripted, these keep PyTorch's own branches on what they are given.
    "scripted-norms": (Normalised, floats(2, 6), ("script",), True, torch.float64),
    "scripted-attention": (Attention, floats(3, 8), ("script",), True, torch.float64),
    "scripted-transformer": (Transformer, floats(4, 3), ("script",), True, torch.float64),
    "scripted-lstm": (lambda: Recurrent(nn.LSTM), floats(4, 3), ("script",), True, torch.float64),
    "scripted-gru": (lambda: Recurrent(nn.GRU), floats(4, 3), ("script",), True, torch.float64),
    "scripted-rnn": (lambda: Recurrent(nn.RNN), floats(4, 3), ("script",), True, torch.float64),
    "scripted-cells": (Cells, floats(2, 3), ("script",), True, torch.float64),
    "scripted-bags": (Bags, tokens(3, 7), ("script",), True, torch.float64),
}


def cast(inputs, dtype):
    return tuple(x.to(dtype) if x.is_floating_point() else x for x in inputs)


def scripted(module, path):
    torch.jit.script(module).save(path)
    shrink(path)


def traced(module, inputs, path):
    torch.jit.trace(module, inputs, check_trace=False).save(path)
    shrink(path)


def exported(module, inputs, dynamic, path, functional=False, strict=False):
    shapes = tuple({0: DYNAMIC} for _ in inputs) if dynamic else None
    program = torch.export.export(module, inputs, dynamic_shapes=shapes, strict=strict)
    torch.export.save(program.run_decompositions({}) if functional else program, path)
    shrink(path)


def shrink(path, method=zipfile.ZIP_STORED):
    """Leaves out sample inputs, source positions and stack traces: most of a small archive, and paths of the machine."""
    old = zipfile.ZipFile(io.BytesIO(path.read_bytes()))
    with zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if "/sample_inputs/" in name or name.endswith(".debug_pkl"):
                continue
            if name.endswith("/models/model.json"):
                content = json.loads(data, object_hook=without_metadata)
                data = json.dumps(content, separators=(",", ":")).encode()
            new.writestr(zipfile.ZipInfo(name), data, method)


def without_metadata(record):
    return {**record, "metadata": {}} if "metadata" in record and "target" in record else record


def older(source, module, path):
    """The archive that torch.export.save wrote until PyTorch 2.7: state dict and constants by torch.save."""
    archive = zipfile.ZipFile(source)
    root = archive.namelist()[0].split("/")[0]
    with zipfile.ZipFile(path, "w") as old:
        old.writestr("version", "8.1")
        old.writestr("serialized_exported_program.json", archive.read(f"{root}/models/model.json"))
        for name, content in (
            ("serialized_state_dict.pt", module.state_dict(keep_vars=True)),
            ("serialized_constants.pt", {}),
            ("serialized_example_inputs.pt", ()),
        ):
            data = io.BytesIO()
            torch.save(content, data)
            old.writestr(name, data.getvalue())


def expectation(module, inputs, rows):
    """Output and JᵀJ v in float64, by reverse mode, one row of J after the other; so many rows of the batch at a time."""
    module = module.double()
    named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    y = torch.cat([module(*chunk) for chunk in zip(*(x.split(rows) for x in cast(inputs, torch.float64)))])
    gradients = [
        torch.cat([
            (torch.zeros_like(p) if g is None else g).flatten()
            for g, (_, p) in zip(
                torch.autograd.grad(element, [p for _, p in named], retain_graph=True, allow_unused=True),
                named,
            )
        ])
        for element in y.flatten()
    ]
    jacobian = torch.stack(gradients)
    v = torch.randn(jacobian.shape[1], dtype=torch.float64)
    return {
        "parameters": [{"name": name, "shape": list(p.shape)} for name, p in named],
        "params": flat([p for _, p in named]),
        "inputs": [
            {"dtype": str(x.dtype).removeprefix("torch."), "shape": list(x.shape), "data": x.flatten().tolist()}
            for x in inputs
        ],
        "output": {"shape": list(y.shape), "data": y.flatten().tolist()},
        "v": v.tolist(),
        "product": (jacobian.T @ (jacobian @ v)).tolist(),
    }


def flat(tensors):
    return torch.cat([t.detach().flatten() for t in tensors]).tolist()


def main():
    warnings.filterwarnings("ignore")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    for seed, (name, (build, inputs, batch, dtype, script)) in enumerate(MODELS.items()):
        torch.manual_seed(seed)
        dynamic = batch is True
        module = build().to(dtype).eval()
        example = cast(inputs(EXPORTED if dynamic else batch), dtype)
        exported(module, example, dynamic, FOLDER / f"{name}.pt2", name in FUNCTIONAL)
        if script:
            traced(module, example, FOLDER / f"{name}.pt")
        if script == "both":
            scripted(module, FOLDER / f"{name}.script.pt")
        if name in STRICT:
            exported(module, example, dynamic, FOLDER / f"{name}.strict.pt2", strict=True)
            older(FOLDER / f"{name}.strict.pt2", module, FOLDER / f"{name}.strict.old.pt2")
        if name in ("mlp", "tied", "frozen", "complex"):
            older(FOLDER / f"{name}.pt2", module, FOLDER / f"{name}.old.pt2")
        expected = expectation(module, inputs(BATCH if dynamic else 2 * batch), BATCH if dynamic else batch)
        if not dynamic:
            expected["batch"] = batch
        (FOLDER / f"{name}.json").write_text(json.dumps(expected, separators=(",", ":")))
    for name, mix in WITHOUT_ROWS.items():
        torch.manual_seed(0)
        module = together(mix)().double().eval()
        example = floats(3)(EXPORTED)
        exported(module, example, True, FOLDER / f"without-rows-{name}.pt2")
        traced(module, example, FOLDER / f"without-rows-{name}.pt")
    torch.manual_seed(0)
    for read in (False, True):
        exported(Spare(read).eval(), cast(floats(3)(EXPORTED), torch.float32), True, FOLDER / f"half-{'read' if read else 'spare'}.pt2")
    torch.manual_seed(0)
    traced(Waves().double().eval(), floats(3)(EXPORTED), FOLDER / "complex-result.pt")
    for name, (build, inputs, formats, evaluate, dtype) in REFUSED.items():
        torch.manual_seed(0)
        module = build().train(not evaluate)
        if dtype == "mixed":
            module = module.double()
            module[1].float()
            module = nn.Sequential(module[0], Cast(), module[1])
            example = inputs(EXPORTED)
        else:
            module = module.to(dtype)
            example = cast(inputs(EXPORTED), dtype)
        if "pt2" in formats:
            exported(module, example, False, FOLDER / f"refused-{name}.pt2")
        if "trace" in formats:
            traced(module, example, FOLDER / f"refused-{name}.pt")
        if "script" in formats:
            scripted(module, FOLDER / f"refused-{name}.script.pt")


class Cast(nn.Module):
    def forward(self, x):
        return x.float()


if __name__ == "__main__":
    main()
