"""Computes the teacher's vectors: all-MiniLM-L6-v2 in NumPy.

    teacher.py lines TEACHER TEXT OUT [MOST]      of each line of a text (the first MOST), in files of 10,000; goes on where it was
    teacher.py tokens TEACHER pieces.json OUT.npy  of each token of the table
"""

import itertools
import json
import pathlib
import sys

import numpy as np
from safetensors.numpy import load_file
from scipy.special import erf
from tokenizers import Tokenizer

BEGIN, END = 101, 102
LIMIT = 256  # tokens of a text
BATCH = 4096  # tokens
SHARD = 10000  # lines of a file
HEADS = 12


class Teacher:
    def __init__(self, directory):
        directory = pathlib.Path(directory)
        self.weights = load_file(directory / "model.safetensors")
        self.layers = 1 + max(int(name.split(".")[2]) for name in self.weights if name.startswith("encoder.layer."))
        self.tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()

    def linear(self, x, name):
        return x @ self.weights[name + ".weight"].T + self.weights[name + ".bias"]

    def norm(self, x, name):
        x = x - x.mean(-1, keepdims=True)
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-12) * self.weights[name + ".weight"] + self.weights[name + ".bias"]

    def forward(self, ids, mask):
        """ids and mask are [texts][tokens]; gives the mean of the last layer."""
        w = self.weights
        texts, length = ids.shape
        x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][:length] + w["embeddings.token_type_embeddings.weight"][0]
        x = self.norm(x, "embeddings.LayerNorm")
        wide = x.shape[-1] // HEADS
        ignore = np.where(mask, 0, -1e9).astype(np.float32)[:, None, None, :]
        for i in range(self.layers):
            at = f"encoder.layer.{i}."
            q, k, v = (self.linear(x, f"{at}attention.self.{n}").reshape(texts, length, HEADS, wide).transpose(0, 2, 1, 3) for n in ("query", "key", "value"))
            score = q @ k.transpose(0, 1, 3, 2) / np.float32(np.sqrt(wide)) + ignore
            score = np.exp(score - score.max(-1, keepdims=True))
            score /= score.sum(-1, keepdims=True)
            seen = (score @ v).transpose(0, 2, 1, 3).reshape(texts, length, -1)
            x = self.norm(x + self.linear(seen, at + "attention.output.dense"), at + "attention.output.LayerNorm")
            inner = self.linear(x, at + "intermediate.dense")
            inner *= 0.5 * (1 + erf(inner / np.float32(np.sqrt(2))))
            x = self.norm(x + self.linear(inner, at + "output.dense"), at + "output.LayerNorm")
        return (x * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)

    def encode(self, lists):
        """Gives the vectors of lists of tokens, which have marks at begin and end; not of unit length."""
        out = np.zeros((len(lists), self.weights["embeddings.LayerNorm.bias"].size), np.float32)
        order = sorted(range(len(lists)), key=lambda i: len(lists[i]))
        while order:
            batch = list(itertools.takewhile(lambda p: (p[0] + 1) * len(lists[p[1]]) <= max(BATCH, len(lists[p[1]])), enumerate(order)))
            batch = [i for _, i in batch]
            order = order[len(batch):]
            longest = max(len(lists[i]) for i in batch)
            ids, mask = np.zeros((len(batch), longest), np.int64), np.zeros((len(batch), longest), np.float32)
            for row, i in enumerate(batch):
                ids[row, :len(lists[i])], mask[row, :len(lists[i])] = lists[i], 1
            out[batch] = self.forward(ids, mask)
        return out


def lines(directory, text, out, most=None):
    teacher, out = Teacher(directory), pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    texts = pathlib.Path(text).read_text(encoding="utf-8").split("\n")[:int(most) if most else None]
    for begin in range(0, len(texts), SHARD):
        file = out / f"{begin // SHARD:04d}.npy"
        if file.exists():
            continue
        encodings = teacher.tokenizer.encode_batch(texts[begin:begin + SHARD], add_special_tokens=False)
        vectors = teacher.encode([[BEGIN, *e.ids[:LIMIT - 2], END] for e in encodings])
        np.save(file, (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16))
        print(file, file=sys.stderr)


def tokens(directory, pieces, out):
    lists = json.loads(pathlib.Path(pieces).read_text())
    np.save(out, Teacher(directory).encode([[BEGIN, *p, END] for p in lists]))


if __name__ == "__main__":
    if len(sys.argv) < 5 or sys.argv[1] not in ("lines", "tokens"):
        sys.exit(__doc__)
    {"lines": lines, "tokens": tokens}[sys.argv[1]](*sys.argv[2:])
