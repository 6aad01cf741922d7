"""Preference pairs from scored answers."""

from collections import Counter


def pairs(scored: list[dict], min_margin: float) -> tuple[list[dict], dict]:
    """Return (preference rows, counts): the best finished answer against the worst one, by reward.

    A scored row has `id`, `split`, `prompt` and `answers` of {"text", "finish", "reward"}. A prompt without two
    different answers, without a finished one, or with a margin below `min_margin` (in units of the reward) gives no
    pair, and the counts say so: in = kept + dropped, dropped = the sum of dropped_<reason>.
    """
    kept, reasons = [], Counter()
    for row in scored:
        finished = [answer for answer in row["answers"] if answer["finish"] == "stop" and answer["text"]]
        if not finished:
            reasons["no_finished_answer"] += 1
            continue
        chosen = max(finished, key=lambda answer: answer["reward"])
        others = [answer for answer in row["answers"] if answer["text"] not in ("", chosen["text"])]
        if not others:
            reasons["same_text"] += 1
            continue
        rejected = min(others, key=lambda answer: answer["reward"])
        if chosen["reward"] - rejected["reward"] < min_margin:
            reasons["small_margin"] += 1
        else:
            kept.append(
                {
                    "id": row["id"],
                    "split": row["split"],
                    "prompt": row["prompt"],
                    "chosen": [{"role": "assistant", "content": chosen["text"]}],
                    "rejected": [{"role": "assistant", "content": rejected["text"]}],
                    "reward_chosen": chosen["reward"],
                    "reward_rejected": rejected["reward"],
                }
            )
    named = {f"dropped_{reason}": reasons[reason] for reason in ("no_finished_answer", "same_text", "small_margin")}
    counts = {"in": len(scored), "kept": len(kept), "dropped": sum(reasons.values()), **named}
    return kept, counts
