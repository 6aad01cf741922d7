"""The comparison as one page for people who have not followed the work, in any language of ``report_phrases``.

Nothing but the arguments gets into the page, so that the same inputs give the same bytes. All functions take the
phrases of one language as ``words``; names of methods stand in backticks, and losses are in nats per token.
"""

from collections.abc import Mapping
from typing import Any

from tuner.compare import BASE, METRICS, compared, paired_contrasts
from tuner.params import Compare
from tuner.report_parts import (
    Words,
    against,
    cells,
    change,
    count,
    findable,
    judged,
    measured,
    percent,
    table,
    value,
)
from tuner.report_phrases import PHRASES
from tuner.secondary import WORSE

HOURS_FROM = 7200  # seconds that are shown as hours
JOULES_PER_WATT_HOUR = 3600
TRAINED = ("rows", "train_seconds", "trainable_parameters", "total_parameters", "adapter_megabytes")


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
    words = in_language(settings, comparison)
    methods = [method for method in metrics if method != BASE]
    _check(methods, comparison, metrics, secondary, records, counts, verified)
    sections = {
        "run": _run(words, generator, student, seed, comparison, records, counts, verified),
        "results": [_results(words, methods, comparison), _reading(words, comparison), *_between(words, comparison)],
        "got_better": _changed(words, comparison, "better"),
        "got_worse": [*_changed(words, comparison, "worse"), *_worse_beside(words, methods, secondary)],
        "cannot": _undecided(words, methods, comparison, metrics, secondary),
        "cost": _cost(words, methods, records, settings.price_per_hour),
    }
    blocks = [f"# {words['title']}", _short(words, comparison, secondary)]
    for name, found in sections.items():
        blocks += [f"## {words[name]}", *found]
    return "\n\n".join([*blocks, words["more"]]) + "\n"


def in_language(settings: Compare, comparison: Mapping[str, Any]) -> Words:
    """Return the phrases of the language, with names for the suites and benchmarks that were asked for beside ours."""
    words = PHRASES[settings.language]
    others = [metric for metric in compared(comparison) if metric not in METRICS]
    about = {metric: words.get(f"about_{metric}", words["about_benchmark"]) for metric in others}
    return (
        words | {metric: f"`{metric}`" for metric in others} | {f"about_{name}": text for name, text in about.items()}
    )


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


