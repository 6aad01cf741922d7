"""The arithmetic of docs/cost.md: operations against PyTorch's own count, and fits of known exponents."""

import csv
import json
import math

import pytest
import torch
from closure import ROOT
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM

from benchmarks import cost, cost_figure, cost_model, cost_prediction, cost_tables, memory
from benchmarks.cost_model import Device
from tuner import train
from tuner.params import Method

RANK, TOKENS = 4, 24
LORA = Method(peft_type="LORA", learning_rate=1e-3, r=RANK, lora_alpha=8, target_modules="all-linear")


def counted(call) -> int:
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


@pytest.fixture
def eager(tiny):
    """A model whose attention multiplies all places with all, which PyTorch counts."""
    return AutoModelForCausalLM.from_pretrained(tiny, attn_implementation="eager", dtype=torch.float32)


def all_pairs(config: dict) -> float:
    """What attention costs more when no pair of places is spared."""
    return cost_model.attention_flops(config, TOKENS, TOKENS) - cost_model.attention_flops(
        config, TOKENS, (TOKENS + 1) / 2
    )


@pytest.mark.parametrize("read", [1, 7])
def test_a_forward_pass_is_counted_as_pytorch_counts_it(eager, read):
    ids, config = torch.randint(0, 9, (1, TOKENS)), eager.config.to_dict()
    found = counted(lambda: eager(ids, logits_to_keep=read, use_cache=False))
    assert found == cost_model.forward_flops(config, TOKENS, read) + all_pairs(config)


def test_a_lora_step_is_counted_as_pytorch_counts_it(eager, tiny):
    config = eager.config.to_dict()
    adapted = train.adapted(eager, "lora", LORA, tiny).train()
    adapted.enable_input_require_grads()  # without it the first layer has no gradient to hand on, and spares it
    ids = torch.randint(0, 9, (1, TOKENS))
    found = counted(lambda: adapted(input_ids=ids, logits_to_keep=7, use_cache=False).logits.sum().backward())
    assert found == cost_model.lora_flops(config, TOKENS, 7, RANK) + 3 * all_pairs(config)


def test_the_small_model_has_the_weights_it_is_known_for():
    assert memory.parameters(cost_model.SMALL) == 134_515_008
    assert memory.parameters(cost_model.EIGHT_BILLION) == 8_030_261_248


def test_an_exponent_is_found_and_its_error_is_that_of_least_squares():
    assert cost_model.exponent([(n, 5 * n**1.5) for n in (1, 4, 16)]) == pytest.approx((1.5, 0), abs=1e-7)
    found = [(1, 1.0), (1, 1.2), (4, 3.9), (16, 17.0), (16, 15.0)]
    x, y = (torch.tensor([math.log(pair[side]) for pair in found], dtype=torch.float64) for side in (0, 1))
    design = torch.stack([torch.ones_like(x), x], dim=1)
    solved = torch.linalg.lstsq(design, y[:, None]).solution[:, 0]
    left = ((y - design @ solved) ** 2).sum() / (len(found) - 2)
    error = (left * torch.linalg.inv(design.T @ design))[1, 1].sqrt()
    assert cost_model.exponent(found) == pytest.approx((float(solved[1]), float(error)))


def test_writing_is_bound_by_memory_with_few_rows_and_by_computing_with_many():
    config, slow = cost_model.EIGHT_BILLION, Device(compute=1e15, bandwidth=1e12)
    work = {"prompt": 10, "new": 100, "width": 2}
    weights = 2 * (cost_model.layer_weights(config) + cost_model.head_weights(config))
    alone = cost_model.decode_seconds(config, slow, rows=1, at_once=1, **work)
    assert alone == pytest.approx(100 * weights / 1e12, rel=0.01)
    many = cost_model.decode_seconds(config, Device(1e12, 1e15), rows=512, at_once=256, **work)
    assert many == pytest.approx(2 * 100 * 256 * weights / 1e12, rel=0.01)


