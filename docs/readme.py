"""Fill the generated blocks of README.md and other pages from the committed metrics, or check them.

python docs/readme.py           rewrite the blocks
python docs/readme.py --check   exit 1 when a block differs
"""

import argparse
import ast
import csv
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import cost_tables  # noqa: E402
from benchmarks import results as claims  # noqa: E402
from tuner import io, params, result_tables  # noqa: E402


def results(root: Path) -> str:
    """Return the results table from metrics/*.json."""
    comparison = io.read_json(root / "metrics/comparison.json")
    methods = ["base", *(name for name in comparison if (root / f"metrics/{name}.json").exists())]
    return result_tables.methods({name: io.read_json(root / f"metrics/{name}.json") for name in methods}, comparison)


def between(root: Path) -> str:
    """Return the table of methods against each other from metrics/comparison.json."""
    return result_tables.pairs(io.read_json(root / "metrics/comparison.json"))


def filtered(root: Path) -> str:
    """Return what the filters kept and dropped, in one sentence."""
    counts = io.read_json(root / "metrics/filter.json")
    prefix = "dropped_"
    reasons = {name.removeprefix(prefix).replace("_", " "): n for name, n in counts.items() if name.startswith(prefix)}
    named = ", ".join(f"{n} {name}" for name, n in sorted(reasons.items(), key=lambda pair: -pair[1]) if n)
    pairs, verified = (io.read_json(root / f"metrics/{name}.json") for name in ("prefer", "verify"))
    origins = ", ".join(f"{n} {origin.replace('_', '-')}" for origin, n in verified["origin"].items())
    return (
        f"{counts['in']} generated rows, {counts['kept']} kept ({counts['train']} train, {counts['validation']} "
        f"validation), {counts['dropped']} dropped ({named}). {verified['rows']} rows with checked "
        f"constraints ({origins}) join the training rows. {pairs['train']} preference pairs to train on and "
        f"{pairs['validation']} to validate.\n"
    )


def quality(root: Path) -> str:
    """Return what benchmarks/results.json says of the filters, their speed, of scores and of rows in other batches."""
    claims = io.read_json(root / "benchmarks/results.json")

    def shown(name: str, scale: int = 100, unit: str = " %") -> str:
        claim = claims[name]
        ends = ", ".join(f"{scale * claim[end]:.{0 if scale == 100 else 2}f}" for end in ("low", "high"))
        return f"{scale * claim['value']:.{0 if scale == 100 else 2}f}{unit} [{ends}]"

    changed = {
        plan: f"{100 * claims[f'rows_changed_openvino_{plan}']['value']:.0f} %"
        for plan in ("reversed", "batches_of_16")
    }
    rows = claims["rows_changed_openvino_reversed"]["rows"]
    chance = {
        score: shown(f"judge_{score}_useful", 1, "")
        for score in ("likelihood", "mutual_information", "contrast_reward")
    }
    speed = ", ".join(f"{claims[f'filter_rows_per_cpu_second_{10**n}']['value']:,}" for n in (4, 5, 6))
    return (
        f"- Of rows that the filters object to, {shown('filter_precision')} have a defect that their reader saw; of "
        f"rows with such a defect, {shown('filter_recall')} are found (labelled rows that nothing was tuned on; "
        "[how they were labelled](tests/labels/README.md)). What is missed is mostly code that goes round in circles "
        "and short answers that do not answer.\n"
        f"- Of {claims['useless_without_objection']['rows']} labelled rows that no filter objects to, "
        f"{shown('useless_without_objection')} were useless to their reader all the same: invented facts, wrong code, "
        "senseless premises.\n"
        "- No score at hand tells useful rows from others (area under the ROC curve, 0.5 is chance): likelihood "
        f"{chance['likelihood']}, mutual information of instruction and answer {chance['mutual_information']}, "
        f"contrast reward {chance['contrast_reward']}. So `filter.judged_share` is 0.\n"
        f"- Instructions that openvino samples in another order differ in {changed['reversed']} of cases, in batches "
        f"of 16 in {changed['batches_of_16']} ({rows} rows). The pipeline fixes its batches by row number all the "
        "same, so that resumes and quotas change nothing.\n"
        f"- Filtering streams, on one core: {speed} rows a second of CPU time with ten thousand, a hundred thousand "
        f"and a million rows (time ~ rows^{claims['filter_time_exponent']['value']:.2f}). A million took "
        f"{claims['filter_peak_memory_1000000']['value']} MiB at most, which the index of near duplicates grows by "
        f"{claims['filter_index_bytes_per_row']['value']} bytes a kept row.\n"
    )


