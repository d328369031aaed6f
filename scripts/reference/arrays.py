"""Writes test/fixtures/arrays.json: .npy files by NumPy and safetensors files by Hugging Face's library, with what is in
them. Needs NumPy and safetensors; run from the root of the repository."""

import base64
import io
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save

VALUES = {
    "f8": [1.5, -2e300, 5e-324, float("inf")],
    "f4": [1.5, -0.0, 1e-45, 3e38],
    "f2": [1.5, -2, 6e-8, 65504],
    "i8": [2**62, -3, 0, 7],
    "u4": [2**32 - 1, 0, 1, 2],
    "i4": [-(2**31), 2**31 - 1, 0, 1],
    "u2": [65535, 0, 1, 2],
    "i2": [-32768, 32767, 0, 1],
    "u1": [255, 0, 1, 2],
    "i1": [-128, 127, 0, 1],
    "b1": [1, 0, 0, 1],
}


def encoded(data):
    return base64.b64encode(data).decode()


def npy(array, version=None):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version)
    plain = np.ascontiguousarray(array).reshape(-1).astype(array.dtype.newbyteorder("="))
    return {
        "dtype": array.dtype.str,
        "shape": list(array.shape),
        "values": [repr(value) for value in plain.tolist()],
        "file": encoded(file.getvalue()),
    }


def arrays():
    for kind, values in VALUES.items():
        for order in "<>":
            yield npy(np.array(values).astype(order + kind).reshape(2, 2))
        yield npy(np.asfortranarray(np.array(values).astype(kind).reshape(1, 2, 2)))
    for shape in [(), (0,), (3, 0, 2), (24,), (2, 3, 4), (1,) * 30]:
        size = int(np.prod(shape))
        for kind in ["f8", "f4", "i4", "i8"]:
            yield npy(np.arange(size).astype(kind).reshape(shape))
    yield npy(np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)))
    for version in [(2, 0), (3, 0)]:
        yield npy(np.arange(3.0), version)


TENSORS = {
    "0.weight": np.arange(6, dtype="f4").reshape(2, 3) / 7,
    "0.bias": np.array([0.1, -1e300], dtype="f8"),
    "steps": np.array(12, dtype="i8"),
    "classes": np.array([[1], [-2]], dtype="i4"),
    "none": np.zeros((0, 4), dtype="f4"),
    "\u00fc \"quoted\"": np.ones(1, dtype="f8"),
}


def stored(tensors, metadata):
    return {
        "metadata": metadata,
        "tensors": {
            name: {"dtype": array.dtype.str, "shape": list(array.shape), "values": [repr(v) for v in array.reshape(-1).tolist()]}
            for name, array in tensors.items()
        },
        "file": encoded(save(tensors, metadata)),
    }


fixture = {"npy": list(arrays()), "safetensors": [stored(TENSORS, None), stored(TENSORS, {"by": "a test"}), stored({}, None)]}
Path("test/fixtures/arrays.json").write_text(json.dumps(fixture, indent=1, ensure_ascii=False) + "\n")
