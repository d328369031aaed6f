"""Writes test/fixtures/export: the files that the Python blocks of scripts/docs/export.md write, and expected.json, what PyTorch
computes with them: for each .pt2, outputs of a fixed input.

    python scripts/reference/export.py [FOLDER]     with PyTorch 2.13 and safetensors
"""

import json
import os
import pathlib
import re
import sys
import warnings

import torch
from models import shrink

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "scripts" / "docs" / "export.md"


def main():
    warnings.filterwarnings("ignore")
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "test" / "fixtures" / "export").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    exec(compile("\n".join(blocks), str(PAGE.name), "exec"), {"__name__": "page"})
    expected = {path.name: evaluated(path) for path in sorted(folder.glob("*.pt2"))}
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    for path in folder.glob("*.pt2"):
        shrink(path)


def evaluated(path):
    program = torch.export.load(path)
    (x, *numbers), _ = program.example_inputs
    x = torch.linspace(-1, 1, x.numel()).reshape(x.shape).to(x.dtype)
    y = program.module()(x, *numbers)
    y = torch.view_as_real(y) if y.is_complex() else y
    array = lambda value: {"shape": list(value.shape), "data": value.flatten().tolist()}
    return {"x": array(x), "y": array(y), **({"numbers": numbers} if numbers else {})}


main()
