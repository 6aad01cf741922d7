"""Public benchmarks by lm-evaluation-harness, on the model that the evaluation has loaded.

Replies are written under the chat template, choices and texts are scored without one, as our own suites are; few-shot
examples, prompts and metrics are the task's own.
"""

import importlib.util
import logging
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tuner.errors import UserError

SUITE = "lm_eval"  # of the row with a task's score
TOKENS_OF_A_CHOICE = 128  # a question with one of its choices; runtime.forward_tokens says how many fit one pass
INSTALL = "pip install -r requirements-lm-eval.txt"


def load(names: Sequence[str], taken: Sequence[str]) -> dict[str, dict]:
    """Return for each name what lm-evaluation-harness loads for it, {"tasks": ..., "groups": ...}, with its data.

    `names` are tasks, groups, tags, or paths of YAML files; none may be called as one of `taken`. UserError where the
    harness is not installed, does not know a name, cannot get its data, or where a task runs code that a model wrote.
    """
    if not names:
        return {}
    wanted = f"evaluate.lm_eval_tasks = {list(names)}"
    if importlib.util.find_spec("lm_eval") is None:
        raise UserError(f"{wanted}: lm-evaluation-harness is not installed; {INSTALL}")
    for name in ("lm_eval", "huggingface_hub"):  # the hub's client tells of each of many attempts
        logging.getLogger(name).setLevel(logging.ERROR)
    from lm_eval.tasks import TaskManager

    # Its own tasks are thousands of files, whose names take a while to read.
    manager = TaskManager(include_defaults=not all(Path(name).is_file() for name in names))
    found = {}
    for name in names:
        try:
            loaded = manager.load([name])
        except KeyError:
            known = "`lm_eval ls tasks` lists those there are"
            raise UserError(f"evaluate.lm_eval_tasks: no task, group or file is called {name!r}; {known}") from None
        except ImportError as error:
            raise UserError(f"evaluate.lm_eval_tasks: {name} needs {error.name or error}, which is not here") from None
        except (OSError, ValueError, RuntimeError) as error:
            why = " ".join(str(error).split())[:200]
            raise UserError(f"evaluate.lm_eval_tasks: the data of {name} cannot be had from the hub: {why}") from None
        if any(getattr(task, "UNSAFE_CODE", False) for task in loaded["tasks"].values()):
            raise UserError(f"evaluate.lm_eval_tasks: {name} runs code that the model writes; leave it out")
        found[name] = loaded
        for called in loaded["tasks"].keys() | loaded["groups"].keys():
            if called in taken:
                raise UserError(f"evaluate.lm_eval_tasks: {name}: a metric of this project is called {called!r}")
    return found


def rows(loaded: Mapping[str, dict], model, tokenizer, forward_tokens: int) -> list[dict[str, Any]]:
    """Return the rows of what `load` returned, for a model with or without an adapter.

    For each task or group one of suite SUITE: `axis` (its name), `metric` and `filter` (acc_norm where the task has it,
    else the task's first), `value`, `higher_is_better`, `shots` and `version`. Where the value is the mean of a 0 or 1
    for each sample, these follow as rows of the suite of its name, with `correct`, so that methods are compared item
    by item.
    """
    if not loaded:
        return []
    from lm_eval import evaluate
    from lm_eval.defaults import DEFAULT_OTHER_SEED
    from lm_eval.models.huggingface import HFLM
    from transformers import set_seed

    # Virtual tokens go before the text of one row; in a padded batch PEFT's `generate` puts them before the padding.
    learns_a_prompt = getattr(getattr(model, "active_peft_config", None), "is_prompt_learning", False)
    batch = 1 if learns_a_prompt else max(1, forward_tokens // TOKENS_OF_A_CHOICE)
    harness = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch)
    made = []
    for entry in loaded.values():
        set_seed(DEFAULT_OTHER_SEED)
        for task in entry["tasks"].values():
            task.set_fewshot_seed(DEFAULT_OTHER_SEED)  # the examples that its command line shows
        writes = any(task.OUTPUT_TYPE == "generate_until" for task in entry["tasks"].values())
        found = evaluate(harness, entry, bootstrap_iters=0, apply_chat_template=writes, fewshot_as_multiturn=writes)
        leaves = list(entry["tasks"])
        group = next(iter(entry["groups"]), None)  # those inside it come after it
        whole = {group: leaves} if group else {leaf: [leaf] for leaf in leaves}
        made += [row for called, parts in whole.items() for row in _of_task(found, called, parts)]
    return made


def _of_task(found: Mapping[str, Any], name: str, leaves: list[str]) -> list[dict[str, Any]]:
    """Return the rows of a task, or of a group of tasks, from the harness's results."""
    scores = {
        key: value
        for key, value in found["results"][name].items()
        if "," in key and "_stderr," not in key and isinstance(value, int | float)
    }
    if not scores:
        raise UserError(f"evaluate.lm_eval_tasks: {name} has no score of its own; name the tasks in it")
    key = next((key for key in scores if key.startswith("acc_norm,")), next(iter(scores)))
    metric, kind = key.split(",", 1)
    score = {
        "id": f"{SUITE}-{name}",
        "suite": SUITE,
        "axis": name,
        "metric": metric,
        "filter": kind,
        "value": scores[key],
        "higher_is_better": found["higher_is_better"].get(name, {}).get(metric),
        "shots": found["n-shot"].get(leaves[0]) or 0,
        "version": f"{found['versions'].get(name)}, lm_eval {version('lm_eval')}",
    }
    samples = [
        {"id": f"{leaf}-{sample['doc_id']}", "suite": name, "axis": leaf, "correct": sample.get(metric)}
        for leaf in leaves
        for sample in found["samples"][leaf]
        if sample["filter"] == kind
    ]
    values = [row["correct"] for row in samples]
    by_item = bool(values) and all(isinstance(value, int | float) and value in (0, 1) for value in values)
    if not by_item or abs(sum(values) / len(values) - score["value"]) > 1e-6:
        return [score]
    return [score, *({**row, "correct": bool(row["correct"])} for row in samples)]
