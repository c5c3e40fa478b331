"""Writes the table as a model2vec directory in 8 bits, and what its loader must give.

    export.py TABLE.npy tokenizer.json OUT GOLDEN.json
"""

import json
import pathlib
import shutil
import sys

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer

UNKNOWN = 1
TEXTS = [
    "Hello, world!", "How do I restore a PostgreSQL backup?", "Café déjà-vu naïve Ångström façade",
    "state-of-the-art e-mail 3.14 10% C++ v1.26.8", "ＦＵＬＬ ｗｉｄｔｈ ﬁ ligature", "İstanbul STRASSE ß Ω",
    "tab\tnew\nline\u00a0nbsp\u200bzwsp\u0007bell", "snake_case camelCase HTTPServer /usr/local/bin",
    "aeroelastic thermodynamically antidisestablishmentarianism", "x" * 101, "모델 학습 방법", "学習 モデル 東京",
    "BM25와 벡터 hybrid 검색", "😀 emoji — dash “quotes” …", "", "???",
]


def main(table, tokenizer, out, golden):
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    rows = np.load(table).astype(np.float32)
    scales = np.abs(rows).max(1) / 127
    codes = np.zeros(rows.shape, np.int8)
    some = scales > 0
    codes[some] = np.rint(rows[some] / scales[some, None])
    save_file({"embeddings": codes, "weights": scales}, out / "model.safetensors")
    if pathlib.Path(tokenizer).resolve() != (out / "tokenizer.json").resolve():
        shutil.copy(tokenizer, out / "tokenizer.json")
    config = {
        "model_type": "model2vec", "architectures": ["StaticModel"], "normalize": True, "hidden_dim": rows.shape[1], "embedding_dtype": "int8",
        "seq_length": 512, "tokenizer_name": "all-MiniLM-L6-v2 (WordPiece, reduced and extended)",
    }
    (out / "config.json").write_text(json.dumps(config, indent=1))

    t = Tokenizer.from_file(str(out / "tokenizer.json"))
    made = []
    for text in TEXTS:
        ids = t.encode(text, add_special_tokens=False).ids
        v = sum((scales[i] * codes[i].astype(np.float32) for i in ids if i != UNKNOWN), np.zeros(rows.shape[1], np.float32))
        v /= np.linalg.norm(v) + 1e-32
        made.append(json.dumps({"text": text, "ids": ids, "vector": [round(float(x), 5) for x in v]}, ensure_ascii=False))
    pathlib.Path(golden).write_text("[" + ",\n".join(made) + "]\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
