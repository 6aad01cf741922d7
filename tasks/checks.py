"""What the tasks of this folder are made of: the items' files as data sets, prompts as ours, and our own checks."""

import json
import sys
from functools import partial
from pathlib import Path

from datasets import Dataset
from lm_eval.api.task import ConfigurableTask

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tuner import checks

SECOND_TURN = "feedback"  # its second turn answers the first reply, which no task of lm-evaluation-harness can do


def load(suite: str, items: str = "data/tasks", **_) -> dict[str, Dataset]:
    """Return the items of a suite, which `--metadata '{"items": FOLDER}'` takes from another folder.

    Items that are answered by text come as one column of JSON: their references differ, and a table would give each
    of them the keys of all.
    """
    rows = checks.read(items)[suite]
    if suite != "knowledge":
        rows = [{"id": row["id"], "item": json.dumps(row)} for row in rows if row["axis"] != SECOND_TURN]
    else:
        rows = [{name: row[name] for name in ("id", "axis", "question", "choices", "answer")} for row in rows]
    return {"test": Dataset.from_list(rows)}


instruction_following = partial(load, "instruction_following")
agent = partial(load, "agent")
bfcl = partial(load, "bfcl")
ifbench = partial(load, "ifbench")
knowledge = partial(load, "knowledge")


def judged(doc: dict, replies: list[str]) -> dict[str, float]:
    """Return the verdict of the item's check on a reply, and for the agent the same under the name of its axis."""
    item = json.loads(doc["item"])
    verdict = checks.CHECKS[item["suite"]](item, replies[0].strip())
    scores = {name: float(verdict[name]) for name in ("correct", "valid_format")}
    return scores | ({f"agent_{item['axis']}": scores["correct"]} if item["suite"] == "agent" else {})


class _Task(ConfigurableTask):
    def __init__(self, config: dict):
        super().__init__(config={name: value for name, value in config.items() if name != "class"})


class Conversation(_Task):
    """An item with all of its turns before the reply, and its own limit of tokens."""

    def fewshot_context(self, doc, num_fewshot, *, chat_template=None, **_):
        if chat_template is None:
            raise ValueError(f"{self.config.task} is asked under the chat template: add --apply_chat_template")
        return chat_template(json.loads(doc["item"])["messages"])

    def construct_requests(self, doc, ctx, **kwargs):
        request = super().construct_requests(doc, ctx, **kwargs)
        prompt, settings = request.arguments
        request.arguments = (prompt, settings | {"max_gen_toks": json.loads(doc["item"])["max_tokens"]})
        return request


class Question(_Task):
    """A bare question, whether or not a chat template is asked for."""

    def fewshot_context(self, doc, num_fewshot, **_):
        return self.doc_to_text(doc)

    def construct_requests(self, doc, ctx, **kwargs):
        return super().construct_requests(doc, ctx, **kwargs | {"apply_chat_template": False})
