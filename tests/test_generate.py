import json
from pathlib import Path

import pytest
from closure import ROOT, closure

from tuner import generate, template
from tuner.engine import TransformersEngine
from tuner.errors import UserError
from tuner.params import Domain, Generate, Sampling

PURE = Sampling(temperature=1.0, top_k=0, top_p=1.0, repetition_penalty=1.0, max_new_tokens=24)
SETTINGS = Generate(
    rows=20,
    max_rows=200,
    turns=1,
    chunk=8,
    domains={
        "any": Domain(weight=2.0, system=None),
        "garden": Domain(weight=1.0, system="You are a helpful garden model"),
    },
    engine="transformers",
    instruction=[PURE, PURE.model_copy(update={"temperature": 0.7, "top_p": 0.9})],
    response=PURE.model_copy(update={"temperature": 0.8, "top_p": 0.9}),
    response_system=None,
)


class Bar:
    """What generate needs of a tqdm bar."""

    def __init__(self):
        self.count, self.notes = 0, []

    def update(self, count):
        self.count += count

    def set_postfix_str(self, text, refresh=True):
        self.notes.append(text)


def unfinished(row):
    return None if row["response_finish"] == "stop" else "truncated"


def talkative(loaded, tokenizer, rows):
    """An engine of a model that comes to an end sooner: a few words of its vocabulary end a turn, too."""
    engine = TransformersEngine(loaded, tokenizer, rows)
    engine.stop_ids = [*engine.stop_ids, *range(20, 28)]
    return engine


@pytest.fixture
def sampler(loaded, tokenizer):
    return talkative(loaded, tokenizer, 16)


def rows(sampler, folder, settings=SETTINGS, seed=0, count=20, objection=lambda row: None, bar=None):
    folder.mkdir(exist_ok=True)
    return generate.pairs(
        lambda: sampler,
        sampler.tokenizer,
        settings,
        objection=objection,
        rows=count,
        seed=seed,
        folder=folder,
        bar=bar or Bar(),
    )


def test_a_row_says_how_it_was_made(sampler, tmp_path):
    found = rows(sampler, tmp_path)
    assert [row["id"] for row in found] == list(range(20))
    for row in found:
        assert row["instruction_sampling"] in [cell.model_dump() for cell in SETTINGS.instruction]
        assert row["response_sampling"] == SETTINGS.response.model_dump()
        assert (row["response_finish"] == "skipped") == (
            row["instruction_finish"] == "length" or not row["instruction"]
        )
    assert len({row["instruction_seed"] for row in found}) == 20
    assert {row["domain"] for row in found} == {"any", "garden"}
    assert {row["instruction_sampling"]["temperature"] for row in found} == {0.7, 1.0}


def test_a_row_can_be_made_again_from_what_it_says(sampler, tokenizer, tmp_path):
    made = rows(sampler, tmp_path, count=48)
    for domain in SETTINGS.domains:
        row = next(row for row in made if row["response_finish"] == "stop" and row["domain"] == domain)
        system = SETTINGS.domains[domain].system
        before = template.pre_query_ids(tokenizer, [{"role": "system", "content": system}] if system else [])
        cell = Sampling(**row["instruction_sampling"])
        asked = sampler.sample([before], [row["instruction_seed"]], [cell])
        assert tokenizer.decode(asked[0].ids) == row["instruction"]
        # the answer is given to the bare instruction: the domain's system prompt is not part of the data
        prompt = template.prompt_ids(tokenizer, [{"role": "user", "content": row["instruction"]}])
        answer = sampler.sample([prompt], [row["response_seed"]], [SETTINGS.response])
        assert tokenizer.decode(answer[0].ids) == row["response"]


def test_the_prompt_for_answers_is_read_where_answers_are_written_alone(sampler, tokenizer, tmp_path):
    brief = SETTINGS.model_copy(update={"response_system": "You are short"})
    plain, made = rows(sampler, tmp_path / "plain"), rows(sampler, tmp_path / "brief", brief)
    assert [row["instruction"] for row in made] == [row["instruction"] for row in plain]
    assert [row["response"] for row in made] != [row["response"] for row in plain]
    row = next(row for row in made if row["response_finish"] == "stop")
    messages = [{"role": "system", "content": "You are short"}, {"role": "user", "content": row["instruction"]}]
    answer = sampler.sample([template.prompt_ids(tokenizer, messages)], [row["response_seed"]], [SETTINGS.response])
    assert tokenizer.decode(answer[0].ids) == row["response"]


def test_domains_are_drawn_by_weight(sampler, tmp_path):
    settings = SETTINGS.model_copy(update={"domains": SETTINGS.domains | {"rare": Domain(weight=0.01, system=None)}})
    found = [row["domain"] for row in rows(sampler, tmp_path, settings, count=120)]
    assert found.count("any") > found.count("garden") > found.count("rare")


def test_exactly_as_many_rows_pass_as_were_wanted_and_the_last_is_one_of_them(sampler, tmp_path):
    bar = Bar()
    found = rows(sampler, tmp_path, count=7, objection=unfinished, bar=bar)
    assert sum(unfinished(row) is None for row in found) == bar.count == 7
    assert unfinished(found[-1]) is None
    assert len(found) > 8 and bar.notes[0] == "sampling the first 8 rows"
    assert bar.notes[1].startswith("kept ") and bar.notes[1].endswith("% of 8")


def test_a_cap_that_is_hit_says_how_many_were_reached_and_why(sampler, tmp_path):
    settings = SETTINGS.model_copy(update={"max_rows": 20})
    with pytest.raises(UserError) as caught:
        rows(sampler, tmp_path, settings, objection=unfinished)
    made = rows(sampler, tmp_path, settings, count=20)
    passing = sum(unfinished(row) is None for row in made)
    assert 0 < passing < 20
    assert f"{passing} of the 20 rows wanted" in str(caught.value)
    assert f"generate.max_rows = 20 (dropped: truncated {20 - passing});" in str(caught.value)
    assert "raise it" in str(caught.value)


