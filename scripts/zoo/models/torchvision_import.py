"""torchvision, also where its binary was built for another PyTorch than the one installed.

Its operators (nms, roi_align, …) are then missing, and its Python stops at describing the first of them. The models need none: the
operators' schemas alone let the rest load.
"""

import sys

import torch


def _import():
    try:
        import torchvision
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision
    return torchvision


torchvision = _import()
