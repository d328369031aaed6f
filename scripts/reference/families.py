"""Families of models that are made by a table or at random: each a file of torch.export and what torch.func computes for it in float64,
the values of scripts/zoo/export.py, in a folder of test/fixtures.
"""

import json
import pathlib
import sys
import warnings
import zipfile
import zlib

import torch

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(SCRIPTS), str(SCRIPTS / "zoo")]
from reference.models import shrink  # noqa: E402
from zoo import export  # noqa: E402

FIXTURES = SCRIPTS.parent / "test" / "fixtures"


def begin(folder):
    """An empty folder, and PyTorch in float64 on one thread."""
    warnings.filterwarnings("ignore")
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()


def independent(module, inputs, y):
    """Whether each row is what it is alone; what is no tensor is for all rows."""
    row = lambda i: [x[i : i + 1] if torch.is_tensor(x) else x for x in inputs]
    with torch.no_grad():
        alone = torch.cat([module(*row(i)) for i in range(len(y))])
    return alone.shape == y.shape and export.relative(alone, y) < export.AGREE


def write(folder, name, module, example, inputs, shapes, oracle=None, given=None, notes=None, strict=False, method=zipfile.ZIP_STORED, decomposed=False):
    """Exports `module` from an example with dynamic `shapes`, and writes what `oracle` (or it) computes for the inputs; those are `given` to
    the file as other tensors where it takes complex numbers. A `decomposed` graph is one of core operators."""
    torch.manual_seed(zlib.crc32(name.encode()))
    path = folder / f"{name}.pt2"
    oracle = module if oracle is None else oracle
    program = torch.export.export(module.eval(), example, dynamic_shapes=shapes, strict=strict)
    torch.export.save(program.run_decompositions({}) if decomposed else program, path)
    try:
        arrays = export.values(oracle, inputs, None)
    except Exception:
        path.unlink()
        raise
    shrink(path, method)
    record = {
        "name": name,
        "dynamic": True,
        "exportedRows": len(inputs[0]),
        "rows": len(inputs[0]),
        "independent": independent(oracle, inputs, arrays["y"]),
        **({} if notes is None else {"notes": notes}),
        **export.encoded(arrays, inputs if given is None else given),
    }
    (folder / f"{name}.json").write_text(json.dumps(record, separators=(",", ":")) + "\n")
