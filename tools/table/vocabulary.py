"""Makes the table's tokenizer of the teacher's: without what is not Latin, with the words that the text has most.

    vocabulary.py TEACHER/tokenizer.json TEXT OUT/tokenizer.json [ROWS]

Beside it goes pieces.json: the teacher's tokens of each token, which its first vector is made of.
"""

import collections
import json
import pathlib
import re
import sys

from tokenizers import Tokenizer

WORD = re.compile(r"(?<![^\s(])[a-z]{4,24}(?=[\s.,;:)]|$)")
RAREST = 15  # lines that a word must be in
SPECIAL = ["[PAD]", "[UNK]"]


def latin(token):
    return all(ord(c) <= 0x24F or c in "‐–—‘’“”•…€™" for c in token.removeprefix("##"))


def main(teacher, text, out, rows=31000):
    file = json.loads(pathlib.Path(teacher).read_text(encoding="utf-8"))
    vocab = file["model"]["vocab"]
    # [PAD] and [UNK] stay first; other marks and what the teacher left unused go.
    kept = SPECIAL + [t for t in sorted(vocab, key=vocab.get) if not (t.startswith("[") and len(t) > 1) and latin(t)]
    count = collections.Counter()
    with open(text, encoding="utf-8") as f:
        for line in f:
            count.update(set(WORD.findall(line.lower())))
    added = [w for w, n in count.most_common() if w not in vocab and n >= RAREST][:int(rows) - len(kept)]

    old = Tokenizer.from_file(teacher)
    old.no_padding()
    old.no_truncation()
    pieces = [[vocab[t]] for t in kept] + [e.ids for e in old.encode_batch(added, add_special_tokens=False)]

    file["model"]["vocab"] = {token: i for i, token in enumerate(kept + added)}
    file["added_tokens"] = [
        {"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        for i, token in enumerate(SPECIAL)]
    file.update(post_processor=None, truncation=None, padding=None)
    out = pathlib.Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(file, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    out.with_name("pieces.json").write_text(json.dumps(pieces))
    print(f"{len(kept)} tokens kept, {len(added)} words added", file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
