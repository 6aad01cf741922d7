"""The flat metrics of a method, from the rows of its evaluation and the record of its training."""

from statistics import mean

from tuner import intrinsic

SUITES = ("instruction_following", "knowledge", "agent")
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

    `eval_loss` is in nats per completion token; shares are of items right. `preference_accuracy` is the share of
    validation pairs whose chosen answer gained more log-probability over the base than the rejected one (ties count
    half, so the base itself has 0.5), `reward_margin` the mean of that gain in nats. DPO's `train_seconds` include
    those of the adapter it started from. The measures of `intrinsic.of_rows` are among them. Suites that were
    asked for have the keys of OPTIONAL (`ifbench_instructions` is the share of instructions followed, an item having
    one or two), public benchmarks their names. With several seeds all are means over them.
    """
    shares = {suite: [row["correct"] for row in rows if row["suite"] == suite] for suite in SUITES}
    for axis in AGENT_AXES:
        shares[f"agent_{axis}"] = [row["correct"] for row in rows if (row["suite"], row["axis"]) == ("agent", axis)]
    shares["valid_format"] = [row["valid_format"] for row in rows if "valid_format" in row]
    if function_calls := [row["correct"] for row in rows if row["suite"] == "bfcl"]:
        shares["bfcl"] = function_calls
    if harder := [row for row in rows if row["suite"] == "ifbench"]:
        shares["ifbench"] = [row["correct"] for row in harder]
        shares["ifbench_loose"] = [row["correct_loose"] for row in harder]
        shares["ifbench_instructions"] = [followed for row in harder for followed in row["followed"]]
    loss = [row for row in rows if row["suite"] == "loss"]
    gains = preference_gains(rows, base)
    trained = record["train_info"] if record else UNTRAINED
    return {
        "eval_loss": round(sum(row["nll"] for row in loss) / sum(row["tokens"] for row in loss), 5),
        **{name: round(mean(values), 4) for name, values in shares.items()},
        "preference_accuracy": round(mean((gain > 0) + (gain == 0) / 2 for gain in gains), 4),
        "reward_margin": round(mean(gains), 4),
        **intrinsic.of_rows(rows, base),
        **{name: trained[name] for name in UNTRAINED},
        "train_seconds": trained.get("train_seconds_with_start", trained["train_seconds"]),
        **{row["axis"]: round(row["value"], 4) for row in rows if row["suite"] == "lm_eval"},
    }


def preference_gains(rows: list[dict], base: list[dict]) -> list[float]:
    """Return for each validation pair how many nats chosen over rejected gained against the base."""

    def margins(found: list[dict]) -> list[tuple[str, float]]:
        return [(row["id"], row["logp_chosen"] - row["logp_rejected"]) for row in found if row["suite"] == "preference"]

    its = dict(margins(base))
    return [margin - its[name] for name, margin in margins(rows)]
