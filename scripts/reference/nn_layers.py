"""Writes test/fixtures/nn-layers.json: layers of `nn` with buffers, without parameters of the usual kinds, and for sequences, as PyTorch
computes them in float64: state dicts, and the values of torch.func in the form of the zoo (scripts/zoo/export.py).

Run with PyTorch 2.13: python scripts/reference/nn_layers.py
"""

import json
import pathlib
import sys
import warnings

import torch
from torch import nn

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(SCRIPTS), str(SCRIPTS / "zoo")]

from export import array, encoded, values  # noqa: E402

PATH = SCRIPTS.parent / "test" / "fixtures" / "nn-layers.json"


class SelfAttention(nn.MultiheadAttention):
    """Of x with itself."""

    def __init__(self, *args, causal=False, **options):
        super().__init__(*args, **options, batch_first=True)
        self.causal = causal

    def forward(self, x):
        mask = torch.triu(torch.ones(x.shape[1], x.shape[1], dtype=torch.bool), 1) if self.causal else None
        return super().forward(x, x, x, attn_mask=mask, need_weights=False)[0]


class Positions(nn.Embedding):
    def forward(self, x):
        return x + self.weight[: x.shape[1]]


class Rotary(nn.Module):
    """As in transformers' Llama."""

    def __init__(self, width, base=10000):
        super().__init__()
        self.width, self.base = width, base

    def forward(self, x):
        frequencies = self.base ** (-torch.arange(0, self.width, 2, dtype=x.dtype) / self.width)
        angles = torch.outer(torch.arange(x.shape[-2], dtype=x.dtype), frequencies)
        angles = torch.cat([angles, angles], -1)
        half = self.width // 2
        return x * angles.cos() + torch.cat([-x[..., half:], x[..., :half]], -1) * angles.sin()


CASES = {
    # name: (layers of nn, modules, shape of a row)
    "batch-norm-1d": ([["linear", 3, 4], ["batchNorm1d", 4], ["tanh"], ["linear", 4, 2]],
                      lambda: [nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)], [3]),
    "batch-norm-1d-length": ([["conv1d", 2, 3, 2], ["batchNorm1d", 3, {"eps": 0.01}], ["flatten"], ["linear", 9, 2]],
                             lambda: [nn.Conv1d(2, 3, 2), nn.BatchNorm1d(3, eps=0.01), nn.Flatten(), nn.Linear(9, 2)], [2, 4]),
    "batch-norm-2d": ([["conv2d", 1, 3, 3], ["batchNorm2d", 3], ["relu"], ["batchNorm2d", 3, {"affine": False}], ["adaptiveAvgPool2d", 1], ["flatten"],
                       ["linear", 3, 2]],
                      lambda: [nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.BatchNorm2d(3, affine=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                               nn.Linear(3, 2)], [1, 5, 5]),
    "dropout": ([["linear", 3, 4], ["dropout", {"p": 0.3}], ["tanh"], ["dropout"], ["linear", 4, 2]],
                lambda: [nn.Linear(3, 4), nn.Dropout(0.3), nn.Tanh(), nn.Dropout(), nn.Linear(4, 2)], [3]),
    "instance-norm": ([["conv2d", 1, 3, 3], ["instanceNorm", 3, {"affine": True}], ["tanh"], ["instanceNorm", 3], ["flatten"], ["linear", 27, 2]],
                      lambda: [nn.Conv2d(1, 3, 3), nn.InstanceNorm2d(3, affine=True), nn.Tanh(), nn.InstanceNorm2d(3), nn.Flatten(), nn.Linear(27, 2)],
                      [1, 5, 5]),
    "prelu": ([["linear", 3, 4], ["prelu"], ["linear", 4, 4], ["prelu", {"parameters": 4, "init": 0.1}], ["linear", 4, 2]],
              lambda: [nn.Linear(3, 4), nn.PReLU(), nn.Linear(4, 4), nn.PReLU(4, init=0.1), nn.Linear(4, 2)], [3]),
    "mish-hardswish": ([["linear", 3, 4], ["mish"], ["linear", 4, 4], ["hardswish"], ["linear", 4, 2]],
                       lambda: [nn.Linear(3, 4), nn.Mish(), nn.Linear(4, 4), nn.Hardswish(), nn.Linear(4, 2)], [3]),
    "transposed": ([["convTranspose2d", 2, 4, 3, {"stride": 2, "padding": 1, "outputPadding": 1, "groups": 2}], ["tanh"],
                    ["convTranspose2d", 4, 1, [2, 1], {"bias": False}], ["adaptiveAvgPool2d", [2, 3]], ["flatten"]],
                   lambda: [nn.ConvTranspose2d(2, 4, 3, stride=2, padding=1, output_padding=1, groups=2), nn.Tanh(),
                            nn.ConvTranspose2d(4, 1, (2, 1), bias=False), nn.AdaptiveAvgPool2d((2, 3)), nn.Flatten()], [2, 3, 3]),
    "attention": ([["multiheadAttention", 4, 2], ["tanh"], ["multiheadAttention", 4, 4, {"bias": False, "causal": True}], ["linear", 4, 2]],
                  lambda: [SelfAttention(4, 2), nn.Tanh(), SelfAttention(4, 4, bias=False, causal=True), nn.Linear(4, 2)], [3, 4]),
    "positions": ([["positionalEmbedding", 6, 4], ["linear", 4, 4], ["rotaryEmbedding", 4], ["tanh"], ["rotaryEmbedding", 4, {"base": 100}],
                   ["linear", 4, 2]],
                  lambda: [Positions(6, 4), nn.Linear(4, 4), Rotary(4), nn.Tanh(), Rotary(4, 100), nn.Linear(4, 2)], [5, 4]),
}


def main():
    warnings.filterwarnings("ignore")
    cases = []
    for name, (layers, build, row) in CASES.items():
        torch.manual_seed(0)
        init = torch.cat([p.detach().flatten() for p in nn.Sequential(*build()).parameters()])
        torch.set_default_dtype(torch.float64)
        module = nn.Sequential(*build()).eval()
        with torch.no_grad():
            for p in module.parameters():
                p.add_(0.3 * torch.randn_like(p))
            for m in module.modules():
                if getattr(m, "running_var", None) is not None:
                    m.running_mean.uniform_(-0.5, 0.5)
                    m.running_var.uniform_(0.5, 1.5)
        data = (torch.randn(5, *row),)
        state = {key: array(value) for key, value in module.state_dict().items()}
        cases.append({"name": name, "layers": layers, "init": array(init), "state": state, **encoded(values(module, data, None), data)})
        torch.set_default_dtype(torch.float32)
    PATH.write_text(json.dumps(cases, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
