"""The layers of `nn` as PyTorch modules, from the same lists that the tests give to `Model.sequential`."""

from torch import nn


class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


class Axis(nn.Module):
    """Squeeze and unsqueeze, which PyTorch has only as functions."""

    def __init__(self, function, dim):
        super().__init__()
        self.function, self.dim = function, dim

    def forward(self, x):
        return getattr(x, self.function)(self.dim)


def _pair(value):
    return tuple(value) if isinstance(value, list) else value


def build(entry, dtype):
    """A module for `[name, …arguments]`; a trailing object holds options."""
    name, *args = entry
    options = args.pop() if args and isinstance(args[-1], dict) else {}
    args = [_pair(arg) for arg in args]
    options = {key: _pair(value) for key, value in options.items()}
    if name == "linear":
        return nn.Linear(*args, **options, dtype=dtype)
    if name in ("conv1d", "conv2d"):
        module = {"conv1d": nn.Conv1d, "conv2d": nn.Conv2d}[name]
        return module(*args, **options, dtype=dtype)
    if name == "layerNorm":
        affine = options.pop("elementwiseAffine", True)
        return nn.LayerNorm(*args, **options, elementwise_affine=affine, dtype=dtype)
    if name == "groupNorm":
        return nn.GroupNorm(*args, **options, dtype=dtype)
    if name == "embedding":
        padding = options.pop("paddingIdx", None)
        return nn.Embedding(*args, padding_idx=padding, dtype=dtype)
    if name in ("maxPool2d", "avgPool2d"):
        module = {"maxPool2d": nn.MaxPool2d, "avgPool2d": nn.AvgPool2d}[name]
        renamed = {"ceilMode": "ceil_mode", "countIncludePad": "count_include_pad"}
        return module(*args, **{renamed.get(key, key): value for key, value in options.items()})
    if name == "flatten":
        return nn.Flatten(*args)
    if name in ("squeeze", "unsqueeze"):
        return Axis(name, *args)
    if name == "softmax":
        return nn.Softmax(*args)
    if name == "logSoftmax":
        return nn.LogSoftmax(*args)
    if name == "residual":
        return Residual(*[build(layer, dtype) for layer in args[0]])
    activations = {
        "tanh": nn.Tanh,
        "relu": nn.ReLU,
        "gelu": nn.GELU,
        "silu": nn.SiLU,
        "sigmoid": nn.Sigmoid,
        "softplus": nn.Softplus,
        "elu": nn.ELU,
        "leakyRelu": nn.LeakyReLU,
    }
    renamed = {"negativeSlope": "negative_slope"}
    return activations[name](**{renamed.get(key, key): value for key, value in options.items()})


def sequential(layers, dtype):
    return nn.Sequential(*[build(layer, dtype) for layer in layers])
