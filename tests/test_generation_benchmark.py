"""The job that peers get, and how their texts are counted."""

import json
import subprocess
import sys

import pytest

sys.path.insert(0, "benchmarks")

import generation

from tuner import io, params, template

SETTINGS = params.load("params.yaml").generate
STOPS = ["<|im_end|>", "<|endoftext|>"]


def test_all_write_after_the_bare_template_in_the_hottest_cell(tokenizer):
    found = generation.instructions_part(tokenizer, SETTINGS, 3)
    assert found["ids"] == [template.pre_query_ids(tokenizer)] * 3
    assert found["messages"] == [[], [], []]
    assert found["sampling"]["temperature"] == max(cell.temperature for cell in SETTINGS.instruction)
    assert len(set(found["row_seeds"])) == 3


def test_answers_are_asked_for_as_the_pipeline_does(tokenizer):
    found = generation.responses_part(tokenizer, SETTINGS, ["Write a song", "Plan a walk"])
    system, user = found["messages"][1]
    assert system == {"role": "system", "content": SETTINGS.response_system}
    assert user == {"role": "user", "content": "Plan a walk"}
    assert found["ids"][1] == template.prompt_ids(tokenizer, found["messages"][1])
    assert found["sampling"] == SETTINGS.response.model_dump()


def test_tokens_count_up_to_the_first_end(tokenizer):
    texts = ["write a song<|im_end|>", "write a song<|endoftext|>walk<|im_end|>walk", "write a song", "<|im_end|>"]
    assert [generation.useful_tokens(tokenizer, [text], STOPS) for text in texts] == [3, 3, 3, 0]
    assert [generation.cut(text, STOPS)[1] for text in texts] == [True, True, False, True]


def test_the_rate_of_the_whole_is_of_sums(tokenizer):
    parts = {
        "instructions": {"texts": ["write a song<|im_end|>"] * 2, "seconds": 1.0},
        "responses": {"texts": ["a song"] * 2, "seconds": 4.0},
    }
    found = generation.rates(tokenizer, parts, STOPS)
    assert found == {"instructions": 6.0, "responses": 1.0, "whole": 2.0}


def test_the_ratio_is_the_median_of_rounds(tokenizer):
    def rounds(*seconds):
        return [{"instructions": {"texts": ["write a song"], "seconds": value}} for value in seconds]

    ratios, middle, lengths = generation.summary(tokenizer, {"ours": rounds(1, 1, 3), "peer": rounds(2, 4, 3)}, STOPS)
    assert ratios == {"instructions": 2.0, "whole": 2.0}  # of 2, 4 and 1
    assert middle["ours"]["whole"] == 3.0 and middle["peer"]["whole"] == 1.0
    assert lengths == {"ours": {"instructions": 3.0}, "peer": {"instructions": 3.0}}


def test_bfloat16_is_left_out_where_it_is_emulated():
    settings = generation.PEERS["transformers"].settings
    assert generation.usable(settings, True) == list(settings)
    assert {values["dtype"] for values in generation.usable(settings, False)} == {"float32"}
    assert generation.usable(generation.PEERS["llama_cpp"].settings, False)  # which have no such choice


def test_few_rows_are_the_first_of_every_part(tokenizer):
    job = {"model": "m", "parts": {"instructions": generation.instructions_part(tokenizer, SETTINGS, 5)}}
    few = generation.first_rows(job, 2)["parts"]["instructions"]
    whole = job["parts"]["instructions"]
    assert few["row_seeds"] == whole["row_seeds"][:2] and len(few["ids"]) == len(few["messages"]) == 2
    assert few["sampling"] == whole["sampling"]
    assert generation.first_rows(job, None) == job


def test_transformers_4_finds_the_rotary_base_and_the_ends_of_text(tiny, tmp_path):
    wanted = io.read_json(tiny / "config.json")
    generation.as_transformers_4(tiny, tmp_path, [2, 0])
    found = io.read_json(tmp_path / "config.json")
    assert found["rope_theta"] == wanted["rope_parameters"]["rope_theta"] and "rope_parameters" not in found
    assert found["torch_dtype"] == wanted["dtype"]
    assert io.read_json(tmp_path / "generation_config.json")["eos_token_id"] == [2, 0]
    assert (tmp_path / "model.safetensors").resolve() == (tiny / "model.safetensors").resolve()


def test_a_peer_is_warmed_up_timed_and_read_in_order(tmp_path):
    script = tmp_path / "with_echo.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(generation.SCRIPTS.resolve())!r})\n"
        "from peer import serve\n"
        "calls = []\n"
        "def load(job):\n"
        "    def sample(part):\n"
        "        calls.append((len(part['ids']), part['sampling']['max_new_tokens']))\n"
        "        return [f'{ids} {calls}' for ids in part['ids']]\n"
        "    return sample\n"
        "serve(load)\n"
    )
    part = {"ids": [[1], [2], [3]], "messages": [[]] * 3, "row_seeds": [0] * 3, "sampling": {"max_new_tokens": 9}}
    (tmp_path / "job.json").write_text(json.dumps({"parts": {"instructions": part}}))
    subprocess.run([sys.executable, script, tmp_path / "job.json", tmp_path / "found.json"], check=True)
    found = io.read_json(tmp_path / "found.json")["instructions"]
    assert found["texts"] == [f"{ids} [(2, 4), (3, 9)]" for ids in part["ids"]]
    assert found["seconds"] > 0


@pytest.mark.parametrize("name", generation.PEERS)
def test_every_peer_is_pinned_and_has_a_script(name):
    assert all("==" in requirement for requirement in generation.PEERS[name].requirements)
    assert (generation.SCRIPTS / f"with_{name}.py").exists()


def test_the_plain_peer_has_the_pipelines_own_versions():
    with open("requirements.txt", encoding="utf-8") as lines:
        pinned = {line.split("#")[0].strip() for line in lines}
    assert set(generation.PEERS["transformers"].requirements) <= pinned