# Claims of benchmarks/results.json -> what was done, and by whom beside this project.
PEERS = {
    "generation_against_distilabel": ("Magpie rows", "distilabel's Magpie with its TransformersLLM, 12 of the rows"),
    "generation_against_transformers": ("Magpie rows", "transformers' `generate`"),
    "generation_against_llama_cpp": ("Magpie rows", "llama.cpp, parallel sequences"),
    "generation_against_vllm": ("Magpie rows", "vLLM on the CPU"),
    "generation_bfloat16_against_vllm": ("Magpie rows in bfloat16", "vLLM on the CPU"),
    "adapter_sampling_lora_greedy": ("greedy replies with LoRA on", "`generate` with PEFT"),
    "adapter_sampling_ia3_greedy": ("greedy replies with IA3 on", "`generate` with PEFT"),
    "adapter_sampling_prompt_tuning_greedy": ("greedy replies with prompt tuning on", "`generate` with PEFT"),
    "train_lora_speed_against_trl": ("training LoRA", "TRL's SFTTrainer"),
    "train_dpo_speed_against_trl": ("training DPO", "TRL's DPOTrainer"),
    "lm_eval_speed_knowledge": ("scoring choices", "lm-evaluation-harness"),
    "lm_eval_speed_instruction_following": ("replies to items", "lm-evaluation-harness"),
}


def peers(root: Path) -> str:
    """Return how fast this is beside other tools, from benchmarks/results.json."""
    claims = io.read_json(root / "benchmarks/results.json")
    lines = [
        "| work | unit | peer | with AVX-512: here, there | ratio | with AVX2 alone: here, there | ratio |",
        "|:--|:--|:--|:--|--:|:--|--:|",
    ]
    for name, (work, peer) in PEERS.items():
        wide, narrow = claims.get(name), claims.get(f"{name}_avx2")
        claim = wide or narrow
        version = claim["peer_version"].partition("; ")[0].partition(", generate")[0].partition(", hf")[0]
        cells = [work, claim["unit"].removeprefix("ratio of "), f"{peer} ({version.replace('==', ' ')})"]
        for one in (wide, narrow):
            cells += ["", ""] if one is None else [_sides(one), f"**{one['value']:.1f}**"]
        lines.append("| " + " | ".join(cells) + " |")
    alone = [claims[name]["ratio_instructions"] for name in PEERS if name.endswith("_vllm")]
    rensa, idle = claims["duplicate_index_time_against_rensa"], claims["dvc_repro_with_nothing_to_do"]
    names = ("train_lora_share_of_ceiling", "train_lora_share_of_ceiling_avx2", "sampling_share_of_ceiling_openvino")
    shares = [f"{100 * claims[name]['value']:.0f} %" for name in names]
    return (
        "On two CPU cores, with the default model: the same weights, lengths and stop rules on both sides, ours in "
        "float32 where it does not say otherwise and the peer in the format beside its number, in one run of a "
        "script that installs the peer where it needs to. [Every command](benchmarks/README.md).\n\n"
        + "\n".join(lines)
        + f"\n\nSlower than a peer: instructions without their answers beside vLLM ({alone[0]:.2f} times as fast with "
        f"AVX-512, in bfloat16 {alone[1]:.2f}), and the index of near duplicates beside rensa ({rensa['ours']:.0f} "
        f"against {rensa['peer']:.0f} us a row, in {claims['duplicate_index_bytes_against_rensa']['value']:.2f} of its "
        f"memory). `dvc repro` with nothing to do takes {idle['value']:.2f} times as long as `dvc status`. Of what a "
        f"CPU with AVX-512 does in float32 matrix products alone, training LoRA reaches {shares[0]} (with AVX2 alone "
        f"{shares[1]}, so there is less to gain) and openvino's writing of replies {shares[2]}.\n"
    )


def _sides(claim: dict) -> str:
    """Return both rates of a claim, and in which setting the peer was fastest."""
    settings = ast.literal_eval(claim["peer_version"].partition("; ")[2] or "{}")
    words = {"dtype": "{}", "weights": "weights in {}", "batch": "batches of {}", "sequences": "{} sequences"}
    chosen = ", ".join(words[name].format(value) for name, value in settings.items())
    return f"{claim['ours']:.3g}, {claim['peer']:.3g}" + f" ({chosen})" * bool(chosen)


def harder(root: Path) -> str:
    """Return what benchmarks/ifbench.py measured, in sentences."""
    claims = {
        name.removeprefix("ifbench_"): claim
        for name, claim in io.read_json(root / "benchmarks/results.json").items()
        if name.startswith("ifbench_")
    }
    base, yes = claims.pop("base"), claims.pop("yes")

    def percent(value: float, sign: str = "") -> str:
        return f"{100 * value:{sign}.1f}"

    def range_(claim: dict, sign: str = "") -> str:
        return f"[{percent(claim['low'], sign)}, {percent(claim['high'], sign)}]"

    told = ", ".join(
        f"{name} {percent(claim['strict'])} % ({percent(claim['value'], '+')} points {range_(claim, '+')})"
        for name, claim in claims.items()
    )
    return (
        f"Of {base['items']} prompts of IFBench the base follows {percent(base['value'])} % {range_(base)}, {told}; "
        f'"Yes." follows {percent(yes["value"])} %, for the suite does not ask whether a reply answers. '
        f"`{base['command']}` repeats it.\n"
    )


