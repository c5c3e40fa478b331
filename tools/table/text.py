"""Makes lines of text for fitting: headings, sentences and paragraphs of up to 170 words.

    text.py OUT FOLDER[=MOST]...

It reads Markdown and HTML below the folders, and WordNet's data.noun, data.verb, data.adj and data.adv. MOST is how many
lines a folder gives at most, so that manuals of software do not make up all there is.
"""

import html
import pathlib
import random
import re
import sys

LONGEST = 170  # words of a paragraph
WORDNET = {"data.noun", "data.verb", "data.adj", "data.adv"}

# What is no prose, and what becomes of it; in this order.
CLEANING = [(re.compile(pattern, re.S | re.I | re.M), by) for pattern, by in [
    (r"<!--.*?-->", " "),
    (r"<(script|style|math|pre|svg|code class|nav|m:math)\b.*?</\1>", " "),
    (r"```.*?```", "\n\n"),
    (r"\$\$.*?\$\$|\{%.*?%\}|\{\{.*?\}\}|\{: .*?\}", " "),
    (r"</?(p|div|h[1-6]|li|ul|ol|td|th|tr|table|section|dd|dt|blockquote|br|figure|figcaption)\b[^>]*>", "\n\n"),
    (r"<[^>]+>", " "),
]]
MARKS = [(re.compile(pattern, re.M), by) for pattern, by in [
    (r"!?\[([^\]]*)\](\([^)]*\)|\[[^\]]*\])", r"\1"),  # links
    (r"^\s*(#+|[-*+]|\d+\.|>|\.\. \w+::)\s+", "\n\n"),  # headings and lists
    (r"[*_`|]{1,3}", " "),
    (r":\w+:", " "),
]]
FRONT = re.compile(r"\A---\n.*?\n---\n", re.S)
TITLES = re.compile(r"^(?:title|summary|description|excerpt|deck):\s*[\"']?(.+?)[\"']?$", re.M)


def blocks(text):
    """Gives the paragraphs of English prose of a page."""
    text = FRONT.sub(lambda m: "\n\n".join(TITLES.findall(m.group(0))) + "\n\n", text)
    for pattern, by in CLEANING:
        text = pattern.sub(by, text)
    text = html.unescape(text)
    for pattern, by in MARKS:
        text = pattern.sub(by, text)
    for block in re.split(r"\n\s*\n|\n[=\-~^]{4,}\n", text):
        block = " ".join(block.split())
        letters = sum(c.isalpha() for c in block)
        if len(block) >= 12 and letters > 0.7 * len(block) and sum(c.isascii() for c in block) > 0.95 * len(block):
            yield block


def lines(page):
    """Gives headings, half of the sentences, and paragraphs of several lengths."""
    paragraph = ""
    for block in blocks(page):
        if block.count(" ") < 12:
            yield block
            if len(paragraph) < 300:
                paragraph = f"{paragraph} {block}.".strip()
            continue
        for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z])", block):
            if 4 <= sentence.count(" ") <= 60 and random.random() < 0.5:
                yield sentence
        paragraph = f"{paragraph} {block}".strip()
        if paragraph.count(" ") > random.choice((40, 80, 140)):
            yield " ".join(paragraph.split()[:LONGEST])
            paragraph = ""


def meanings(page):
    """Gives WordNet's words with what they mean, and some words alone."""
    for line in page.splitlines():
        if line.startswith(" "):
            continue  # the licence
        head, _, gloss = line.partition(" | ")
        fields = head.split()
        words = [re.sub(r"\(.*?\)", "", w).replace("_", " ") for w in fields[4:4 + 2 * int(fields[3], 16):2]]
        yield f"{', '.join(words)}: {gloss.strip().replace(chr(34), '')}"
        yield from (w for w in words if random.random() < 0.35)


def read(folder):
    for path in sorted(pathlib.Path(folder).rglob("*")):
        if not path.is_file():
            continue
        if path.name in WORDNET:
            yield from meanings(path.read_text(encoding="latin1"))
        elif path.suffix in (".md", ".html"):
            yield from lines(path.read_text(encoding="utf-8", errors="replace"))


def main(out, *folders):
    random.seed(7)
    seen, everything = set(), []
    for spec in folders:
        folder, _, most = spec.partition("=")
        new = [line for line in dict.fromkeys(read(folder)) if line not in seen]
        seen.update(new)
        random.shuffle(new)
        new = new[:int(most) if most else None]
        print(f"{folder}: {len(new)} lines", file=sys.stderr)
        everything += new
    random.shuffle(everything)
    pathlib.Path(out).write_text("\n".join(line.replace("\n", " ") for line in everything), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
