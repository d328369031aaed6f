"""Writes test/fixtures/solvers.json: iterates of SciPy's cg, minres, lsmr and lsqr, and NumPy's eigenvalues, for matrices
given by formulas that test/solvers/scipy.test.ts repeats. Needs NumPy and SciPy; run from the root of the repository."""

import json
from pathlib import Path

import numpy as np
from scipy.sparse.linalg import cg, lsmr, lsqr, minres

N = 24
I, J = np.indices((N, N)).astype(float)


def diagonal(of):
    return np.diag(np.array([of(i) for i in range(N)], float))


MATRICES = {
    "decay": diagonal(lambda i: 10 ** (-7 * i / (N - 1))),
    "laplacian": 2 * np.eye(N) - np.eye(N, k=1) - np.eye(N, k=-1),
    "hilbert": 1 / (I + J + 1),
    "lehmer": (np.minimum(I, J) + 1) / (np.maximum(I, J) + 1),
    "toeplitz": 1 / (1 + np.abs(I - J)),
    "repeated": diagonal(lambda i: 1 + i // 4),
    "identity": np.eye(N),
    "zero": np.zeros((N, N)),
    "two values": diagonal(lambda i: 10 if i < 3 else 1),
    "rank two": np.outer(np.arange(N) + 1, np.arange(N) + 1) / N + np.outer((-1.0) ** np.arange(N), (-1.0) ** np.arange(N)),
    "indefinite": diagonal(lambda i: (-1) ** i * (1 + i)) + 1 / (1 + np.abs(I - J)),
    "pairs": np.kron(np.eye(N // 2), np.array([[0.0, 1.0], [1.0, 0.0]])),
    "saddle": np.where(np.abs(I - J) == N // 2, 1.0, 0.0) + diagonal(lambda i: (i + 1) / N if i < N // 2 else 0),
}
DEFINITE = ["decay", "laplacian", "lehmer", "toeplitz", "repeated", "two values"]
REGULAR = [*DEFINITE, "indefinite", "saddle"]
STEPS = [1, 2, 3, 4, 5, 8, 12]
B = np.cos(np.arange(N))


def extended(a, steps):
    """The iterates of conjugate gradients in extended precision."""
    a, r = a.astype(np.longdouble), B.astype(np.longdouble)
    x, p, rr = np.zeros_like(r), r, r @ r
    for _ in range(steps):
        q = (a * p).sum(1)
        x, r = x + rr / (p @ q) * p, r - rr / (p @ q) * q
        p, rr = r + p * ((r @ r) / rr), r @ r
        yield x


def run(solver, a):
    xs = []
    solver(a, B, rtol=1e-13, maxiter=max(STEPS), callback=lambda x: xs.append(x.copy()))
    return xs


def iterates(solver, a):
    """The iterate after each number of steps, as long as it is more than rounding: the method is not finished, and float64
    and extended precision have not parted."""
    xs = run(solver, a)
    certain = len(xs)
    if np.linalg.eigvalsh(a)[0] > 0:  # minres shares the Krylov space and its rounding
        parted = (np.linalg.norm(x - y) > 1e-12 * np.linalg.norm(y) for x, y in zip(run(cg, a), extended(a, len(xs))))
        certain = next((k for k, has in enumerate(parted) if has), len(xs))
    return {k: xs[k - 1].tolist() for k in STEPS if k <= certain and np.linalg.norm(B - a @ xs[k - 1]) > 1e-9}


PRECONDITIONERS = {
    "none": np.eye(N),
    "diagonal": diagonal(lambda i: 1 + i / 7),
    "dense": np.eye(N) + 1 / (1 + np.abs(I - J)) ** 2,
}


def block_iterates(a, m, k=3):
    """What block conjugate gradients reach: of all x in the block Krylov space of MA on MB the one nearest the solution
    in A's norm, by a basis of that space; and SciPy's solution of each right-hand side by itself."""
    b = np.cos(np.arange(N * k) ** 2).reshape(k, N).T
    space, directions = np.empty((N, 0)), m @ b
    steps = {}
    for step in range(1, 6):
        for _ in range(2):  # twice is enough
            directions = directions - space @ (space.T @ directions)
            directions = np.linalg.qr(directions)[0]
        space = np.hstack([space, directions])
        steps[step] = (space @ np.linalg.solve(space.T @ a @ space, space.T @ b)).T.tolist()
        directions = m @ (a @ directions)
    alone = [cg(a, each, M=m, rtol=1e-13)[0].tolist() for each in b.T]
    return {"k": k, "steps": steps, "x": alone}


def rectangle(rows, columns):
    i, j = np.indices((rows, columns)).astype(float)
    return np.where(i == j, 1 + i / 5, 0) + 1 / (1 + np.abs(i - 2 * j)) + np.sin(i + j) / 9


def least_squares(solver, limit):
    """SciPy's lsmr or lsqr after some numbers of steps, and where it ends by itself: `limit` is what it calls the most."""
    for rows, columns in [(30, 18), (18, 30), (24, 24)]:
        a, b = rectangle(rows, columns), np.cos(np.arange(rows))
        for damp in [0, 0.3]:
            for x0 in [None, np.sin(np.arange(columns))]:
                steps = {}
                for k in [1, 2, 3, 5, 8]:
                    steps[k] = solver(a, b, damp=damp, atol=0, btol=0, conlim=0, x0=x0, **{limit: k})[0].tolist()
                found = solver(a, b, damp=damp, x0=x0)
                x, istop, itn = found[:3]
                norm, condition = found[5:7]
                yield {
                    "rows": rows, "columns": columns, "damp": damp, "x0": None if x0 is None else x0.tolist(),
                    "steps": steps, "x": x.tolist(), "istop": istop, "iterations": itn,
                    "normA": norm, "conditionA": condition,
                }


spectra = {name: np.linalg.eigvalsh(a) for name, a in MATRICES.items()}
record = {
    "n": N,
    "cg": {name: iterates(cg, MATRICES[name]) for name in DEFINITE},
    "minres": {name: iterates(minres, MATRICES[name]) for name in REGULAR},
    "blockCg": {
        name: {by: block_iterates(MATRICES[name], m) for by, m in PRECONDITIONERS.items()}
        for name in ["laplacian", "lehmer", "toeplitz"]
    },
    "lsmr": list(least_squares(lsmr, "maxiter")),
    "lsqr": list(least_squares(lsqr, "iter_lim")),
    "logdet": {name: float(np.linalg.slogdet(MATRICES[name])[1]) for name in DEFINITE},
    "eigenvalues": {name: values.tolist() for name, values in spectra.items()},
}
path = Path("test/fixtures/solvers.json")
path.write_text(json.dumps(record, separators=(",", ":")) + "\n")
print(path, path.stat().st_size, {name: list(x) for name, x in (record["cg"] | record["minres"]).items()})
