"""The flat metrics of a method, from the rows of its evaluation and the record of its training."""

from statistics import mean

from tuner import intrinsic

SUITES = ("instruction_following", "knowledge", "agent")
RAW = "knowledge_raw"  # knowledge by the choices' log-likelihoods as they are, not a character
OPTIONAL = ("bfcl", "ifbench", "ifbench_loose", "ifbench_instructions")  # of suites that params may leave out
AGENT_AXES = ("planning", "reasoning", "context", "feedback", "tool_use")
UNTRAINED = {
    "trainable_parameters": 0,
    "adapter_megabytes": 0.0,
    "train_seconds": 0.0,
    "tokens_per_second": 0.0,
    "peak_memory_megabytes": 0,
}
# Of every method, in the order of the file; the public benchmarks that were asked for come after them.
NAMES = (
    "eval_loss",
    *SUITES,
    RAW,
    *OPTIONAL,
    *(f"agent_{axis}" for axis in AGENT_AXES),
    "valid_format",
    "preference_accuracy",
    "reward_margin",
    "reply_tokens",
    "never_stops",
    "distinct_2",
    "forgetting",
    "win_rate",
    "win_rate_length_controlled",
    *UNTRAINED,
)


def of_method(rows: list[dict], base: list[dict], record: dict | None) -> dict[str, float | None]:
    """Return the metrics of a method from its rows, the base's rows and its training record (None: untrained).

    `eval_loss` is in nats per completion token; shares are of items right; `valid_format` is the share of the agent's
    replies in the form that was asked for. `preference_accuracy` is the share of
    validation pairs whose chosen answer gained more log-probability over the base than the rejected one (ties count
    half, so the base itself has 0.5), `reward_margin` the mean of that gain in nats. DPO's `train_seconds` include
    those of the adapter it started from. The measures of `intrinsic.of_rows` are among them. Suites that were
    asked for have the keys of OPTIONAL (`ifbench_instructions` is the share of instructions followed, an item having
    one or two), public benchmarks their names. With several seeds all are means over them.
    """
    seeds = [_of_rows(of_seed, base) for of_seed in by_seed(rows)]
    public: dict[str, list[float]] = {}
    for row in rows:
        if row["suite"] == "lm_eval":
            public.setdefault(row["axis"], []).append(row["value"])
    trained = record["train_info"] if record else UNTRAINED
    return {
        **{name: _mean([found[name] for found in seeds], 5 if name == "eval_loss" else 4) for name in seeds[0]},
        **{name: trained[name] for name in UNTRAINED},
        "train_seconds": trained.get("train_seconds_with_start", trained["train_seconds"]),
        **{name: _mean(values, 4) for name, values in public.items()},
    }


def by_seed(rows: list[dict]) -> list[list[dict]]:
    """Return the rows of each training seed, in the order of the seeds; one list where rows state none."""
    found: dict[int, list[dict]] = {}
    for row in rows:
        found.setdefault(row.get("seed", 0), []).append(row)
    return [found[seed] for seed in sorted(found)]


def _mean(values: list[float | None], places: int) -> float | None:
    return None if None in values else round(mean(values), places)


def _of_rows(rows: list[dict], base: list[dict]) -> dict[str, float | None]:
    """Return the metrics of one adapter, not rounded but for those of `intrinsic`."""
    shares = {suite: [row["correct"] for row in rows if row["suite"] == suite] for suite in SUITES}
    shares[RAW] = [row["correct_raw"] for row in rows if row["suite"] == "knowledge"]
    agent = [row for row in rows if row["suite"] == "agent"]
    if function_calls := [row["correct"] for row in rows if row["suite"] == "bfcl"]:
        shares["bfcl"] = function_calls
    if harder := [row for row in rows if row["suite"] == "ifbench"]:
        shares["ifbench"] = [row["correct"] for row in harder]
        shares["ifbench_loose"] = [row["correct_loose"] for row in harder]
        shares["ifbench_instructions"] = [followed for row in harder for followed in row["followed"]]
    for axis in AGENT_AXES:
        shares[f"agent_{axis}"] = [row["correct"] for row in agent if row["axis"] == axis]
    shares["valid_format"] = [row["valid_format"] for row in agent]
    loss = [row for row in rows if row["suite"] == "loss"]
    gains = preference_gains(rows, base)
    return {
        "eval_loss": sum(row["nll"] for row in loss) / sum(row["tokens"] for row in loss),
        **{name: mean(values) for name, values in shares.items()},
        "preference_accuracy": mean((gain > 0) + (gain == 0) / 2 for gain in gains),
        "reward_margin": mean(gains),
        **intrinsic.of_rows(rows, base),
    }


def preference_gains(rows: list[dict], base: list[dict]) -> list[float]:
    """Return for each validation pair how many nats chosen over rejected gained against the base."""

    def margins(found: list[dict]) -> list[tuple[str, float]]:
        return [(row["id"], row["logp_chosen"] - row["logp_rejected"]) for row in found if row["suite"] == "preference"]

    its = dict(margins(base))
    return [margin - its[name] for name, margin in margins(rows)]
