"""What the reports say of one run's data: attrition, diversity, and a dataset card made of both."""

from collections import Counter
from pathlib import Path
from typing import Any

from tuner import attrition, card, croissant, data, diversity, filters, judge, verify

RULES = [*filters.FILTERS, ("judged", judge.lowest_rows)]


def attrition_of(rows: list[dict], dropped: list[dict], memory: filters.Memory) -> dict:
    """Return `attrition.report` of raw and dropped rows; `memory` is a new one, as `filters.begin` makes it."""
    judged = {row["id"]: {"judged": row["measured"]} for row in dropped if row["reason"] == "judged"}
    objections = [(row["id"], filters.all_verdicts(row, memory) | judged.get(row["id"], {})) for row in rows]
    return attrition.report([name for name, _ in RULES], objections, dropped, rows)


def diversity_of(rows: list[dict], kept: list[dict], seed: int) -> dict[str, dict]:
    """Return `diversity.compare` of "all rows" and "kept rows", and `diversity.by_group` of "domain" and "cell"."""
    texts = {"all rows": [row["instruction"] for row in rows if row.get("instruction")]}
    texts["kept rows"] = [row["instruction"] for row in kept]
    return diversity.compare(texts, seed=seed) | {
        key: diversity.by_group(rows, kept, key, seed=seed) for key in ("domain", "cell")
    }


def verified_of(train: list[dict], judged: list[dict]) -> dict:
    """Return `verify.report` of the training rows that carry constraints, and of the sampled requests."""
    return verify.report([data.flat(row) for row in train if "constraints" in row], judged)


def card_of(
    *,
    generator: dict,
    engine: str,
    params: Any,
    counts: dict[str, int],
    asked: dict[str, int],
    sft: dict[str, list[dict]],
    kept: list[dict],
    found: dict,
    diverse: dict[str, dict],
    verified: dict,
) -> str:
    """Return the dataset card.

    `params` are all of params.yaml, `asked` is how many items the evaluation has by suite; the rest is what the
    functions above return.
    """
    return card.dataset_card(
        name=name_of(generator),
        generator=generator,
        engine=engine,
        seed=params.seed,
        sampling={
            "instruction": [cell.model_dump() for cell in params.generate.instruction],
            "response": params.generate.response.model_dump(),
            **({"response to a request with constraints": params.verify.sampling.model_dump()} if verified else {}),
        },
        counts=counts | {split: len(rows) for split, rows in sft.items()},
        rules=card.rule_texts(RULES),
        thresholds=params.filter.model_dump(),
        diversity={name: diverse[name] for name in ("all rows", "kept rows")},
        limits=card.usual_limits(generator),
        language=params.filter.language,
        domains={name: domain.model_dump() for name, domain in params.generate.domains.items()},
        response_system=params.generate.response_system,
        attrition=found,
        by_domain=diverse["domain"],
        by_cell=diverse["cell"],
        verified=verified,
        decontamination={
            "removed": counts["dropped_contaminated"],
            "sets": asked,
        },
        masked=Counter(kind for row in kept for kind in row.get("masked", ())),
    )


def croissant_of(generator: dict, files: dict[str, Path], language: str | None) -> dict:
    """Return the Croissant metadata of the SFT files (split -> path)."""
    return croissant.metadata(
        name=name_of(generator),
        description=f"Instruction-response pairs written by {generator['name']}, filtered by rule.",
        license=generator["license"],
        files=files,
        language=language,
        limits=card.usual_limits(generator),
    )


def name_of(generator: dict) -> str:
    return f"Instruction data by {generator['name']}"
