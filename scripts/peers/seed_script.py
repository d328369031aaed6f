"""PyTorch's own ways to compute J^T J v of a tanh MLP, as a peer of this package's benchmark.

    python seed_script.py             prints JSON: times, peak memory, first and last numbers of each way
    python seed_script.py --serve     answers requests, one JSON object a line, for an interleaved comparison

The ways:
    dense         the per-sample Jacobian by vmap(jacrev), then J^T J, then its product with v
    linearize     torch.func.linearize, and the vjp of the linear function it gives
    composition   torch.func.jvp, and its tangent through torch.func.vjp

Model, batch and vector are drawn in this order from one seed, as the package's `bench` does.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

import torch
from torch import nn
from torch.func import functional_call, jacrev, jvp, linearize, vjp, vmap


class Experiment:
    def __init__(self, args):
        dtype = getattr(torch, args.dtype)
        torch.manual_seed(args.seed)
        widths = [args.inputs] + [args.hidden] * args.layers + [args.outputs]
        modules = []
        for fan_in, fan_out in zip(widths, widths[1:]):
            modules += [nn.Linear(fan_in, fan_out, dtype=dtype), nn.Tanh()]
        self.model = nn.Sequential(*modules[:-1])
        self.x = torch.randn(args.batch, args.inputs, dtype=dtype)
        self.params = {name: p.detach() for name, p in self.model.named_parameters()}
        self.v = {name: torch.randn_like(p) for name, p in self.params.items()}

    def forward(self, params, x):
        return functional_call(self.model, params, (x,))

    def on_batch(self, params):
        return self.forward(params, self.x)

    def dense(self):
        per_sample = vmap(jacrev(self.forward), in_dims=(None, 0))(self.params, self.x)
        # Each block is [batch, outputs, *shape of the parameter].
        jacobian = torch.cat([block.flatten(2) for block in per_sample.values()], dim=2).flatten(0, 1)
        return (jacobian.T @ jacobian) @ flatten(self.v)

    def linearize(self):
        _, push = linearize(self.on_batch, self.params)
        _, pull = vjp(push, self.v)
        return flatten(pull(push(self.v))[0])

    def composition(self):
        _, tangent = jvp(self.on_batch, (self.params,), (self.v,))
        _, pull = vjp(self.on_batch, self.params)
        return flatten(pull(tangent)[0])


METHODS = ["dense", "linearize", "composition"]


def flatten(tree):
    return torch.cat([block.reshape(-1) for block in tree.values()])


def timed(run):
    start = time.perf_counter()
    result = run()
    return (time.perf_counter() - start) * 1e3, result


def peak_resident_bytes():
    """Linux keeps the peak of this program in VmHWM; getrusage would include the parent's before exec."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    raise RuntimeError("no VmHWM in /proc/self/status")


def memory_of_first_run(experiment, method):
    before = peak_resident_bytes()
    getattr(experiment, method)()
    return peak_resident_bytes() - before


def memory_in_fresh_process(method):
    """How much one product raises the peak resident memory of a process that did nothing else."""
    command = [sys.executable, __file__, *sys.argv[1:], "--memory-of", method]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def summary(experiment, method, repeat):
    run = getattr(experiment, method)
    result = run()
    samples = [timed(run)[0] for _ in range(repeat)]
    return {
        "minMs": min(samples),
        "medianMs": statistics.median(samples),
        "peakBytes": memory_in_fresh_process(method),
        "head": result[:3].tolist(),
        "tail": result[-3:].tolist(),
    }


def serve(experiment):
    """{"run": method, "times": n} gives {"ms": […]}; with "result": true the product as well."""
    for line in sys.stdin:
        request = json.loads(line)
        run = getattr(experiment, request["run"])
        runs = [timed(run) for _ in range(request["times"])]
        reply = {"ms": [ms for ms, _ in runs]}
        if request.get("result"):
            reply["result"] = runs[-1][1].tolist()
        print(json.dumps(reply), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in [("inputs", 4), ("hidden", 64), ("layers", 2), ("outputs", 1), ("batch", 4096), ("seed", 0)]:
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--serve", action="store_true", help="answer requests on standard input")
    parser.add_argument("--memory-of", choices=METHODS, help="run this way once and print the bytes it took")
    args = parser.parse_args()
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    experiment = Experiment(args)
    if args.memory_of:
        print(memory_of_first_run(experiment, args.memory_of))
    elif args.serve:
        print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads()}), flush=True)
        serve(experiment)
    else:
        ways = {method: summary(experiment, method, args.repeat) for method in METHODS}
        print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads(), **ways}, indent=2))


if __name__ == "__main__":
    main()
