"""Layers of torch-geometric: on dense batches of small graphs, and on one graph whose nodes are the rows."""

import torch
import torch_geometric.nn as G
from torch import nn

from .registry import add, normal

FAMILY = "torch-geometric"
EDGES = torch.tensor([[0, 1, 1, 2, 3, 4, 4, 0], [1, 0, 2, 1, 4, 3, 0, 4]])


class Dense(nn.Module):
    """A layer over [rows, nodes, features] with an adjacency matrix for each row."""

    def __init__(self, layer, width=4):
        super().__init__()
        self.layer = layer
        self.head = nn.Linear(width, 2)

    def forward(self, x, adjacency):
        return self.head(torch.tanh(self.layer(x, adjacency)).sum(1))


class Nodes(nn.Module):
    """A layer on one graph: its nodes are the rows, which depend on one another."""

    def __init__(self, layer, width=4, weighted=False):
        super().__init__()
        self.layer = layer
        self.head = nn.Linear(width, 2)
        self.register_buffer("edges", EDGES)
        self.register_buffer("weight", torch.rand(EDGES.shape[1]) if weighted else None)

    def forward(self, x):
        h = self.layer(x, self.edges) if self.weight is None else self.layer(x, self.edges, self.weight)
        return self.head(torch.tanh(h))


def dense(name, make, width=4):
    def build(rows):
        adjacency = (torch.rand(rows, 4, 4) > 0.4).double()
        adjacency = ((adjacency + adjacency.transpose(1, 2)) > 0).double()
        return Dense(make(), width), (normal(rows, 4, 3), adjacency)

    add(f"pyg-{name}", FAMILY, build)


def nodes(name, make, width=4, **options):
    add(f"pyg-{name}", FAMILY, lambda rows: (Nodes(make(), width, **options), (normal(rows, 3),)), independent=False, dynamic=False)


dense("dense-gcn", lambda: G.DenseGCNConv(3, 4))
dense("dense-sage", lambda: G.DenseSAGEConv(3, 4))
dense("dense-gin", lambda: G.DenseGINConv(nn.Linear(3, 4)))
dense("dense-graph", lambda: G.DenseGraphConv(3, 4))
dense("dense-gat", lambda: G.DenseGATConv(3, 4, heads=2), 8)

nodes("gcn", lambda: G.GCNConv(3, 4))
nodes("gcn-weighted", lambda: G.GCNConv(3, 4), weighted=True)
nodes("sage", lambda: G.SAGEConv(3, 4))
nodes("sage-max", lambda: G.SAGEConv(3, 4, aggr="max"))
nodes("gat", lambda: G.GATConv(3, 2, heads=2))
nodes("gatv2", lambda: G.GATv2Conv(3, 4))
nodes("gin", lambda: G.GINConv(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4))))
nodes("graph-conv", lambda: G.GraphConv(3, 4))
nodes("cheb", lambda: G.ChebConv(3, 4, 2))
nodes("tag", lambda: G.TAGConv(3, 4, 2))
nodes("arma", lambda: G.ARMAConv(3, 4))
nodes("transformer", lambda: G.TransformerConv(3, 4))
nodes("edge-conv", lambda: G.EdgeConv(nn.Linear(6, 4)))
nodes("leconv", lambda: G.LEConv(3, 4))
nodes("resgated", lambda: G.ResGatedGraphConv(3, 4))
nodes("appnp", lambda: G.APPNP(2, 0.1), 3)
nodes("gated-graph", lambda: G.GatedGraphConv(4, 2))
