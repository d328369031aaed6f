"""PyTorch's own ways to compute JᵀJ v.

    dense         the per-sample Jacobian by vmap(jacrev), then JᵀJ, then its product with v: the seed thread's script
    seed          torch.func.linearize and the vjp of what it gives, anew for each product: the thread's on-the-fly way
    composition   torch.func.jvp, and its tangent through torch.func.vjp
    gradient      of the mean of the squared outputs, by autograd: what the cost of a product is compared with
    linearized    torch.func.linearize and torch.func.vjp kept; a product applies both
"""

import ctypes

import torch
from torch import nn
from torch.func import functional_call, jacrev, jvp, linearize, vjp, vmap

from exported import MODELS
from peer import Lazy, kind_of_inputs, read, serve


def make_model(case, dtype):
    if "file" in case:
        return MODELS[case["file"]]().to(dtype)
    modules = []
    for fan_in, fan_out in zip(case["widths"], case["widths"][1:]):
        modules += [nn.Linear(fan_in, fan_out, dtype=dtype), nn.Tanh()]
    return nn.Sequential(*modules[:-1])


def flatten(tree):
    return torch.cat([block.reshape(-1) for block in tree.values()])


def make_experiment(request):
    torch.set_num_threads(request["threads"])
    # Float32 is float32, as for the others.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cuda.enable_flash_sdp(False)  # on the CPU, too; it has no forward mode
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()  # what earlier cases had is the others', too
    case, dtype = request["case"], getattr(torch, request["dtype"])
    device = torch.device(request["device"])
    model = make_model(case, dtype).eval().to(device)

    def numbers(name, kind=dtype):
        # Without NumPy, which PyTorch can be installed without.
        return torch.frombuffer(read(request, name), dtype=kind).to(device)

    x = numbers("x", getattr(torch, kind_of_inputs(request))).reshape(case["xShape"])

    def split(flat):
        blocks, begin = {}, 0
        for name, parameter in model.named_parameters():
            blocks[name] = flat[begin : begin + parameter.numel()].reshape(parameter.shape).clone()
            begin += parameter.numel()
        return blocks

    params = split(numbers("params"))
    v = split(numbers("v"))

    def forward(params, x):
        return functional_call(model, params, (x,))

    def on_batch(params):
        return forward(params, x)

    def dense():
        per_sample = vmap(jacrev(forward), in_dims=(None, 0))(params, x)
        # Each block is [batch, outputs, *shape of the parameter].
        jacobian = torch.cat([block.flatten(2) for block in per_sample.values()], dim=2).flatten(0, 1)
        return (jacobian.T @ jacobian) @ flatten(v)

    def seed():
        _, push = linearize(on_batch, params)
        _, pull = vjp(push, v)
        return flatten(pull(push(v))[0])

    def composition():
        _, tangent = jvp(on_batch, (params,), (v,))
        _, pull = vjp(on_batch, params)
        return flatten(pull(tangent)[0])

    leaves = {name: p.clone().requires_grad_() for name, p in params.items()}

    def gradient():
        loss = forward(leaves, x).square().mean()
        return flatten(dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())))))

    kept = Lazy(lambda: (linearize(on_batch, params)[1], vjp(on_batch, params)[1]))

    def linearized():
        push, pull = kept()
        return flatten(pull(push(v))[0])

    def finished(way):
        def run():
            result = way()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            return result

        return run

    ways = {"dense": dense, "gradient": gradient, "seed": seed, "composition": composition, "linearized": linearized}
    return {name: finished(way) for name, way in ways.items()}, {"PyTorch": torch.__version__}


def to_bytes(result):
    flat = result.double().cpu().contiguous()
    return ctypes.string_at(flat.data_ptr(), flat.nbytes)


if __name__ == "__main__":
    serve(make_experiment, to_bytes)
