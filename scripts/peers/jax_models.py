"""The models of exported.py as functions of JAX: `MODELS[name](p, x)`, where p holds the tensors by PyTorch's names."""

import jax
import jax.numpy as jnp

from exported import Gpt, Transformer, WideTransformer


def cnn(p, x):
    for layer, stride in ((0, 1), (2, 2), (4, 2)):
        dimensions = ("NCHW", "OIHW", "NCHW")
        x = jax.lax.conv_general_dilated(x, p[f"{layer}.weight"], (stride, stride), ((1, 1), (1, 1)), dimension_numbers=dimensions)
        x = jax.nn.relu(x + p[f"{layer}.bias"][:, None, None])
    x = jax.nn.relu(linear(p, "7", x.reshape(x.shape[0], -1)))
    return linear(p, "9", x)


def transformer(p, x, heads):
    x = linear(p, "embed", x)
    for index in range(blocks_of(p)):
        x = block(p, f"blocks.{index}", x, heads, causal=False)
    return linear(p, "head", x.mean(axis=1))


def gpt(p, x):
    x = p["tokens.weight"][x] + p["places.weight"]
    for index in range(blocks_of(p)):
        x = block(p, f"blocks.{index}", x, Gpt.heads, causal=True)
    return norm(p, "norm", x) @ p["head.weight"].T


def block(p, name, x, heads, causal):
    rows, length, width = x.shape
    qkv = linear(p, f"{name}.qkv", norm(p, f"{name}.norm1", x)).reshape(rows, length, 3, heads, width // heads)
    q, k, v = jnp.unstack(qkv.transpose(2, 0, 3, 1, 4))
    scores = (q @ k.swapaxes(-1, -2)) / (width // heads) ** 0.5
    if causal:
        scores = jnp.where(jnp.tri(length, dtype=bool), scores, -jnp.inf)
    mixed = (jax.nn.softmax(scores, axis=-1) @ v).swapaxes(1, 2).reshape(rows, length, width)
    x = x + linear(p, f"{name}.out", mixed)
    hidden = jax.nn.gelu(linear(p, f"{name}.up", norm(p, f"{name}.norm2", x)), approximate=False)
    return x + linear(p, f"{name}.down", hidden)


def linear(p, name, x):
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def norm(p, name, x):
    centered = x - x.mean(axis=-1, keepdims=True)
    deviation = jnp.sqrt((centered**2).mean(axis=-1, keepdims=True) + 1e-5)
    return centered / deviation * p[f"{name}.weight"] + p[f"{name}.bias"]


def blocks_of(p):
    return len({name.split(".")[1] for name in p if name.startswith("blocks.")})


MODELS = {
    "cnn": cnn,
    "transformer": lambda p, x: transformer(p, x, Transformer.heads),
    "wide-transformer": lambda p, x: transformer(p, x, WideTransformer.heads),
    "gpt": gpt,
}