def test_rows_at_once_leave_room_for_the_weights():
    config = cost_model.EIGHT_BILLION
    assert cost_model.rows_at_once(config, Device(1, 1, memory=16e9), 400, 2, 256) == 0
    assert cost_model.rows_at_once(config, Device(1, 1, memory=80e9), 400, 2, 256) == 256
    assert math.isinf(cost_prediction.seconds(config, Device(1, 1, 16e9), cost_prediction.Workload())["train"])


def test_a_price_in_the_table_is_what_the_prediction_charges(tmp_path):
    gpus = (ROOT / "docs/gpus.csv").read_text().splitlines()
    work = cost_prediction.Workload(rows=10**9)
    before = cost_prediction.shown_gpus(ROOT / "docs/gpus.csv", work)
    (tmp_path / "gpus.csv").write_text("\n".join([gpus[0], *(line.rsplit(",", 1)[0] + ",0" for line in gpus[1:])]))
    assert all(cell.endswith(" h, 0") for cell in cells(cost_prediction.shown_gpus(tmp_path / "gpus.csv", work)))
    assert not any(cell.endswith(" h, 0") for cell in cells(before))


def cells(table: str) -> list[str]:
    rows = [line.strip("| ").split(" | ")[1:] for line in table.splitlines()[2:]]
    return [cell for row in rows for cell in row if "room" not in cell]


def known(stage: str, along: str) -> list[dict]:
    """Jobs whose time is exactly what the formulas say at 1e11 operations and 1e10 bytes a second."""
    jobs = []
    for rows, tokens in cost.job_sizes(stage, along, cost.ROWS[stage]):
        row = {"stage": stage, "along": along, "tokens": tokens, "run": 0, "rows": rows, "work": rows * tokens}
        row |= {"seconds": 0.0, "before_megabytes": 100, "peak_megabytes": 200 + rows}
        jobs.append(row | {"seconds": cost_prediction.job_seconds(row, Device(1e11, 1e10))})
    return jobs


@pytest.fixture
def measured(tmp_path):
    """A folder with docs/cost.csv and benchmarks/results.json as if a machine were just as predicted."""
    rows = [row for stage in cost.ALONG_TOKENS for along in ("rows", "tokens") for row in known(stage, along)]
    (tmp_path / "docs").mkdir()
    (tmp_path / "benchmarks").mkdir()
    with (tmp_path / "docs/cost.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    rates = {"device_matrix_products": 100.0, "device_memory_bandwidth": 10.0}
    claims = {name: {"value": value, "machine": "none"} for name, value in rates.items()}
    (tmp_path / "benchmarks/results.json").write_text(json.dumps(claims))
    return tmp_path


def test_the_check_shows_one_where_the_prediction_is_right(measured):
    table = cost_tables.check(measured).splitlines()[4:]
    assert len(table) == 6
    assert all(": 1.00" in line and "| 1.00 |" in line for line in table)


def test_longer_rows_cost_more_than_their_tokens(measured):
    found = {tuple(row.strip("| ").split(" | ")[:2]): row for row in cost_tables.exponents(measured).splitlines()[2:]}
    assert "| 1.00 ± 0.00 |" in found["score", "rows"]
    assert "| 1." in found["score", "tokens a row"] and "| 1.00 ±" not in found["score", "tokens a row"]


def test_the_figure_is_drawn(measured, tmp_path):
    cost_figure.draw(cost_model.read_table(measured / "docs/cost.csv"), tmp_path / "cost.png")
    assert (tmp_path / "cost.png").read_bytes().startswith(b"\x89PNG")


def test_texts_have_the_length_that_is_asked_for(tiny, tmp_path):
    from tuner import model

    tokenizer = model.load_tokenizer(tiny)
    (tmp_path / "raw.jsonl").write_text(json.dumps({"response": "we walk to the river " * 40}) + "\n")
    texts = cost.texts(tokenizer, tmp_path, 4, 30)
    assert [len(tokenizer.encode(text)) for text in texts] == [30] * 4
    with pytest.raises(SystemExit, match="too few"):
        cost.texts(tokenizer, tmp_path, 4, 3000)
