"""Forgetting: how well a model still predicts general English text that has nothing to do with the training data.

PEFT's method_comparison measures the same on Wikipedia: cross-entropy of the adapted model minus that of the base. The
text here is the prose of scikit-learn's descriptions of its data sets, which every environment of this project holds.
"""

import hashlib
import re
from importlib import resources

from tuner.errors import UserError

# Of the text below, with the scikit-learn that requirements.txt pins. Another text is another measure.
SHA256 = "ae35f5a4964f57eeb729d2b13fead32989f9debc763faa58a6fe5785d7a3508f"
MIN_WORDS = 12  # shorter paragraphs are headings, captions and items of lists
MIN_RUNNING = 0.8  # of a paragraph's words, those of letters alone; less is code, numbers or references
WINDOW_TOKENS = 256  # so that there are some 14 to resample


def text() -> str:
    """Return the prose: paragraphs of 12+ words without tables, code and markup. UserError where it differs."""
    folder = resources.files("sklearn.datasets.descr")
    found = []
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".rst"):
            found += _prose(file.read_text(encoding="utf-8"))
    joined = "\n\n".join(found)
    digest = hashlib.sha256(joined.encode()).hexdigest()
    if digest != SHA256:
        raise UserError(
            f"scikit-learn's dataset descriptions have the sha256 {digest}, expected {SHA256}; "
            "install the versions of requirements.txt"
        )
    return joined


def _prose(document: str) -> list[str]:
    """Return the paragraphs of a reStructuredText document that are running text, each on one line."""
    found = []
    for paragraph in re.split(r"\n\s*\n", document):
        words = " ".join(paragraph.split()).replace("`", "").split()
        markup = re.search(r"[=\-~*]{4}|::|\||>>>|__|^\s*(\.\.|:)", paragraph, re.MULTILINE)
        running = sum(word.strip(".,;:()\"'?!").isalpha() for word in words)
        if not markup and len(words) >= MIN_WORDS and running >= MIN_RUNNING * len(words):
            found.append(" ".join(words))
    return found


def rows(tokenizer, scored) -> list[dict]:
    """Return one row a window of up to 256 tokens: {"id", "suite", "axis", "nll" (nats), "tokens" scored}.

    The text is tokenized bare, without a chat template. The first token of a window is given and not scored.
    `scored(pairs, name)` returns the log-probability of each (prompt ids, completion ids).
    """
    ids = tokenizer.encode(text(), add_special_tokens=False)
    windows = [ids[start : start + WINDOW_TOKENS] for start in range(0, len(ids), WINDOW_TOKENS)]
    pairs = [(window[:1], window[1:]) for window in windows if len(window) > 1]
    return [
        {
            "id": f"general_text-{number:02d}",
            "suite": "general_text",
            "axis": "general_text",
            "nll": -logp,
            "tokens": len(completion),
        }
        for number, ((_, completion), logp) in enumerate(zip(pairs, scored(pairs, "general text"), strict=True))
    ]
