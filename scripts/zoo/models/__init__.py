"""The models of the zoo, by family. A family whose package is not installed is left out and named."""

import importlib

from .registry import ENTRIES

FAMILIES = ["own", "layers", "vision", "language", "graphs"]


def load():
    """All entries by name, and why the families that are missing are."""
    missing = {}
    for family in FAMILIES:
        try:
            importlib.import_module(f".{family}", __package__)
        except ImportError as error:
            missing[family] = str(error)
    return ENTRIES, missing