def test_a_higher_quota_goes_on_from_what_was_sampled(sampler, tmp_path):
    few = rows(sampler, tmp_path / "few", count=10)
    counted = Dies(sampler, 100)
    more = rows(counted, tmp_path / "few", count=30)
    assert more[:10] == few and 100 - counted.calls == 4  # the chunks of rows 16 to 31, two calls each
    assert more == rows(sampler, tmp_path / "many", count=30)
    capped = SETTINGS.model_copy(update={"max_rows": 21})  # in the middle of a chunk
    with pytest.raises(UserError):
        rows(sampler, tmp_path / "capped", capped, count=30)
    assert rows(sampler, tmp_path / "capped", count=30) == more


def test_a_batch_size_does_not_change_the_rows(sampler, loaded, tokenizer, tmp_path):
    one_by_one = talkative(loaded, tokenizer, 1)
    assert rows(one_by_one, tmp_path / "one") == rows(sampler, tmp_path / "eight")


def test_later_turns_follow_finished_ones(sampler, tokenizer, tmp_path):
    settings = SETTINGS.model_copy(update={"turns": 3})
    single, made = rows(sampler, tmp_path / "one", count=40), rows(sampler, tmp_path / "three", settings, count=40)
    turns = [len(row.get("history", [])) for row in made]
    assert {0, 1, 2} <= set(turns)
    for first, row in zip(single, made, strict=True):
        opening = row.get("history", [row])[0]
        assert (opening["instruction"], opening["response"]) == (first["instruction"], first["response"])
        if first["response_finish"] != "stop":
            assert "history" not in row
    row = next(row for row in made if len(row.get("history", [])) == 2 and row["response_finish"] == "stop")
    messages = [
        {"role": role, "content": pair[side]}
        for pair in row["history"]
        for role, side in (("user", "instruction"), ("assistant", "response"))
    ]
    prompt = template.prompt_ids(tokenizer, [*messages, {"role": "user", "content": row["instruction"]}])
    answer = sampler.sample([prompt], [row["response_seed"]], [SETTINGS.response])
    assert tokenizer.decode(answer[0].ids) == row["response"]


def test_the_key_changes_with_what_changes_the_rows_alone(tmp_path):
    def key(settings=SETTINGS, seed=0, kind="transformers"):
        return generate.pairs_key(settings, kind, seed, tmp_path)

    (tmp_path / "weights").write_text("1")
    known = key()
    assert key(SETTINGS.model_copy(update={"rows": 5, "max_rows": 9, "engine": "auto"})) == known
    changed = [
        key(seed=1),
        key(kind="openvino"),
        key(SETTINGS.model_copy(update={"turns": 2})),
        key(SETTINGS.model_copy(update={"chunk": 16})),
        key(SETTINGS.model_copy(update={"domains": {"any": Domain(weight=1.0, system=None)}})),
        key(SETTINGS.model_copy(update={"instruction": SETTINGS.instruction[:1]})),
        key(SETTINGS.model_copy(update={"response": PURE})),
    ]
    (tmp_path / "weights").write_text("2")
    assert len({known, *changed, key()}) == len(changed) + 2


def test_the_key_counts_every_module_that_samples(tmp_path, monkeypatch):
    """What is imported and not counted would leave rows of older code in place, under the hash of the new one."""
    hashed = []
    monkeypatch.setattr(generate.io, "fingerprint", lambda *inputs: hashed.extend(inputs))
    generate.key("transformers", tmp_path)
    counted = {path.name for path in hashed if isinstance(path, Path)}
    imported = {Path(name).name for name in closure(ROOT / "tuner/generate.py")}
    # Files are written by io, whatever is in them; data's other half checks rows that are trained on.
    assert imported - counted == {"io.py", "constraints.py", "replies.py"}


class Dies:
    """An engine that stops working after so many calls, as a killed process would."""

    def __init__(self, engine, calls):
        self.engine, self.tokenizer, self.name, self.calls = engine, engine.tokenizer, engine.name, calls

    def sample(self, *args, **kwargs):
        self.calls -= 1
        if self.calls < 0:
            raise KeyboardInterrupt
        return self.engine.sample(*args, **kwargs)


@pytest.mark.parametrize("calls", [0, 1, 2, 3, 4, 5])
def test_an_interrupted_run_goes_on_to_the_same_bytes(sampler, tmp_path, calls):
    whole = rows(sampler, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        rows(Dies(sampler, calls), tmp_path / "killed")
    kept = sorted(file.name for file in (tmp_path / "killed").iterdir())
    assert len(kept) == calls // 2
    counted = Dies(sampler, 100)
    assert json.dumps(rows(counted, tmp_path / "killed")) == json.dumps(whole)
    assert 100 - counted.calls == 2 * (3 - len(kept))  # finished chunks were not sampled again


def test_every_prompt_gets_its_answers(sampler, tmp_path):
    prompts = [
        {"id": n, "split": "train", "prompt": [{"role": "user", "content": text}]}
        for n, text in enumerate(["tell a story", "make a plan", "why"])
    ]
    found = generate.answers(sampler, prompts, PURE, per_prompt=3, chunk=8, seed=0, folder=tmp_path, progress=iter)
    assert [row["id"] for row in found] == [0, 1, 2]
    assert all(len(row["answers"]) == 3 and row["engine"] == "transformers" for row in found)
    assert all(len({answer["seed"] for answer in row["answers"]}) == 3 for row in found)
