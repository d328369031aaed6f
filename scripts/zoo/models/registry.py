"""The list of the zoo's models. Each entry builds a module and its inputs, the batch first in each input."""

from dataclasses import dataclass
from typing import Callable

import torch


@dataclass
class Entry:
    name: str
    family: str
    """Gives (module, inputs): a module with random weights and a tuple of tensors of `rows` rows each."""
    build: Callable
    rows: int = 5
    """False where rows depend on one another on purpose: then nothing may be cut along the batch."""
    independent: bool = True
    """False where only a fixed batch makes sense: a graph's nodes, say."""
    dynamic: bool = True
    """How to reduce what the module returns to one tensor; by default it is one."""
    pick: Callable | None = None


ENTRIES: dict[str, Entry] = {}


def add(name, family, build, **options):
    if name in ENTRIES:
        raise ValueError(f"two models are called {name}")
    ENTRIES[name] = Entry(name, family, build, **options)


def model(name, family, **options):
    """Decorates a function of the number of rows that gives (module, inputs)."""

    def register(build):
        add(name, family, build, **options)
        return build

    return register


class Picked(torch.nn.Module):
    """A module that returns one tensor of what another returns."""

    def __init__(self, body, pick):
        super().__init__()
        self.body = body
        self.pick = pick

    def forward(self, *inputs):
        return self.pick(self.body(*inputs))


def normal(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def tokens(below, *shape):
    return torch.randint(0, below, shape)
