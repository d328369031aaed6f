"""Layers of torch.nn, each between linear maps where it has no parameters of its own."""

import torch
import torch.nn.functional as F
from torch import nn

from .registry import add, normal, tokens

FAMILY = "torch.nn layers"


def sequential(name, shape, *layers, **options):
    add(name, FAMILY, lambda rows: (nn.Sequential(*[layer() for layer in layers]), (normal(rows, *shape),)), **options)


def of(make, *arguments, **keywords):
    return lambda: make(*arguments, **keywords)


class Apply(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Recurrent(nn.Module):
    def __init__(self, kind, last=True, **options):
        super().__init__()
        self.rnn = kind(3, 4, batch_first=True, **options)
        self.head = nn.Linear(4 * (2 if options.get("bidirectional") else 1), 2)
        if options.get("proj_size"):
            self.head = nn.Linear(options["proj_size"], 2)
        self.last = last

    def forward(self, x):
        y = self.rnn(x)[0]
        return self.head(y[:, -1] if self.last else y)


class Cell(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.cell = kind(3, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        state = None
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
        return self.head(state[0] if isinstance(state, tuple) else state)


class Attention(nn.Module):
    def __init__(self, mask=None, causal=False, **options):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True, **options)
        self.causal = causal
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x):
        return self.attention(x, x, x, attn_mask=self.mask, need_weights=False)[0].mean(1)


class Sdpa(nn.Module):
    def __init__(self, mask=None, **options):
        super().__init__()
        self.qkv = nn.Linear(6, 18)
        self.options = options
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x):
        rows, length, _ = x.shape
        q, k, v = self.qkv(x).reshape(rows, length, 3, 2, 3).permute(2, 0, 3, 1, 4).unbind(0)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=self.mask, **self.options)
        return y.transpose(1, 2).reshape(rows, length, 6)


class Gqa(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.kv = nn.Linear(6, 12), nn.Linear(6, 12)

    def forward(self, x):
        rows, length, _ = x.shape
        q = self.q(x).reshape(rows, length, 4, 3).transpose(1, 2)
        k, v = self.kv(x).reshape(rows, length, 2, 2, 3).permute(2, 0, 3, 1, 4).unbind(0)
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True).mean((1, 2))


class PaddedEncoder(nn.Module):
    """A key padding mask made of the tokens."""

    def __init__(self, norm_first):
        super().__init__()
        self.embed = nn.Embedding(9, 8, padding_idx=0)
        layer = nn.TransformerEncoderLayer(8, 2, 12, 0.1, batch_first=True, norm_first=norm_first, activation="gelu")
        self.body = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(8, 3)

    def forward(self, ids):
        return self.head(self.body(self.embed(ids), src_key_padding_mask=ids == 0)[:, 0])


class EncoderDecoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Transformer(8, 2, 1, 1, 12, batch_first=True)
        self.register_buffer("mask", torch.ones(3, 3).triu(1).bool(), persistent=False)

    def forward(self, source, target):
        return self.body(source, target, tgt_mask=self.mask)


class EmbeddingBag(nn.Module):
    def __init__(self, mode):
        super().__init__()
        self.bag = nn.EmbeddingBag(9, 4, mode=mode)
        self.head = nn.Linear(4, 2)

    def forward(self, ids):
        return self.head(torch.tanh(self.bag(ids)))


