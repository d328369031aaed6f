"""JAX's ways to compute JᵀJ v of a tanh MLP.

    oneShot       jvp, then vjp of its tangent, in one jitted function
    linearized    jax.linearize and jax.vjp kept; their application, jitted, is one product
"""

import jax
import jax.numpy as jnp

from peer import Lazy, read, serve


def make_experiment(request):
    jax.config.update("jax_enable_x64", True)
    case = request["case"]
    shapes = list(zip(case["widths"], case["widths"][1:]))
    x = jnp.asarray(read(request, "x").reshape(case["xShape"]))

    def split(flat):
        blocks, begin = [], 0
        for fan_in, fan_out in shapes:
            end = begin + fan_in * fan_out
            blocks.append((jnp.asarray(flat[begin:end].reshape(fan_out, fan_in)), jnp.asarray(flat[end : end + fan_out])))
            begin = end + fan_out
        return blocks

    params, v = split(read(request, "params")), split(read(request, "v"))

    def forward(params):
        y = x
        for layer, (weight, bias) in enumerate(params):
            y = y @ weight.T + bias
            if layer + 1 < len(params):
                y = jnp.tanh(y)
        return y

    def flatten(blocks):
        return jnp.concatenate([part.reshape(-1) for block in blocks for part in block])

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


if __name__ == "__main__":
    serve(make_experiment)
