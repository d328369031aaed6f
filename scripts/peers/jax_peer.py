"""JAX's ways to compute JᵀJ v.

    oneShot       jvp, then vjp of its tangent, in one jitted function
    linearized    jax.linearize and jax.vjp kept; their application, jitted, is one product
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from jax_models import MODELS
from peer import Lazy, kind_of_inputs, read, serve


def mlp_tensors(widths):
    for layer, (fan_in, fan_out) in enumerate(zip(widths, widths[1:])):
        yield {"name": f"{layer}.weight", "shape": [fan_out, fan_in]}
        yield {"name": f"{layer}.bias", "shape": [fan_out]}


def mlp(p, x):
    layers = len(p) // 2
    for layer in range(layers):
        x = x @ p[f"{layer}.weight"].T + p[f"{layer}.bias"]
        if layer + 1 < layers:
            x = jnp.tanh(x)
    return x


def make_experiment(request):
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_default_matmul_precision", "highest")  # on GPUs, too: float32 is not TF32
    case = request["case"]

    def numbers(name, kind=request["dtype"]):
        return np.frombuffer(read(request, name), dtype=kind)

    x = jnp.asarray(numbers("x", kind_of_inputs(request)).reshape(case["xShape"]))
    tensors = case.get("tensors") or list(mlp_tensors(case["widths"]))

    def split(flat):
        blocks, begin = {}, 0
        for tensor in tensors:
            end = begin + math.prod(tensor["shape"])
            blocks[tensor["name"]] = jnp.asarray(flat[begin:end].reshape(tensor["shape"]))
            begin = end
        return blocks

    params, v = split(numbers("params")), split(numbers("v"))

    def forward(params):
        return MODELS[case["file"]](params, x) if "file" in case else mlp(params, x)

    def flatten(blocks):
        return jnp.concatenate([blocks[tensor["name"]].reshape(-1) for tensor in tensors])

    @jax.jit
    def product(params, v):
        _, tangent = jax.jvp(forward, (params,), (v,))
        _, pull = jax.vjp(forward, params)
        return flatten(pull(tangent)[0])

    # What linearize and vjp return can be passed to a jitted function: their residuals are arguments, not constants.
    linearize = jax.jit(lambda params: (jax.linearize(forward, params)[1], jax.vjp(forward, params)[1]))
    kept = Lazy(lambda: jax.block_until_ready(linearize(params)))

    @jax.jit
    def apply(push, pull, v):
        return flatten(pull(push(v))[0])

    ways = {
        "oneShot": lambda: product(params, v).block_until_ready(),
        "linearized": lambda: apply(*kept(), v).block_until_ready(),
    }
    return ways, {"JAX": jax.__version__}


def to_bytes(result):
    return np.asarray(result).astype("float64").tobytes()


if __name__ == "__main__":
    serve(make_experiment, to_bytes)