class Embedding(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.embedding = nn.Embedding(9, 4, **options)
        self.head = nn.Linear(4, 2)

    def forward(self, ids):
        return self.head(torch.tanh(self.embedding(ids)).sum(1))


class Bilinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.bilinear = nn.Bilinear(3, 2, 4)

    def forward(self, x, z):
        return torch.tanh(self.bilinear(x, z))


class Distance(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.left, self.right = nn.Linear(3, 4), nn.Linear(3, 4)
        self.distance = kind

    def forward(self, x):
        return self.distance(self.left(x), self.right(x)).unsqueeze(-1)


class Unpool(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.pool = nn.MaxPool2d(2, return_indices=True)
        self.unpool = nn.MaxUnpool2d(2)

    def forward(self, x):
        h, indices = self.pool(self.conv(x))
        return self.unpool(torch.tanh(h), indices).sum(1)


def wrapped(name, make, *shapes, **options):
    add(name, FAMILY, lambda rows: (make(), tuple(normal(rows, *shape) for shape in shapes)), **options)


def over_tokens(name, make, length=4, below=9, **options):
    add(name, FAMILY, lambda rows: (make(), (tokens(below, rows, length),)), **options)


ACTIVATIONS = {
    "relu": of(nn.ReLU), "relu6": of(nn.ReLU6), "elu": of(nn.ELU, 0.7), "selu": of(nn.SELU), "celu": of(nn.CELU, 1.3),
    "gelu": of(nn.GELU), "gelu-tanh": of(nn.GELU, "tanh"), "silu": of(nn.SiLU), "mish": of(nn.Mish), "softplus": of(nn.Softplus, 2.0, 1.0),
    "softsign": of(nn.Softsign), "tanhshrink": of(nn.Tanhshrink), "softshrink": of(nn.Softshrink, 0.1), "hardshrink": of(nn.Hardshrink, 0.1),
    "hardtanh": of(nn.Hardtanh, -0.5, 0.4), "hardsigmoid": of(nn.Hardsigmoid), "hardswish": of(nn.Hardswish), "logsigmoid": of(nn.LogSigmoid),
    "sigmoid": of(nn.Sigmoid), "leaky-relu": of(nn.LeakyReLU, 0.2), "threshold": of(nn.Threshold, 0.1, -0.3), "rrelu": of(nn.RReLU),
    "glu": of(nn.GLU, 1), "softmax": of(nn.Softmax, -1), "softmin": of(nn.Softmin, 1), "log-softmax": of(nn.LogSoftmax, 1),
    "prelu": of(nn.PReLU), "prelu-channels": of(nn.PReLU, 6),
}
for name, activation in ACTIVATIONS.items():
    width = 3 if name == "glu" else 6
    sequential(f"act-{name}", (3,), of(nn.Linear, 3, 6), activation, of(nn.Linear, width, 2))

sequential("bias-free", (3,), of(nn.Linear, 3, 4, bias=False), of(nn.Tanh), of(nn.Linear, 4, 1, bias=False))
sequential("softmax2d", (2, 3, 3), of(nn.Conv2d, 2, 3, 2), of(nn.Softmax2d))
sequential("flatten-unflatten", (6,), of(nn.Linear, 6, 8), of(nn.Unflatten, 1, (2, 4)), of(nn.Tanh), of(nn.Flatten), of(nn.Linear, 8, 2))
sequential("conv1d-circular", (2, 6), of(nn.Conv1d, 2, 3, 3, padding=1, padding_mode="circular"), of(nn.Tanh), of(nn.Flatten), of(nn.Linear, 18, 2))
sequential("conv2d-reflect", (1, 4, 5), of(nn.Conv2d, 1, 2, 3, padding=1, padding_mode="reflect"), of(nn.ReLU), of(nn.Flatten), of(nn.Linear, 40, 2))
sequential("conv2d-replicate", (1, 4, 4), of(nn.Conv2d, 1, 2, 3, padding=1, padding_mode="replicate"), of(nn.Tanh))
sequential("conv2d-same", (2, 4, 4), of(nn.Conv2d, 2, 4, 4, padding="same", groups=2), of(nn.Tanh), of(nn.Conv2d, 4, 1, 2, padding="valid", dilation=2))
sequential("conv2d-depthwise", (3, 5, 5), of(nn.Conv2d, 3, 6, 3, groups=3, stride=2, padding=1), of(nn.SiLU), of(nn.Conv2d, 6, 2, 1))
sequential("conv3d", (1, 3, 4, 3), of(nn.Conv3d, 1, 2, 2), of(nn.Tanh), of(nn.AdaptiveAvgPool3d, 1), of(nn.Flatten))
sequential("conv-transpose1d", (2, 4), of(nn.ConvTranspose1d, 2, 3, 3, stride=2, output_padding=1, padding=1), of(nn.Tanh), of(nn.Conv1d, 3, 1, 1))
sequential("conv-transpose2d", (2, 3, 3), of(nn.ConvTranspose2d, 2, 4, 2, stride=2, groups=2), of(nn.Tanh), of(nn.ConvTranspose2d, 4, 1, 3, dilation=2))
sequential("conv-transpose3d", (1, 2, 2, 2), of(nn.ConvTranspose3d, 1, 2, 2), of(nn.Tanh))
for name, pool in {
    "max-pool1d": of(nn.MaxPool1d, 2), "avg-pool1d": of(nn.AvgPool1d, 2, 1), "lp-pool1d": of(nn.LPPool1d, 2, 2),
    "adaptive-max-pool1d": of(nn.AdaptiveMaxPool1d, 3), "adaptive-avg-pool1d": of(nn.AdaptiveAvgPool1d, 3),
}.items():
    sequential(name, (2, 7), of(nn.Conv1d, 2, 3, 2), of(nn.Softplus), pool, of(nn.Flatten), of(nn.LazyLinear, 2))
for name, pool in {
    "max-pool2d": of(nn.MaxPool2d, 3, 2, 1), "max-pool2d-ceil": of(nn.MaxPool2d, 2, ceil_mode=True), "avg-pool2d": of(nn.AvgPool2d, 2, 1, 1, divisor_override=3),
    "lp-pool2d": of(nn.LPPool2d, 3, 2), "adaptive-max-pool2d": of(nn.AdaptiveMaxPool2d, (2, 3)), "adaptive-avg-pool2d": of(nn.AdaptiveAvgPool2d, (3, 2)),
}.items():
    sequential(name, (1, 5, 5), of(nn.Conv2d, 1, 2, 2), of(nn.Softplus), pool, of(nn.Flatten), of(nn.LazyLinear, 2))
for name, pad in {
    "reflection-pad2d": of(nn.ReflectionPad2d, 1), "replication-pad2d": of(nn.ReplicationPad2d, (1, 0, 2, 1)), "zero-pad2d": of(nn.ZeroPad2d, (1, -1, 0, 2)),
    "constant-pad2d": of(nn.ConstantPad2d, 1, 0.5), "circular-pad2d": of(nn.CircularPad2d, 1),
}.items():
    sequential(name, (1, 3, 3), of(nn.Conv2d, 1, 2, 2, padding=1), of(nn.Tanh), pad, of(nn.Conv2d, 2, 1, 2))
for name, up in {
    "upsample-nearest": of(nn.Upsample, scale_factor=2), "upsample-bilinear": of(nn.Upsample, scale_factor=2, mode="bilinear"),
    "upsample-bilinear-aligned": of(nn.Upsample, size=(5, 4), mode="bilinear", align_corners=True), "upsample-bicubic": of(nn.Upsample, scale_factor=1.5, mode="bicubic"),
    "pixel-shuffle": of(nn.PixelShuffle, 2), "pixel-unshuffle": of(nn.PixelUnshuffle, 2), "channel-shuffle": of(nn.ChannelShuffle, 2),
    "local-response-norm": of(nn.LocalResponseNorm, 2), "fold-unfold": of(nn.Unfold, 2),
}.items():
    sequential(name, (1, 4, 4), of(nn.Conv2d, 1, 4, 3, padding=1), of(nn.Tanh), up, of(nn.Flatten), of(nn.LazyLinear, 2))
sequential("upsample-linear1d", (2, 5), of(nn.Conv1d, 2, 2, 2), of(nn.Tanh), of(nn.Upsample, scale_factor=2, mode="linear"))
sequential("upsample-trilinear", (1, 2, 2, 2), of(nn.Conv3d, 1, 2, 1), of(nn.Tanh), of(nn.Upsample, scale_factor=2, mode="trilinear"))
sequential("fold", (3, 4), of(nn.Linear, 4, 9), of(nn.Flatten), of(nn.Linear, 27, 36), of(nn.Unflatten, 1, (4, 9)), of(nn.Tanh), of(nn.Fold, (4, 4), 2))
for name, norm in {
    "batch-norm1d": of(nn.BatchNorm1d, 4), "batch-norm1d-plain": of(nn.BatchNorm1d, 4, affine=False), "layer-norm": of(nn.LayerNorm, 4), "layer-norm-plain": of(nn.LayerNorm, 4, elementwise_affine=False),
    "layer-norm-no-bias": of(nn.LayerNorm, 4, bias=False), "rms-norm": of(nn.RMSNorm, 4), "rms-norm-eps": of(nn.RMSNorm, 4, eps=1e-3), "group-norm-2d": of(nn.GroupNorm, 2, 4),
}.items():
    sequential(name, (3,), of(nn.Linear, 3, 4), norm, of(nn.Tanh), of(nn.Linear, 4, 2))
for name, norm in {
    "batch-norm2d": of(nn.BatchNorm2d, 4), "group-norm": of(nn.GroupNorm, 2, 4), "instance-norm2d": of(nn.InstanceNorm2d, 4, affine=True),
    "instance-norm2d-running": of(nn.InstanceNorm2d, 4, track_running_stats=True), "layer-norm-images": of(nn.LayerNorm, [4, 3, 3]), "batch-norm2d-no-running": of(nn.BatchNorm2d, 4, track_running_stats=False),
}.items():
    sequential(name, (2, 4, 4), of(nn.Conv2d, 2, 4, 2), norm, of(nn.ReLU), of(nn.Flatten), of(nn.Linear, 36, 2), independent=name != "batch-norm2d-no-running")
sequential("weight-norm", (3,), lambda: nn.utils.parametrizations.weight_norm(nn.Linear(3, 4)), of(nn.Tanh), of(nn.Linear, 4, 2))
sequential("spectral-norm", (3,), lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(3, 4)), of(nn.Tanh), of(nn.Linear, 4, 2))
sequential("orthogonal", (3,), lambda: nn.utils.parametrizations.orthogonal(nn.Linear(3, 3)), of(nn.Tanh), of(nn.Linear, 3, 2))
sequential("dropout-eval", (3,), of(nn.Linear, 3, 4), of(nn.Dropout), of(nn.Tanh), of(nn.AlphaDropout), of(nn.Linear, 4, 2))

for name, kind, options in [
    ("rnn-tanh", nn.RNN, {}), ("rnn-relu", nn.RNN, {"nonlinearity": "relu"}), ("lstm", nn.LSTM, {}), ("gru", nn.GRU, {}),
    ("lstm-2-layers", nn.LSTM, {"num_layers": 2}), ("lstm-bidirectional", nn.LSTM, {"bidirectional": True}), ("lstm-projected", nn.LSTM, {"proj_size": 2}),
    ("gru-bidirectional", nn.GRU, {"bidirectional": True, "num_layers": 2}), ("gru-no-bias", nn.GRU, {"bias": False}),
]:
    wrapped(name, lambda kind=kind, options=options: Recurrent(kind, **options), (4, 3))
wrapped("lstm-sequence", lambda: Recurrent(nn.LSTM, last=False), (4, 3))
for name, kind in {"rnn-cell": nn.RNNCell, "lstm-cell": nn.LSTMCell, "gru-cell": nn.GRUCell}.items():
    wrapped(name, lambda kind=kind: Cell(kind), (3, 3))

CAUSAL = torch.ones(4, 4).triu(1).bool()
wrapped("mha", lambda: Attention(), (4, 8))
wrapped("mha-bool-mask", lambda: Attention(CAUSAL), (4, 8))
wrapped("mha-float-mask", lambda: Attention(torch.randn(4, 4, dtype=torch.float64)), (4, 8))
wrapped("mha-bias-kv", lambda: Attention(add_bias_kv=True, add_zero_attn=True), (4, 8))
wrapped("sdpa", lambda: Sdpa(), (4, 6))
wrapped("sdpa-causal", lambda: Sdpa(is_causal=True), (4, 6))
wrapped("sdpa-scale", lambda: Sdpa(scale=0.7), (4, 6))
wrapped("sdpa-bool-mask", lambda: Sdpa(~CAUSAL), (4, 6))
wrapped("sdpa-bool-mask-broadcast", lambda: Sdpa((~CAUSAL)[None, None]), (4, 6))
wrapped("sdpa-float-mask", lambda: Sdpa(torch.randn(2, 4, 4, dtype=torch.float64)), (4, 6))
wrapped("sdpa-gqa", Gqa, (4, 6))
over_tokens("encoder-padding-mask", lambda: PaddedEncoder(False))
over_tokens("encoder-padding-mask-norm-first", lambda: PaddedEncoder(True))
wrapped("encoder-decoder", EncoderDecoder, (4, 8), (3, 8))
wrapped("transformer-decoder-layer", lambda: _Decoder(), (3, 8), (4, 8))
over_tokens("embedding", lambda: Embedding())
over_tokens("embedding-padding", lambda: Embedding(padding_idx=0))
over_tokens("embedding-max-norm", lambda: Embedding(max_norm=1.0))
over_tokens("embedding-scale-grad", lambda: Embedding(scale_grad_by_freq=True))
for mode in ("sum", "mean", "max"):
    over_tokens(f"embedding-bag-{mode}", lambda mode=mode: EmbeddingBag(mode))
wrapped("bilinear", Bilinear, (3,), (2,))
wrapped("cosine-similarity", lambda: Distance(nn.CosineSimilarity()), (3,))
wrapped("pairwise-distance", lambda: Distance(nn.PairwiseDistance()), (3,))
wrapped("pairwise-distance-1", lambda: Distance(nn.PairwiseDistance(p=1)), (3,))
add("max-unpool2d-channels", FAMILY, lambda rows: (Unpool(), (normal(rows, 1, 4, 4),)))


class _Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerDecoderLayer(8, 2, 12, batch_first=True, norm_first=True)

    def forward(self, x, memory):
        return self.layer(x, memory, tgt_is_causal=False).mean(1)
