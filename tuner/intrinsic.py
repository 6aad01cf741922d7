"""What the replies are like, apart from being right: their length, whether they end, how varied they are, forgetting.

From the rows of an evaluation. A measure that these rows do not allow is None (no number), never 0.
"""

import math
from collections import Counter
from itertools import pairwise
from statistics import mean

from tuner.replies import words
from tuner.win_rate import length_controlled

# Word bigrams an instruction-following item that distinct_2 is taken over: few, so that short replies have as many.
BIGRAMS_PER_ITEM = 20
REPLIED = ("instruction_following", "agent")  # suites whose replies are measured: every evaluation has them


def of_rows(rows: list[dict], base: list[dict]) -> dict[str, float | None]:
    """Return the measures of a method from its rows and the base's.

    `reply_tokens`: mean length of the first replies, in tokens. `never_stops`: share of them that reached max_tokens
    without an end of turn. `distinct_2`: see there. `forgetting`: nats per token on general text minus the base's.
    `win_rate`: share of instruction-following replies that the judge prefers to the base's with ties as half, and
    `win_rate_length_controlled` the same were replies equally long (`win_rate.length_controlled`), both 0 to 1; None
    where no judge is set.
    """
    replies = [row for row in rows if row["suite"] in REPLIED]
    asked = [row for row in rows if row["suite"] == "instruction_following"]
    judged = judgements(rows, base)
    return {
        "reply_tokens": round(mean(row["reply_tokens"] for row in replies), 2),
        "never_stops": round(mean(row["finish"] == "length" for row in replies), 4),
        "distinct_2": distinct_2([row["reply"] for row in asked], BIGRAMS_PER_ITEM * len(asked)),
        "forgetting": round(_nats(rows) - _nats(base), 5),
        "win_rate": round(mean(won for won, _ in judged), 4) if judged else None,
        "win_rate_length_controlled": round(length_controlled(judged)["win_rate"], 4) if judged else None,
    }


def _nats(rows: list[dict]) -> float:
    found = [row for row in rows if row["suite"] == "general_text"]
    return sum(row["nll"] for row in found) / sum(row["tokens"] for row in found)


def distinct_2(replies: list[str], drawn: int) -> float | None:
    """Return the share of distinct word bigrams expected among `drawn` of all bigrams of the replies; None below that.

    The share of distinct bigrams falls with the length of a text, so methods that write longer would look poorer.
    Therefore it is taken over the same number for every method, as the mean over all draws of that many without
    replacement (rarefaction, Hurlbert 1971, Ecology 52:577): sum over bigrams of 1 - C(N - count, n) / C(N, n), over n.
    """
    counts = Counter(pair for reply in replies for pair in pairwise(words(reply)))
    every = sum(counts.values())
    if drawn < 1 or every < drawn:
        return None

    def log_choose(n: int) -> float:
        return math.lgamma(n + 1) - math.lgamma(drawn + 1) - math.lgamma(n - drawn + 1)

    missed = {
        count: math.exp(log_choose(every - count) - log_choose(every)) if every - count >= drawn else 0.0
        for count in set(counts.values())
    }
    return round(sum(1 - missed[count] for count in counts.values()) / drawn, 4)


def judgements(rows: list[dict], base: list[dict]) -> list[tuple[float, int]]:
    """Return (1 won, 0.5 tied or 0 lost against the base's reply, tokens longer than it) of each judged item."""
    its = {row["id"]: row for row in base if "judge_score" in row}
    mine = [row for row in rows if "judge_score" in row]
    if {row["id"] for row in mine} != its.keys():
        raise ValueError("the judge has scored other items for the base than for a method; evaluate both again")
    return [
        (
            (row["judge_score"] > its[row["id"]]["judge_score"]) / 2
            + (row["judge_score"] >= its[row["id"]]["judge_score"]) / 2,
            row["reply_tokens"] - its[row["id"]]["reply_tokens"],
        )
        for row in mine
    ]