def rates(root: Path) -> str:
    """Return the table of docs/tune.csv, which benchmarks/tune.py writes, and how a rate is chosen."""
    with (root / "docs/tune.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    before = 100 * float(rows[0]["instruction_following_base"])
    lines = ["| method | learning rate | validation loss | validation items followed | |", "|:--|--:|--:|--:|:--|"]
    for row in rows:
        taken = "taken" if int(row["best"]) else ""
        followed = f"{100 * float(row['instruction_following']):.1f} %"
        rate, loss = float(row["learning_rate"]), float(row["eval_loss"])
        lines.append(f"| {row['method']} | {rate:g} | {loss:.3f} | {followed} | {taken} |")
    shipped = params.load(root / "params.yaml").adapters
    taken = {row["method"]: float(row["learning_rate"]) for row in rows if int(row["best"])}
    others = [
        f"{name} still runs at {shipped[name].learning_rate:g}"
        for name, rate in taken.items()
        if shipped[name].learning_rate != rate
    ]
    grids = {name: sorted(float(row["learning_rate"]) for row in rows if row["method"] == name) for name in taken}
    outer = [f"{name}'s {rate:g}" for name, rate in taken.items() if rate in (grids[name][0], grids[name][-1])]
    edges = f"\nAt the edge of its grid, so a rate beyond may do better: {', '.join(outer)}.\n" if outer else ""
    note = f"\nThe default run above is older than the last of these trials: {', '.join(others)}.\n" if others else ""
    return (
        "`make tune` tries as many rates for each method, on validation data alone: the loss of the validation rows "
        f"(before training {float(rows[0]['first_eval_loss']):.3f}), and how many items made as the evaluation's are, "
        f"but from another seed, are followed (before training {before:.1f} %). The two pull apart: high rates teach "
        "constraints at the cost of the text. Of the rates that lower the loss, those within one standard error of the "
        "best at following count as equal, and the one with the lowest loss is taken.\n\n"
        + "\n".join(lines)
        + "\n"
        + edges
        + note
    )


def ablation(root: Path) -> str:
    """Return the table of docs/prompt_tuning.csv, which benchmarks/prompt_tuning.py writes."""
    with (root / "docs/prompt_tuning.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    base = float(rows[0]["eval_loss_base"])
    lines = [
        "| run | training loss, first and last tenth | validation loss | to the untouched model |",
        "|:--|--:|--:|--:|",
    ]
    for row in rows:
        first, last, loss = (float(row[name]) for name in ("first_train_loss", "last_train_loss", "eval_loss"))
        gain = f"{loss - base:+.3f}".replace("-", "\N{MINUS SIGN}")
        lines.append(f"| {row['run']} | {first:.2f}, {last:.2f} | {loss:.3f} | {gain} |")
    return (
        f"{len(rows)} prompts of 20 tokens, trained on the same rows for {rows[0]['steps']} steps, and judged alike "
        f"(untouched model: {base:.3f}). The first is how a public comparison came to call the method hopeless: rows "
        "padded to four times their mean length with the padding learned, which its training loss mostly measures, a "
        "start drawn from N(0, 1), and LoRA's learning rate.\n\n" + "\n".join(lines) + "\n"
    )


def claimed(root: Path) -> str:
    """Return every entry of benchmarks/results.json."""
    return "\n" + claims.page(io.read_json(root / "benchmarks/results.json"))


# Page -> block -> what fills it.
PAGES = {
    "README.md": {
        "results": results,
        "between": between,
        "filtered": filtered,
        "quality": quality,
        "rates": rates,
        "ablation": ablation,
        "peers": peers,
        "ifbench": harder,
    },
    "benchmarks/README.md": {"claims": claimed},
    "docs/cost.md": cost_tables.BLOCKS,
}


def filled(text: str, root: Path, page: str = "README.md") -> str:
    """Return a page's text with each `<!-- generated: name -->` block filled anew."""
    for name, block in PAGES[page].items():
        pattern = re.compile(rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)", re.S)
        if not pattern.search(text):
            raise SystemExit(f"{page}: no block <!-- generated: {name} --> ... <!-- end -->")
        text = pattern.sub(lambda match, block=block: match[1] + block(root) + match[2], text)
    return text


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing, exit 1 when a page is out of date")
    arguments = parser.parse_args()
    for page in PAGES:
        before = (ROOT / page).read_text(encoding="utf-8")
        after = filled(before, ROOT, page)
        if arguments.check and after != before:
            sys.exit(f"{page} does not show what is committed; run `make readme`")
        (ROOT / page).write_text(after, encoding="utf-8")