def _short(words: Words, comparison: Mapping[str, Any], secondary: Mapping[str, Any]) -> str:
    """What a reader has to know who reads nothing else."""
    every = list(cells(comparison))
    verdicts = {name: [entry for entry in every if entry[2]["verdict"] == name] for name in ("better", "worse")}
    decided = {name: len(found) for name, found in verdicts.items()}
    lines = [words["short"].format(tests=len(every), none=len(every) - sum(decided.values()), **decided)]
    for verdict, found in verdicts.items():
        entries = [
            words["short_entry"].format(
                metric=words[metric], names=", ".join(f"`{key}`" for key, one, _ in found if one == metric)
            )
            for metric in dict.fromkeys(metric for _, metric, _ in found)
        ]
        if entries:
            lines.append(words[f"short_{verdict}"].format(found=", ".join(entries)))
    followers = [key for key, metric, _ in verdicts["better"] if metric == "instruction_following"]
    unseen = [secondary[key].get("followed_unseen") for key in followers]
    if followers and all(cell and cell["low"] <= 0 <= cell["high"] for cell in unseen):
        lines.append(words["short_families"])
    tasks = [metric for metric in compared(comparison) if metric != "eval_loss"]
    if not any(metric in tasks for found in verdicts.values() for _, metric, _ in found):
        lines.append(words["short_tasks"].format(metrics=", ".join(words[metric] for metric in tasks)))
    pairs = paired_contrasts(comparison)
    told = [
        words[f"between_{cell['verdict']}"].format(method=f"`{method}`", start=f"`{start}`", metric=words[metric])
        for key, method, start in pairs
        for metric, cell in comparison[key].items()
        if cell["verdict"] != "no evidence"
    ]
    if pairs:
        tests = len(pairs) * len(comparison["suites"])
        lines.append(words["short_between"].format(tests=tests, found=", ".join(told) or words["between_none"]))
    return " ".join(lines)


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
    about = []
    for metric, facts in comparison["suites"].items():
        text = words[f"about_{metric}"].format(metric=f"**{words[metric]}**", n=f"{facts['n']:,}")
        guessed = facts["chance"] and words["guessing"].format(chance=percent(words, facts["chance"]))
        about.append(f"  - {text} {guessed}" if guessed else f"  - {text}")
    lines = [
        f"- {words['model'].format(student=student, parameters=f'{size:,}')} {wrote}",
        "- "
        + words["data"].format(
            **{name: f"{counts[name]:,}" for name in ("kept", "train", "validation")},
            rows=f"{counts['in']:,}",
            share=percent(words, counts["kept"] / max(1, counts["in"])),
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
    rows = [[f"`{BASE}`", *(value(words, metric, comparison["suites"][metric]["floor"]) for metric in metrics)]]
    for key in methods:
        of_method = comparison[key]
        shown = [f"{value(words, name, of_method[name]['value'])}<br>{judged(words, name, of_method[name])}"
                 for name in metrics]  # fmt: skip
        rows.append([f"`{key}`", *shown])
    return table([words["method"], *titles], rows)


def _reading(words: Words, comparison: Mapping[str, Any]) -> str:
    facts = next(iter(comparison["suites"].values()))
    confidence = words["percent"].format(value=f"{100 * (1 - facts['alpha']):g}")
    return words["reading"].format(confidence=confidence, tests=facts["tests"], alpha=f"{facts['alpha']:g}")


def _between(words: Words, comparison: Mapping[str, Any]) -> list[str]:
    """The methods against each other: a table, where there are two."""
    pairs, metrics = paired_contrasts(comparison), list(comparison["suites"])
    if not pairs:
        return []
    rows = [
        [against(words, method, start), *(judged(words, metric, comparison[key][metric]) for metric in metrics)]
        for key, method, start in pairs
    ]
    return [
        words["between_label"].format(tests=len(pairs) * len(metrics)),
        table([words["method"], *(words[metric] for metric in metrics)], rows),
    ]


def _changed(words: Words, comparison: Mapping[str, Any], verdict: str) -> list[str]:
    """One line for each comparison with base that has this verdict, or that there is none."""
    found = [(key, metric, cell) for key, metric, cell in cells(comparison) if cell["verdict"] == verdict]
    if not found:
        return [words[f"nothing_{verdict}"]]
    lines = [
        "- "
        + words["change"].format(
            name=f"`{key}`",
            metric=words[metric],
            before=value(words, metric, cell["base"]),
            after=value(words, metric, cell["value"]),
            **change(words, metric, cell),
        )
        for key, metric, cell in found
    ]
    note = [words["loss_note"]] if verdict == "better" and any(metric == "eval_loss" for _, metric, _ in found) else []
    return ["\n".join(lines), *note]


def _worse_beside(words: Words, methods: list[str], secondary: Mapping[str, Any]) -> list[str]:
    """The secondary measures whose interval lies on the worse side of no change."""
    lines = []
    for name, way in WORSE.items():
        found = [
            f"`{method}` {measured(words, name, cell)}"
            for method in methods
            if (cell := secondary[method].get(name)) and min(way * cell["low"], way * cell["high"]) > 0
        ]
        if found:
            lines.append(f"- {words[f'worse_{name}']}: {', '.join(found)}")
    return [words["worse_beside"], "\n".join(lines)] if lines else []


def _undecided(words, methods, comparison, metrics, secondary) -> list[str]:
    """What has no verdict, how large a difference would have got one, and what else these numbers leave open."""
    every = list(cells(comparison))
    facts = next(iter(comparison["suites"].values()))
    missed = [
        words["missed_entry"].format(
            metric=words[metric],
            found=findable(words, metric, [cell["detectable_adjusted"] for _, one, cell in every if one == metric]),
            n=count(words, comparison["suites"][metric]),
        )
        for metric in comparison["suites"]
    ]
    lines = [words["no_evidence_means"], words["missed"].format(found="; ".join(missed))]
    # Intervals stand each for itself, verdicts for all tests together: some intervals without a verdict exclude 0.
    clear = [entry for entry in every if entry[2]["low"] > 0 or entry[2]["high"] < 0]
    leaning = [
        words["leaning_entry"].format(name=f"`{key}`", metric=words[metric], **change(words, metric, cell))
        for key, metric, cell in clear
        if cell["verdict"] == "no evidence"
    ]
    if leaning:
        expected = f"{facts['tests'] * facts['alpha']:.1f}"
        numbers = {"tests": facts["tests"], "expected": expected, "seen": len(clear)}
        lines.append(words["leaning"].format(found=", ".join(leaning), **numbers))
    families = {method: cell for method in methods if (cell := secondary[method].get("followed_by_family"))}
    if families:
        found = [f"`{method}` {measured(words, 'followed_by_family', cell)}" for method, cell in families.items()]
        lines.append(words["kinds"].format(kinds=next(iter(families.values()))["clusters"], found=", ".join(found)))
    axes = [name for name in metrics[BASE] if name.startswith("agent_")]
    if none_right := [words[name] for name in axes if all(found[name] == 0 for found in metrics.values())]:
        lines.append(words["all_wrong"].format(axes=", ".join(none_right)))
    seeds = max(found["seeds"] for found in comparison["suites"].values())
    lines.append(words["seed_note" if seeds == 1 else "seeds_note"])
    return ["\n".join(f"- {line}" for line in lines)]


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
    return [table(head, rows), " ".join([*notes, words["not_counted"]])]


def _with_start(records: Mapping[str, dict], method: str, name: str) -> float | None:
    """Return a cost of a training and of those it goes on from; None where one of them has not recorded it."""
    value = records[method]["train_info"].get(name)
    start = records[method]["run_info"].get("start")
    if start is None or value is None:
        return value
    before = _with_start(records, start, name)
    return None if before is None else value + before


def _duration(words: Words, seconds: float) -> str:
    if seconds < HOURS_FROM:
        return words["seconds"].format(value=f"{seconds:,.0f}")
    return words["hours"].format(value=f"{seconds / 3600:,.1f}")


def _price(seconds: float, price_per_hour: float) -> str:
    price = seconds / 3600 * price_per_hour
    return f"{price:,.2f}" if price >= 1 else f"{price:.4f}"


def _energy(words: Words, joules: float | None) -> str:
    return "" if joules is None else words["watt_hours"].format(value=f"{joules / JOULES_PER_WATT_HOUR:,.2f}")
