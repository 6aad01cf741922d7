"""The comparison as one page for people who have not followed the work, in any language of ``report_phrases``.

Nothing but the arguments gets into the page, so that the same inputs give the same bytes. All functions take the
phrases of one language as ``words``; names of methods stand in backticks, and losses are in nats per token.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tuner.compare import BASE, METRICS, MINUS, amount, compared, contrasts
from tuner.params import Compare
from tuner.report_phrases import PHRASES
from tuner.secondary import FOLLOWED

HOURS_FROM = 7200  # seconds that are shown as hours
JOULES_PER_WATT_HOUR = 3600
TRAINED = ("rows", "train_seconds", "trainable_parameters", "total_parameters", "adapter_megabytes")

Words = Mapping[str, str]


def page(
    settings: Compare,
    *,
    generator: str,
    student: str,
    seed: int,
    comparison: Mapping[str, Any],
    metrics: Mapping[str, Mapping[str, float | None]],
    secondary: Mapping[str, Any],
    records: Mapping[str, dict],
    counts: Mapping[str, int],
    verified: Mapping[str, Any],
) -> str:
    """Return the page in Markdown.

    ``comparison`` is what ``compare.compare`` returns, ``metrics`` (of base, too) what ``metrics.of_method`` does,
    ``secondary`` what ``secondary.compare`` does, ``records`` those of each training, ``counts`` those of the filters
    and ``verified`` those of the rows with checked constraints. The page is in ``settings.language``, and has prices
    where ``price_per_hour`` is above 0. Raises ValueError for a method that one of them lacks, and for a record or
    counts without a number that the page states.
    """
    words = PHRASES[settings.language]
    public = [metric for metric in compared(comparison) if metric not in METRICS]
    words = words | {metric: f"`{metric}`" for metric in public}
    words |= {f"about_{metric}": words["about_benchmark"] for metric in public}
    methods = [method for method in metrics if method != BASE]
    _check(methods, comparison, metrics, secondary, records, counts, verified)
    sections = {
        "run": _run(words, generator, student, seed, comparison, records, counts, verified),
        "results": [_results(words, methods, comparison), _reading(words, comparison)],
        "got_better": _changed(words, comparison, "better"),
        "got_worse": _changed(words, comparison, "worse"),
        "beside": _beside(words, methods, comparison, metrics, secondary),
        "cannot": _undecided(words, comparison, metrics),
        "cost": _cost(words, methods, records, settings.price_per_hour),
    }
    blocks = [f"# {words['title']}", *_short(words, comparison, records)]
    for name, found in sections.items():
        blocks += [f"## {words[name]}", *found]
    return "\n\n".join([*blocks, words["more"]]) + "\n"


def _check(methods, comparison, metrics, secondary, records, counts, verified) -> None:
    if BASE not in metrics or not methods:
        raise ValueError("a report needs the metrics of base and of a method")
    for method in methods:
        given = {"comparison": comparison, "secondary measures": secondary, "training records": records}
        for name, found in given.items():
            if method not in found:
                raise ValueError(f"method {method!r} has metrics but is missing in the {name}")
        missing = [name for name in TRAINED if name not in records[method]["train_info"]]
        if missing:
            raise ValueError(f"the training record of {method!r} has no {missing[0]}")
    for name, found, keys in (
        ("filter counts", counts, ("in", "kept", "train", "validation")),
        ("verified counts", verified, ("rows",)),
    ):
        missing = [key for key in keys if key not in found]
        if missing:
            raise ValueError(f"the {name} have no {missing[0]!r}")


def _cells(comparison: Mapping[str, Any]) -> Iterator[tuple[str, str, dict]]:
    """Yield (comparison, metric, cell), metric by metric."""
    for metric in comparison["suites"]:
        for key in contrasts(comparison):
            yield key, metric, comparison[key][metric]


def _names(words: Words, key: str, start: str) -> str:
    """Return what a comparison is called; one with base has the name of its method."""
    if start == BASE:
        return f"`{key}`"
    return words["against"].format(method=f"`{key.removesuffix(f'_vs_{start}')}`", start=f"`{start}`")


def _short(words: Words, comparison: Mapping[str, Any], records: Mapping[str, dict]) -> list[str]:
    """What a reader has to know who reads nothing else."""
    cells = list(_cells(comparison))
    verdicts = {name: [entry for entry in cells if entry[2]["verdict"] == name] for name in ("better", "worse")}
    decided = sum(map(len, verdicts.values()))
    pairs = ", ".join(
        words["short_pair"].format(method=f"`{method}`", start=f"`{record['run_info']['start']}`")
        for method, record in records.items()
        if "start" in record["run_info"]
    )
    lines = [
        words["short"].format(
            pairs=pairs,
            tests=len(cells),
            better=len(verdicts["better"]),
            worse=len(verdicts["worse"]),
            none=len(cells) - decided,
        )
    ]
    for verdict, found in verdicts.items():
        entries = [
            words["short_entry"].format(
                metric=words[metric],
                names=", ".join(_names(words, key, cell["reference"]) for key, one, cell in found if one == metric),
            )
            for metric in dict.fromkeys(metric for _, metric, _ in found)
        ]
        if entries:
            lines.append(words[f"short_{verdict}"].format(found=", ".join(entries)))
    tasks = [metric for metric in compared(comparison) if metric != "eval_loss"]
    if not any(m in tasks and c["reference"] == BASE for found in verdicts.values() for _, m, c in found):
        lines.append(words["short_tasks"].format(metrics=", ".join(words[metric] for metric in tasks)))
    return [" ".join(lines)]


def _run(words, generator, student, seed, comparison, records, counts, verified) -> list[str]:
    infos = [record["train_info"] for record in records.values()]
    # Four-bit weights are packed, two in a byte, and counted so: the largest count is that of the plain model.
    size = max(info["total_parameters"] - info["trainable_parameters"] for info in infos)
    held_out = comparison["suites"].get("eval_loss", {"n": 0})["n"]
    wrote = words["wrote_itself"] if generator == student else words["wrote_other"].format(generator=generator)
    alike: dict[tuple, list[str]] = {}
    for method, record in records.items():
        alike.setdefault((record["run_info"].get("start"), record["train_info"]["rows"]), []).append(f"`{method}`")
    trained = [
        words["trained" if start is None else "trained_on_pairs"].format(
            names=", ".join(names), rows=f"{rows:,}", **({} if start is None else {"start": f"`{start}`"})
        )
        for (start, rows), names in alike.items()
    ]
    seeds = max(facts["seeds"] for facts in comparison["suites"].values())
    once = words["once"].format(seed=seed) if seeds == 1 else words["several"].format(seeds=seeds)
    devices = dict.fromkeys(
        words["one_device"].format(
            name=record["meta_info"]["device_name"],
            device=record["meta_info"]["device"],
            threads=record["meta_info"]["threads"],
            dtype=record["meta_info"]["dtype"],
        )
        for record in records.values()
    )
    about = [
        "  - " + words[f"about_{metric}"].format(metric=f"**{words[metric]}**", n=f"{facts['n']:,}")
        for metric, facts in comparison["suites"].items()
    ]
    lines = [
        f"- {words['model'].format(student=student, parameters=f'{size:,}')} {wrote}",
        "- "
        + words["data"].format(
            **{name: f"{counts[name]:,}" for name in ("kept", "train", "validation")},
            rows=f"{counts['in']:,}",
            share=_percent(words, counts["kept"] / max(1, counts["in"])),
            verified=f"{verified['rows']:,}",
            held_out=f"{max(0, held_out - counts['validation']):,}",
        ),
        f"- {words['methods'].format(trained='; '.join(trained))} {once}",
        f"- {words['measures']}",
        *about,
        f"- {words['device'].format(devices=', '.join(devices))}",
    ]
    return ["\n".join(lines)]


def _results(words: Words, methods: list[str], comparison: Mapping[str, Any]) -> str:
    metrics = list(comparison["suites"])
    directions = [words["lower" if metric == "eval_loss" else "higher"] for metric in metrics]
    titles = [f"{words[metric]}<br>({way})" for metric, way in zip(metrics, directions, strict=True)]
    rows = [[f"`{BASE}`", *(_value(words, metric, comparison["suites"][metric]["floor"]) for metric in metrics)]]
    for key in [*methods, *(key for key in contrasts(comparison) if key not in methods)]:
        cells = comparison[key]
        row = [_names(words, key, next(iter(cells.values()))["reference"])]
        for metric in metrics:
            value = f"{_value(words, metric, cells[metric]['value'])}<br>" if key in methods else ""
            verdict = words[cells[metric]["verdict"]]
            strong = verdict if cells[metric]["verdict"] == "no evidence" else f"**{verdict}**"
            row.append("{}{difference} [{low}, {high}]<br>{}".format(value, strong, **_range(words, metric, cells)))
        rows.append(row)
    return _table([words["method"], *titles], rows)


def _reading(words: Words, comparison: Mapping[str, Any]) -> str:
    facts = next(iter(comparison["suites"].values()))
    confidence = words["percent"].format(value=f"{100 * (1 - facts['alpha']):g}")
    return words["reading"].format(confidence=confidence, tests=facts["tests"], alpha=f"{facts['alpha']:g}")


def _changed(words: Words, comparison: Mapping[str, Any], verdict: str) -> list[str]:
    """One line for each comparison with a verdict, or that there is none."""
    found = [(key, metric, cell) for key, metric, cell in _cells(comparison) if cell["verdict"] == verdict]
    if not found:
        return [words[f"nothing_{verdict}"]]
    lines = [
        "- "
        + words["change"].format(
            name=_names(words, key, cell["reference"]),
            metric=words[metric],
            before=_value(words, metric, cell["base"]),
            after=_value(words, metric, cell["value"]),
            **_range(words, metric, comparison[key]),
        )
        for key, metric, cell in found
    ]
    note = [words["loss_note"]] if verdict == "better" and any(metric == "eval_loss" for _, metric, _ in found) else []
    return ["\n".join(lines), *note]


def _beside(words, methods, comparison, metrics, secondary) -> list[str]:
    """The measures that have no verdict: a table, and how to read it."""
    judged = all(found["win_rate"] is not None for found in metrics.values())
    names = ["reply_tokens", "never_stops", "distinct_2", "forgetting", "preference_accuracy"]
    names += ["win_rate_length_controlled"] * judged
    rows = [[f"`{BASE}`", *(_measure(words, name, metrics[BASE][name]) for name in names)]]
    for key in [*methods, *(key for key in contrasts(comparison) if key not in methods)]:
        cells = [_names(words, key, next(iter(secondary[key].values()))["reference"])]
        for name in names:
            value = [_measure(words, name, metrics[key][name])] if key in methods else []
            cell = secondary[key].get(name)
            if cell and "value" in cell:  # a share of its own, and no difference
                value = [_measure(words, name, cell["value"])]
            if cell:
                ends = [cell[end] for end in ("low", "high")]
                if "value" in cell:
                    value.append(f"[{', '.join(amount('agent', end) for end in ends)}]")
                else:
                    difference, *shown = (
                        _measure(words, name, one, signed=True) for one in (cell["difference"], *ends)
                    )
                    value.append(f"{difference} [{', '.join(shown)}]")
            cells.append("<br>".join(value))
        rows.append(cells)
    one = next(iter(secondary.values()))
    counts = {"windows": one["forgetting"]["n"], "pairs": one["preference_accuracy"]["n"]}
    counts["sources"] = one["preference_accuracy"]["clusters"]
    reading = [words["beside_reading"].format(**counts), words["judged" if judged else "not_judged"]]
    table = _table([words["method"], *(words[name] for name in names)], rows)
    return [words["beside_label"], table, " ".join(reading), *_followed(words, secondary)]


def _followed(words: Words, secondary: Mapping[str, Any]) -> list[str]:
    """Constraints followed, by families that were trained on, by others, and read loosely."""
    first = next(iter(secondary.values()))
    names = [name for name in FOLLOWED if name in first]

    def percent(value: float) -> str:
        return words["percent"].format(value=amount("agent", value))

    rows = [[f"`{BASE}`", *(percent(first[name]["base"]) for name in names)]]
    for key, cells in secondary.items():
        row = [_names(words, key, next(iter(cells.values()))["reference"])]
        for cell in (cells[name] for name in names):
            ends = [amount("agent", cell[end], signed=True) for end in ("difference", "low", "high")]
            row.append(f"{percent(cell['value'])}<br>{ends[0]} [{ends[1]}, {ends[2]}]")
        rows.append(row)
    heads = [f"{words[name]} (n = {first[name]['n']})" for name in names]
    return [words["followed_label"], _table([words["method"], *heads], rows)] if names else []


def _measure(words: Words, name: str, value: float | None, *, signed: bool = False) -> str:
    """Return a secondary measure as text: tokens, percent (differences in points), a share or nats; None is a dash."""
    if value is None:
        return "\N{EN DASH}"
    if name in ("never_stops", "preference_accuracy", "win_rate_length_controlled"):
        shown = amount("agent", value, signed=signed)
        return shown if signed else words["percent"].format(value=shown)
    places = {"reply_tokens": 1, "distinct_2": 3, "forgetting": 3}[name]
    text = f"{abs(value):.{places}f}"
    if float(text) == 0:
        return text
    return (MINUS if value < 0 else "+" if signed else "") + text


def _undecided(words: Words, comparison: Mapping[str, Any], metrics: Mapping[str, Mapping[str, float]]) -> list[str]:
    """What has no verdict, how large a difference would have got one, and what else these numbers leave open."""
    open_cells = [entry for entry in _cells(comparison) if entry[2]["verdict"] == "no evidence"]
    rows = []
    for metric, facts in comparison["suites"].items():
        names = [_names(words, key, cell["reference"]) for key, one, cell in open_cells if one == metric]
        if names:
            rows.append([words[metric], f"{facts['n']:,}", ", ".join(names), _findable(words, metric, facts)])
    lines = []
    # Intervals stand each for itself, verdicts for all tests together: some intervals without a verdict exclude 0.
    leaning = [
        words["leaning_entry"].format(
            name=_names(words, key, cell["reference"]), metric=words[metric], **_range(words, metric, comparison[key])
        )
        for key, metric, cell in open_cells
        if cell["low"] > 0 or cell["high"] < 0
    ]
    if leaning:
        facts = next(iter(comparison["suites"].values()))
        expected = f"{facts['tests'] * facts['alpha']:.1f}"
        lines.append(f"- {words['leaning'].format(found=', '.join(leaning), tests=facts['tests'], expected=expected)}")
    axes = [name for name in metrics[BASE] if name.startswith("agent_")]
    none_right = [words[name] for name in axes if all(found[name] == 0 for found in metrics.values())]
    if none_right:
        lines.append(f"- {words['all_wrong'].format(axes=', '.join(none_right))}")
    seeds = max(facts["seeds"] for facts in comparison["suites"].values())
    lines.append(f"- {words['seed_note' if seeds == 1 else 'seeds_note']}")
    if not open_cells:
        return [words["all_told"], "\n".join(lines)]
    table = _table([words[name] for name in ("measure", "items", "without", "findable")], rows)
    return [words["no_evidence_means"], words["undecided"], table, "\n".join(lines)]


def _findable(words: Words, metric: str, facts: Mapping[str, Any]) -> str:
    """Return the difference that passes the strictest step of Holm, and in parentheses that of one test alone."""
    names = ("minimum_detectable_effect_adjusted", "minimum_detectable_effect")
    if metric != "eval_loss" and facts[names[0]] >= 1:  # 1.0 says that no difference can be found
        return words["undetectable"]
    strict, single = (amount(metric, facts[name]) for name in names)
    return f"{words['nats' if metric == 'eval_loss' else 'points'].format(value=strict)} ({single})"


def _cost(words: Words, methods: list[str], records: Mapping[str, dict], price_per_hour: float) -> list[str]:
    """The table of costs; a method that goes on from another one's adapter carries that one's cost, too."""
    energy = {method: _with_start(records, method, "energy_joules") for method in methods}
    measured = any(value is not None for value in energy.values())
    head = [words[name] for name in ("method", "parameters", "share", "size", "time")]
    head += [words["price"]] * (price_per_hour > 0) + [words["energy"]] * measured
    rows = []
    for method in methods:
        info = records[method]["train_info"]
        seconds = _with_start(records, method, "train_seconds")
        size = info["total_parameters"] - info["trainable_parameters"]
        row = [
            f"`{method}`",
            f"{info['trainable_parameters']:,}",
            words["percent"].format(value=f"{100 * info['trainable_parameters'] / size:.3g}"),
            words["megabytes"].format(value=f"{info['adapter_megabytes']:,.2f}"),
            _duration(words, seconds),
        ]
        row += [_price(seconds, price_per_hour)] * (price_per_hour > 0) + [_energy(words, energy[method])] * measured
        rows.append(row)
    own = [record["train_info"] for record in records.values()]
    seconds = sum(info["train_seconds"] for info in own)
    together = [_duration(words, seconds)]
    together += [f"{words['price']} {_price(seconds, price_per_hour)}"] * (price_per_hour > 0)
    if all("energy_joules" in info for info in own):
        together.append(_energy(words, sum(info["energy_joules"] for info in own)))
    notes = [
        words["with_start"].format(method=f"`{method}`", start=f"`{record['run_info']['start']}`")
        for method, record in records.items()
        if "start" in record["run_info"]
    ]
    notes.append(words["together"].format(found=", ".join(together)))
    notes += [words["price_note"].format(price=f"{price_per_hour:g}")] * (price_per_hour > 0)
    notes += [words["energy_note"]] * measured
    return [_table(head, rows), " ".join([*notes, words["not_counted"]])]


def _with_start(records: Mapping[str, dict], method: str, name: str) -> float | None:
    """Return a cost of a training and of those it goes on from; None where one of them has not recorded it."""
    value = records[method]["train_info"].get(name)
    start = records[method]["run_info"].get("start")
    if start is None or value is None:
        return value
    before = _with_start(records, start, name)
    return None if before is None else value + before


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|:--" + "|--:" * (len(head) - 1) + "|", *lines[1:]])


def _range(words: Words, metric: str, cells: Mapping[str, dict]) -> dict[str, str]:
    """Return a difference with its unit, and the ends of its interval without."""
    low, high = (amount(metric, cells[metric][end], signed=True) for end in ("low", "high"))
    difference = amount(metric, cells[metric]["difference"], signed=True)
    unit = difference if metric == "eval_loss" else words["points"].format(value=difference)
    return {"difference": unit, "low": low, "high": high}


def _value(words: Words, metric: str, value: float) -> str:
    shown = amount(metric, value)
    return shown if metric == "eval_loss" else words["percent"].format(value=shown)


def _percent(words: Words, share: float) -> str:
    return words["percent"].format(value=f"{100 * share:.1f}")


def _duration(words: Words, seconds: float) -> str:
    if seconds < HOURS_FROM:
        return words["seconds"].format(value=f"{seconds:,.0f}")
    return words["hours"].format(value=f"{seconds / 3600:,.1f}")


def _price(seconds: float, price_per_hour: float) -> str:
    price = seconds / 3600 * price_per_hour
    return f"{price:,.2f}" if price >= 1 else f"{price:.4f}"


def _energy(words: Words, joules: float | None) -> str:
    return "" if joules is None else words["watt_hours"].format(value=f"{joules / JOULES_PER_WATT_HOUR:,.2f}")
