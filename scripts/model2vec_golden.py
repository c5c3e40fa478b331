"""Writes what the official loader makes of some texts: see model2vec.sh."""

import json
import sys

from model2vec import StaticModel

TEXTS = [
    "Hello World",
    "How do I restore a PostgreSQL backup?",
    "The boiler of the library was repaired in spring, and heating costs fell by a third.",
    "작년 겨울 도서관 난방비는 얼마였나요",
    "Wie hoch waren die Heizkosten der Bibliothek?",
    "図書館の暖房費はいくらでしたか",
    "café naïve ＦＵＬＬ 3,14 %",
    "",
]


def main(directory, out):
    model = StaticModel.from_pretrained(directory, force_download=False)
    rows = []
    for text, ids, vector in zip(TEXTS, model.tokenize(TEXTS), model.encode(TEXTS)):
        rows.append(json.dumps({"text": text, "ids": ids, "vector": [round(float(x), 6) for x in vector]}, ensure_ascii=False))
    with open(out, "w", encoding="utf-8") as f:
        f.write("[" + ",\n".join(rows) + "]\n")


main(*sys.argv[1:])
