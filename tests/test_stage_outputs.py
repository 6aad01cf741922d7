"""What single stages hand on: which rows go where, and files that are the same every time."""

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
from closure import ROOT
from scripts import declared
from test_stages import SPLITS, STAGES

from tuner import metrics


def main_of(script: str, monkeypatch):
    """Return the `main` of a script, to be called here."""
    monkeypatch.syspath_prepend(STAGES)
    return runpy.run_path(str(STAGES / f"{script}.py"))["main"]


def shipped(**changes):
    """Return params.yaml with some of its sections' values changed."""
    from tuner import params

    found = params.load(ROOT / "params.yaml")
    sections = {name: getattr(found, name).model_copy(update=new) for name, new in changes.items()}
    return found.model_copy(update=sections)


def put(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_candidates_are_sampled_under_the_prompt_for_answers_and_rows_hold_the_plain_one(
    tiny, tokenizer, loaded, runtime, monkeypatch, tmp_path
):
    from tuner import engine, io, template
    from tuner.params import Sampling

    sampling = Sampling(temperature=1.0, top_k=0, top_p=1.0, repetition_penalty=1.0, max_new_tokens=6)
    rows = [
        {
            "id": n,
            "prompt": [{"role": "user", "content": text}],
            "completion": [{"role": "assistant", "content": "garden"}],
        }
        for n, text in enumerate(("read", "cook", "run"))
    ]
    paths = SimpleNamespace(
        model=tiny,
        train=put(tmp_path / "train", rows[:2]),
        validation=put(tmp_path / "validation", rows[2:]),
        candidates=tmp_path / "candidates",
    )
    keys, scratch = [], io.scratch
    monkeypatch.setattr(io, "scratch", lambda root, name, key: keys.append(key) or scratch(root, name, key))
    main, found = main_of("candidates", monkeypatch), {}
    for system in ("You are a helpful garden model", "short", None):
        values = shipped(
            candidates={"prompts": 9, "per_prompt": 2, "engine": "transformers", "sampling": sampling},
            reward={"prompts": 1},
            generate={"response_system": system},
        ).model_copy(update={"runtime": runtime})
        main(paths, values, tmp_path / "work")
        found[system] = read(paths.candidates)
    sampler = engine.TransformersEngine(loaded, tokenizer, 8)
    for system, made in found.items():
        assert [(row["id"], row["split"]) for row in made] == [(1, "train"), (2, "validation")]
        for row in made:
            assert row["prompt"] == rows[row["id"]]["prompt"]
            before = [{"role": "system", "content": system}] if system else []
            ids = template.prompt_ids(tokenizer, [*before, *row["prompt"]])
            again = sampler.sample([ids] * 2, [answer["seed"] for answer in row["answers"]], [sampling] * 2)
            assert [tokenizer.decode(one.ids).strip() for one in again] == [one["text"] for one in row["answers"]]
    texts = {json.dumps([row["answers"] for row in made]) for made in found.values()}
    assert len(texts) == len(set(keys)) == 3


def test_no_validation_row_gets_from_a_request_into_the_training_rows(monkeypatch, tmp_path):
    from tuner import engine, generate

    texts = ("How do bees make honey?", "Why is the sky blue?", "How do I learn the guitar?", "What is a river?")
    kept = [{"id": n, "instruction": text, "response": "It is so. It was so."} for n, text in enumerate(texts)]
    plain = [
        {
            "id": row["id"],
            "prompt": [{"role": "user", "content": row["instruction"]}],
            "completion": [{"role": "assistant", "content": row["response"]}],
        }
        for row in kept
    ]

    def answered(sampler, prompts, sampling, **_):
        good, bad = (
            {"text": text, "finish": "stop", "seed": 1} for text in ("it is so because of many small things.", "Large.")
        )
        return [{**row, "answers": [good, bad]} for row in prompts]

    monkeypatch.setattr(generate, "answers", answered)
    monkeypatch.setattr(engine, "choose", lambda *_: "transformers")
    monkeypatch.setattr(engine, "load", lambda *_: None)
    (tmp_path / "model").mkdir()
    paths = SimpleNamespace(
        model=tmp_path / "model",
        kept=put(tmp_path / "kept", kept),
        train=put(tmp_path / "train", plain[:2]),
        validation=put(tmp_path / "validation", plain[2:]),
        **{name: tmp_path / name for name in ("sft_train", "sft_validation", "judged")},
    )
    values = shipped(verify={"requests": 2, "families": ["lowercase", "no_digits"]})
    main_of("verify", monkeypatch)(paths, values, tmp_path / "work")
    judged, learned = read(paths.judged), read(paths.sft_train)
    assert {row["split"] for row in judged if row["origin"] == "edited"} <= set(SPLITS)
    assert not any("draft" in row for row in learned)
    judged = [row for row in judged if row["origin"] == "sampled"]
    assert {(row["split"], row["source"] in (2, 3)) for row in judged} == {("train", False), ("validation", True)}
    assert sum(row["split"] == "validation" for row in judged) == 2
    assert any(answer["passed"] for row in judged if row["split"] == "validation" for answer in row["answers"])
    held_out = read(paths.sft_validation)
    assert held_out[:2] == [row | {"id": str(row["id"])} for row in plain[2:]]  # text, as those of the other rows
    assert {row["source"] for row in held_out[2:]} <= {2, 3} and held_out[2:]
    assert [row["prompt"] for row in learned[:2]] == [row["prompt"] for row in plain[:2]]
    assert "sampled" in {row["origin"] for row in learned[2:]}
    assert {row["source"] for row in learned[2:]} <= {0, 1}
    prompts = {split: {row["prompt"][0]["content"] for row in judged if row["split"] == split} for split in SPLITS}
    assert not prompts["validation"] & (prompts["train"] | {row["prompt"][0]["content"] for row in learned})


def preferred(monkeypatch, tmp_path, scored: list[dict], judged: list[dict], **prefer):
    paths = SimpleNamespace(
        scored=put(tmp_path / "scored", scored),
        judged=put(tmp_path / "judged", judged),
        **{name: tmp_path / f"{name}.out" for name in (*SPLITS, "metrics")},
    )
    said = main_of("prefer", monkeypatch)(paths, shipped(prefer=prefer), tmp_path)
    pairs = {split: read(getattr(paths, split)) for split in SPLITS}
    return said, pairs, json.loads(paths.metrics.read_text())


def prompt_of(name: str, split: str, *answers: dict) -> dict:
    return {"id": name, "split": split, "prompt": [{"role": "user", "content": name}], "answers": list(answers)}


def test_prefer_writes_the_pairs_of_its_policy_by_split(monkeypatch, tmp_path):
    good, bad = ({"text": text, "finish": "stop", "reward": reward} for text, reward in (("good", 2.0), ("bad", 0.0)))
    met, not_met = good | {"met": [True], "passed": True}, bad | {"met": [False], "passed": False}
    scored = [prompt_of(f"scored {split}", split, good, bad) for split in (*SPLITS, "train again")]
    scored[2]["split"] = "train"
    judged = [prompt_of(f"judged {split}", split, met, not_met) for split in SPLITS]
    said, pairs, counts = preferred(monkeypatch, tmp_path, scored, judged, verified_pairs=0)
    assert said == "max_min, 3 prompts, 2 train and 1 validation pairs"
    assert {split: [row["id"] for row in rows] for split, rows in pairs.items()} == {
        "train": ["scored train", "scored train again"],
        "validation": ["scored validation"],
    }
    assert (counts["in"], counts["train"], counts["validation"], counts["mean_margin"]) == (3, 2, 1, 2.0)
    said, pairs, counts = preferred(monkeypatch, tmp_path, scored, judged, policy="verified")
    assert said == "verified, 2 prompts, 1 train and 1 validation pairs"
    assert [rows[0]["id"] for rows in pairs.values()] == ["judged train", "judged validation"]
    said, pairs, counts = preferred(monkeypatch, tmp_path, scored, judged, verified_pairs=5)
    assert said == "max_min, 3 prompts, 3 train and 2 validation pairs, 2 of them verified"
    assert [row["id"] for row in pairs["validation"]] == ["scored validation", "judged validation"]
    assert all(type(value) in (int, float) for value in counts.values())


def test_prefer_says_what_it_dropped_where_a_split_has_no_pair(monkeypatch, tmp_path):
    from tuner.errors import UserError

    cut = {"text": "cut", "finish": "length", "reward": 0.0}
    with pytest.raises(UserError, match=r"no train pairs from 2 prompts \(dropped: no_finished_answer 2\)"):
        preferred(monkeypatch, tmp_path, [prompt_of(split, split, cut) for split in SPLITS], [])
    assert not list(tmp_path.glob("*.out"))


def evaluated(gain: float) -> list[dict]:
    """Return rows as the evaluation writes them; `gain` nats a token saved on the loss."""
    words = {
        "messages": [{"role": "user", "content": "Who?"}],
        "reference": {},
        "engine": "openvino",
        "reply": "|```<b>",
        "valid_format": True,
        "correct_loose": True,
        "finish": "stop",
        "reply_tokens": 5,
    }
    axes = [("instruction_following", "title"), *(("agent", axis) for axis in metrics.AGENT_AXES)]
    rows = [{"id": f"loss-{n}", "suite": "loss", "axis": "loss", "nll": 9.0 + n - gain, "tokens": 9} for n in range(6)]
    rows += [
        {"id": f"text-{n}", "suite": "general_text", "axis": "general_text", "nll": 9.0 + gain, "tokens": 3}
        for n in range(3)
    ]
    right = [{"correct": n < 3, "correct_raw": n < 2, "choices": ["a", "b"]} for n in range(6)]
    rows += [{"id": f"knowledge-{n}", "suite": "knowledge", "axis": "units", **one} for n, one in enumerate(right)]
    rows += [
        {"id": f"{axis}-{n}", "suite": suite, "axis": axis, "correct": n < 2, **words}
        for suite, axis in axes
        for n in range(4)
    ]
    logps = {"logp_chosen": gain - 3.0, "logp_rejected": -2.0}
    return [*rows, {"id": "preference-1", "suite": "preference", "axis": "preference", **logps}]


def trained(method: str) -> dict:
    numbers = {"rows": 340, "train_seconds": 150.0, "tokens_per_second": 80.0, "peak_memory_megabytes": 900}
    numbers |= {"trainable_parameters": 1000, "total_parameters": 101_000, "adapter_megabytes": 0.5}
    machine = {"device": "cpu", "device_name": "A processor", "threads": 2, "dtype": "float32"}
    return {"run_info": {"method": method}, "train_info": numbers, "meta_info": machine}


def comparing(monkeypatch, tmp_path: Path, **compare) -> SimpleNamespace:
    """Run the compare stage on made evaluations, without its figures; return its paths."""
    from tuner import figures

    names = declared("compare")
    paths = SimpleNamespace(**{name: tmp_path / name for name in (*names["reads"], *names["writes"])})
    values = shipped(compare=compare)
    folders = (paths.items, paths.records, paths.curves, paths.validation_curves)
    for folder in folders:
        folder.mkdir(exist_ok=True)
    for number, method in enumerate(["base", *values.methods, "dpo"]):
        put(paths.items / f"{method}.jsonl", evaluated(0.1 * number))
        if method == "base":
            continue
        record = trained(method)
        if method == "dpo":
            record["run_info"]["start"] = values.dpo.adapter
            record["train_info"] |= {"rows": 18, "train_seconds_with_start": 300.0}
        (paths.records / f"{method}.json").write_text(json.dumps(record))
        for folder in folders[2:]:
            (folder / f"{method}.csv").write_text("step,loss\n1,2.0\n")
    paths.filter.write_text(json.dumps({"in": 250, "kept": 100, "train": 85, "validation": 4}))
    paths.verified.write_text(json.dumps({"rows": 255}))
    monkeypatch.setattr(figures, "write_all", lambda folder, *_: folder.mkdir())
    main_of("compare", monkeypatch)(paths, values, tmp_path)
    return paths


def test_compare_writes_what_it_declares_and_tells_people_in_their_language(monkeypatch, tmp_path):
    from tuner.report_phrases import PHRASES

    pages = {}
    for language, words in PHRASES.items():
        paths = comparing(monkeypatch, tmp_path, language=language, price_per_hour=12.0)
        assert all(getattr(paths, name).exists() for name in declared("compare")["writes"])
        pages[language] = paths.report.read_text(encoding="utf-8")
        assert pages[language].startswith(f"# {words['title']}\n")
        assert paths.samples.read_text(encoding="utf-8").startswith(f"# {words['samples_title']}\n")
        assert paths.details.read_text(encoding="utf-8").startswith(f"# {words['details_title']}\n")
    model = shipped().student
    for part in (f"`{model}`", "100,000", "250", "255", "18", "300", "1.00"):  # 300 s at 12 an hour are 1.00
        assert all(part in page for page in pages.values()), part
    assert json.loads(paths.runs.read_text())["dpo"]["train_info"]["price"] == 0.5


def test_compare_writes_the_same_bytes_again(monkeypatch, tmp_path):
    found = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        paths = comparing(monkeypatch, tmp_path / name)
        found.append([path.read_bytes() for path in (paths.report, paths.details, paths.samples, paths.comparison)])
    assert found[0] == found[1]
