"""Fits the table: the sum of a line's rows shall point where the teacher's vector of the line does.

    fit.py tokenizer.json TEXT LINES TOKENS.npy OUT.npy    LINES and TOKENS.npy are of teacher.py
"""

import argparse
import pathlib
import sys

import numpy as np
from scipy import sparse
from tokenizers import Tokenizer

LIMIT = 254  # tokens of a line that the teacher has seen
SPECIAL = 2  # the first rows, [PAD] and [UNK], stay zero


def bags(tokenizer, texts, rows):
    """Gives how often each line has each token, as a sparse matrix."""
    t = Tokenizer.from_file(tokenizer)
    t.no_padding()
    t.no_truncation()
    ids, ends = [], [0]
    for begin in range(0, len(texts), 10000):
        for e in t.encode_batch(texts[begin:begin + 10000], add_special_tokens=False):
            ids.append(np.array([i for i in e.ids[:LIMIT] if i >= SPECIAL], np.int32))
            ends.append(ends[-1] + len(ids[-1]))
    ids = np.concatenate(ids)
    m = sparse.csr_matrix((np.ones(len(ids), np.float32), ids, ends), shape=(len(texts), rows))
    m.sum_duplicates()
    return m


def unit(x):
    return x / (np.linalg.norm(x, axis=1, keepdims=True) + 1e-9)


def start(tokens, axes, count, a):
    """Gives the teacher's vector of each token alone, the less the more frequent it is (Arora et al., 2017)."""
    share = (count + 1) / (count.sum() + len(count))
    rows = unit(tokens - tokens[SPECIAL:].mean(0)) @ axes * (a / (a + share))[:, None]
    rows[:SPECIAL] = 0
    return rows.astype(np.float32)


def step(table, bag, target):
    """Gives the loss of a batch, 1 - cosine, and its gradient."""
    total = bag @ table
    length = np.linalg.norm(total, axis=1, keepdims=True) + 1e-12
    e = total / length
    cosine = (e * target).sum(1, keepdims=True)
    return 1 - cosine.mean(), bag.T @ ((cosine * e - target) / length / len(target))


def adam(table, bag, target, o):
    random = np.random.default_rng(0)
    held = min(2048, len(target) // 10)
    n = len(target) - held
    steps = max(1, int(o.epochs * n / o.batch))
    first, second = np.zeros_like(table), np.zeros_like(table)
    order, at = random.permutation(n), 0
    for k in range(steps):
        if at + o.batch > n:
            order, at = random.permutation(n), 0
        batch = order[at:at + o.batch]
        at += o.batch
        loss, gradient = step(table, bag[batch], target[batch])
        first += 0.1 * (gradient - first)
        second += 0.01 * (gradient * gradient - second)
        rate = o.rate * min(1, (k + 1) / 50) * max(0.02, 1 - k / steps)
        table -= rate * (first / (1 - 0.9 ** (k + 1))) / (np.sqrt(second / (1 - 0.99 ** (k + 1))) + 1e-8)
        if k % 50 == 0 or k == steps - 1:
            print(f"{k + 1} of {steps}: {loss:.4f}, of lines not seen {step(table, bag[n:], target[n:])[0]:.4f}", file=sys.stderr)
    table[:SPECIAL] = 0
    return table


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("tokenizer", "text", "lines", "tokens", "out"):
        p.add_argument(name)
    p.add_argument("--dims", type=int, default=256)
    p.add_argument("--epochs", type=float, default=2.5)
    p.add_argument("--rate", type=float, default=4e-3)
    p.add_argument("--batch", type=int, default=2048)
    p.add_argument("--a", type=float, default=1e-3, help="of a/(a+share), by which a token counts at the start")
    o = p.parse_args()

    tokens = np.load(o.tokens)
    vectors = np.concatenate([np.load(f).astype(np.float32) for f in sorted(pathlib.Path(o.lines).glob("*.npy"))])
    texts = pathlib.Path(o.text).read_text(encoding="utf-8").split("\n")[:len(vectors)]
    bag = bags(o.tokenizer, texts, len(tokens))
    count = np.asarray(bag.sum(0)).ravel()
    some = np.flatnonzero(np.diff(bag.indptr))
    bag, vectors = bag[some], vectors[some]

    # Principal axes without centring, which keeps cosines.
    values, axes = np.linalg.eigh(vectors[::5].T @ vectors[::5])
    axes = axes[:, ::-1][:, :o.dims]
    print(f"{len(vectors)} lines, {values[::-1][:o.dims].sum() / values.sum():.1%} of the energy kept", file=sys.stderr)
    np.save(o.out, adam(start(tokens, axes, count, o.a), bag, unit(vectors @ axes), o))


if __name__ == "__main__":
    main()
