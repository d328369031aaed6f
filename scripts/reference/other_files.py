"""Writes test/fixtures/other-files: what people call a model file and is none, and exports in half precision with the values of
torch.func for the same model in float64.

Run with PyTorch 2.13: python scripts/reference/other_files.py
"""

import json
import pathlib
import sys
import warnings

import torch
from torch import nn

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(SCRIPTS), str(SCRIPTS / "zoo")]

from export import encoded, values  # noqa: E402
from reference.models import shrink  # noqa: E402

FOLDER = SCRIPTS.parent / "test" / "fixtures" / "other-files"


class Upcast(nn.Module):
    """A norm in float32 inside of a model in half precision, as of language models; a buffer in half precision."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.norm = nn.Parameter(torch.ones(4))
        self.last = nn.Linear(4, 2)
        self.register_buffer("shift", torch.linspace(-1, 1, 4))

    def forward(self, x):
        h = self.first(x) + self.shift
        wide = h.float()
        h = self.norm * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)).to(h.dtype)
        return self.last(torch.tanh(h))


class Doubled(Upcast):
    """The same without conversions."""

    def forward(self, x):
        h = self.first(x) + self.shift
        return self.last(torch.tanh(self.norm * (h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-6))))


def main():
    warnings.filterwarnings("ignore")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    torch.save(module.state_dict(), FOLDER / "state-dict.pt")
    torch.save({"epoch": 3, "model": module.state_dict()}, FOLDER / "checkpoint.pt")
    torch.save(module, FOLDER / "module.pt")
    torch.save(module.state_dict(), FOLDER / "old-state-dict.pt", _use_new_zipfile_serialization=False)
    batch = torch.export.Dim("batch", min=1, max=4096)
    for name, dtype in {"float16": torch.float16, "bfloat16": torch.bfloat16}.items():
        module = Upcast().to(dtype).eval()
        path = FOLDER / f"{name}.pt2"
        torch.export.save(torch.export.export(module, (torch.randn(3, 3, dtype=dtype),), dynamic_shapes=({0: batch},)), path)
        shrink(path)
        torch.set_default_dtype(torch.float64)
        exact = Doubled().double().eval()
        exact.load_state_dict({key: value.double() for key, value in module.state_dict().items()})
        data = (torch.randn(5, 3),)
        expected = {"load": {"dtype": "float64"}, "rows": 5, "independent": True, **encoded(values(exact, data, None), data)}
        (FOLDER / f"{name}.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")
        torch.set_default_dtype(torch.float32)


if __name__ == "__main__":
    main()
