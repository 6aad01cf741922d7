"""params.yaml: what is shipped loads, and a mistake is one line that says where it is and what is allowed."""

import copy
from pathlib import Path

import pytest
from closure import ROOT
from ruamel.yaml import YAML

from tuner import params
from tuner.errors import UserError

MODEL = "smollm2-135m"
ABSENT = object()
SHIPPED = YAML(typ="safe").load(ROOT / "params.yaml")
SOURCE = SHIPPED["models"][MODEL]


def write(folder: Path, values: object) -> Path:
    file = folder / "params.yaml"
    YAML().dump(values, file)
    return file


def edited(folder: Path, *edits: tuple[str, object]) -> Path:
    """Write the shipped parameters with some keys changed, added or (ABSENT) removed; `/` stands between the parts."""
    values = copy.deepcopy(SHIPPED)
    for key, value in edits:
        *above, last = key.split("/")
        section = values
        for part in above:
            section = section[part]
        if value is ABSENT:
            del section[last]
        else:
            section[last] = value
    return write(folder, values)


def refusal(file: Path) -> str:
    """Return the message without the file's name, which it must start with."""
    with pytest.raises(UserError) as caught:
        params.load(file)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message == " ".join(message.split()), "odd spaces"
    assert message.startswith(f"{file}:")
    for jargon in ("[type=", "expected tags", "discriminator", "instance of", "literal[", "Input", "NoneType"):
        assert jargon not in message
    return message.removeprefix(f"{file}:").strip()


def test_the_shipped_file_loads():
    loaded = params.load(ROOT / "params.yaml")
    assert loaded.adapters["lora"].r == SHIPPED["lora"]["r"]
    assert set(SHIPPED) - set(loaded.adapters) == set(params.Params.model_fields) - {"adapters"}
    assert {"lora", "rslora", "dora", "qlora", "ia3", "prompt_tuning", "prefix_tuning"} == set(loaded.adapters)


@pytest.mark.parametrize("written", ["1e-05", "1e-5", "1E-5", "0.00001", "1.0e-05"])
def test_a_learning_rate_as_dvc_writes_it_is_a_number(tmp_path, written):
    text = (ROOT / "params.yaml").read_text()
    assert text.startswith("lora:\n", text.index("  peft_type: LORA\n  learning_rate: 3.0e-4\n") - 6)
    file = tmp_path / "params.yaml"
    file.write_text(text.replace("  learning_rate: 3.0e-4\n", f"  learning_rate: {written}\n", 1))
    assert params.load(file).adapters["lora"].learning_rate == 1e-5


def test_what_dvc_exp_run_writes_for_a_set_param_is_a_number(tmp_path):
    from dvc.utils.hydra import apply_overrides

    file = edited(tmp_path)
    apply_overrides(file, ["lora.learning_rate=1e-5", "lora.r=4"])
    lora = params.load(file).adapters["lora"]
    assert (lora.learning_rate, lora.r) == (1e-5, 4)
    assert isinstance(lora.learning_rate, float)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("lora/learning_rate", 1),  # a whole number where any number is wanted
        ("train/epochs", 2),
        ("lora/target_modules", ["q_proj", "v_proj"]),
        ("filter/language", None),
        ("selected", "dpo"),
        ("methods", ["lora"]),
        ("mine", {"peft_type": "VERA", "learning_rate": 1e-3, "save_projection": True}),
        ("lora/use_dora", True),
        ("generate/response/temperature", 0),  # greedy answers are fine, greedy instructions are not
        ("models/mine", {"source": "directory", "path": "/m", "sha256": "0" * 64, "license": "mit"}),
        ("models/hub-one", {"source": "hub", "id": "a/b", "revision": "0" * 40, "license": "mit"}),
    ],
)
def test_a_sound_edit_is_accepted(tmp_path, key, value):
    params.load(edited(tmp_path, (key, value)))


# The key as a reader knows it, the value as it is shown, what the message must say about what is allowed.
BAD = {
    "unknown key with a close match": ([("train/epoch", 8)], "train.epoch = 8", "did you mean epochs?"),
    "unknown key inherited from a common section": ([("dpo/epoch", 8)], "dpo.epoch = 8", "did you mean epochs?"),
    "unknown key without a close match": ([("prefer/zzz", 8)], "prefer.zzz = 8", "allowed here: min_margin"),
    "unknown key instead of a known one": (
        [("compare/alpha", ABSENT), ("compare/alhpa", 8)],
        "compare.alhpa = 8",
        "did you mean alpha?",
    ),
    "unknown section": ([("loras", {"r": 8})], "loras = {'r': 8}", "did you mean lora?"),
    "unknown key of two lines": ([("a\nb", 1)], "a b = 1", "allowed here: seed, models"),
    "unknown key two levels down": (
        [("generate/response/top_kk", 1)],
        "generate.response.top_kk = 1",
        "did you mean top_k?",
    ),
    "unknown key in an entry of a list": (
        [("generate/instruction", [{**SHIPPED["generate"]["instruction"][0], "top_n": 1}])],
        "generate.instruction[0].top_n = 1",
        "did you mean top_p?",
    ),
    "unknown key of a domain": (
        [("generate/domains", {"code": {"weight": 1, "sytem": "You are"}})],
        "generate.domains.code.sytem = 'You are'",
        "did you mean system?",
    ),
    "odd name of a domain": (
        [("generate/domains", {"a.b": {"weight": 1, "system": None}})],
        "generate.domains.a.b",
        "a name must be letters, digits",
    ),
    "no cells": ([("generate/instruction", [])], "generate.instruction = []", "1 or more"),
    "a weight of zero": (
        [("generate/domains/any", {"weight": 0, "system": None})],
        "generate.domains.any.weight = 0",
        "greater than 0",
    ),
    "a cap below the quota": ([("generate/max_rows", 50)], "generate.max_rows = 50", "at least generate.rows = 100"),
    "unknown constraint family": ([("verify/families", ["rhyme"])], "verify.families", "'rhyme' is not one of fewer_"),
    "all rows verified": ([("verify/share", 1.0)], "verify.share = 1.0", "less than 1"),
    "unknown key of a model": ([(f"models/{MODEL}/licence", "mit")], f"models.{MODEL}.licence = 'mit'", "license?"),
    "missing key": ([("train/epochs", ABSENT)], "train.epochs is missing", "every value is stated in the file"),
    "missing learning rate": ([("lora/learning_rate", ABSENT)], "lora.learning_rate is missing", "stated in the file"),
    "missing section": ([("train", ABSENT)], "train is missing", "every value is stated in the file"),
    "missing section of a method": ([("lora", ABSENT)], "methods = ['lora'", "'lora' has no section with a peft_type"),
    "a method without its type": ([("lora/peft_type", ABSENT)], "lora = {'learning_rate'", "section with a peft_type"),
    "missing key of a model": ([(f"models/{MODEL}/member", ABSENT)], f"models.{MODEL}.member is missing", "stated"),
    "missing source": ([(f"models/{MODEL}/source", ABSENT)], f"models.{MODEL}.source is missing", "pypi, hub"),
    "text for a whole number": ([("lora/r", "8")], "lora.r = '8'", "must be a whole number"),
    "true for a whole number": ([("lora/r", True)], "lora.r = true", "must be a whole number"),
    "false for a number": ([("lora/lora_dropout", False)], "lora.lora_dropout = false", "must be a number"),
    "null for a whole number": ([("lora/r", None)], "lora.r = null", "must be a whole number"),
    "null for a number": ([("prefer/min_margin", None)], "prefer.min_margin = null", "must be a number"),
    "fraction for a whole number": ([("lora/r", 8.5)], "lora.r = 8.5", "must be a whole number"),
    "list for a whole number": ([("seed", [1, 2])], "seed = [1, 2]", "must be a whole number"),
    "list for a number": ([("lora/learning_rate", [1e-4, 1e-3])], "lora.learning_rate = [0.0001, 0.001]", "a number"),
    "list for text": ([("student", [MODEL])], f"student = ['{MODEL}']", "must be text"),
    "number for text": ([(f"models/{MODEL}/version", 0.1)], f"models.{MODEL}.version = 0.1", "put it in quotes"),
    "empty text": ([("prefix_tuning/init_text", "")], "prefix_tuning.init_text = ''", "not an empty one"),
    "text for a list": ([("methods", "lora")], "methods = 'lora'", "must be a list"),
    "empty list": ([("methods", [])], "methods = []", "1 or more"),
    "section is a number": ([("train", 3)], "train = 3", "must be a section"),
    "section is null": ([("train", None)], "train = null", "must be a section"),
    "section is a list": ([("train", [8])], "train = [8]", "must be a section"),
    "methods is a number": ([("methods", 3)], "methods = 3", "must be a list"),
    "a list among the methods": ([("methods", [["lora"]])], "methods[0] = ['lora']", "must be text"),
    "a method is a number": ([("lora", 3)], "lora = 3", "a method is a section with a peft_type"),
    "subsection is text": ([("generate/response", "hot")], "generate.response = 'hot'", "must be a section"),
    "models is a list": ([("models", [SOURCE])], "models = [{", "must be a section"),
    "models is empty": ([("models", {})], "models = {}", "1 or more"),
    "a model is text": ([(f"models/{MODEL}", "hub")], f"models.{MODEL} = 'hub'", "must be a section"),
    "negative count": ([("lora/r", -1)], "lora.r = -1", "greater than or equal to 1"),
    "negative rate": ([("lora/learning_rate", -1e-3)], "lora.learning_rate = -0.001", "greater than 0"),
    "rate of zero": ([("lora/learning_rate", 0)], "lora.learning_rate = 0", "greater than 0"),
    "infinite rate": ([("lora/learning_rate", float("inf"))], "lora.learning_rate = inf", "finite"),
    "rate that is no number": ([("lora/learning_rate", float("nan"))], "lora.learning_rate = nan", "finite"),
    "share above one": ([("filter/max_echo", 1.5)], "filter.max_echo = 1.5", "less than or equal to 1"),
    "seed out of range": ([("seed", 2**31)], f"seed = {2**31}", f"less than {2**31}"),
    "warm-up too long": ([("train/warmup_share", 0.5)], "train.warmup_share = 0.5", "less than or equal to 0.2"),
    "unknown scheduler": (
        [("dpo/scheduler", "wsd")],
        "dpo.scheduler = 'wsd'",
        "'constant_with_warmup', 'linear' or 'cosine'",
    ),
    "unknown loss": ([("dpo/loss", "kto")], "dpo.loss = 'kto'", "must be 'sigmoid', 'hinge', 'ipo' or 'sigmoid_norm'"),
    "target modules of the wrong kind": (
        [("lora/target_modules", 3)],
        "lora.target_modules = 3",
        "must be 'all-linear' or a list",
    ),
    "target modules with a number": ([("lora/target_modules", ["q", 3])], "lora.target_modules[1] = 3", "must be text"),
    "no target modules": ([("lora/target_modules", [])], "lora.target_modules = []", "must be 'all-linear' or"),
    "prompt tuning given to DPO": (
        [("dpo/adapter", "prompt_tuning")],
        "dpo.adapter = 'prompt_tuning'",
        "must not be a method of virtual tokens",
    ),
    "DPO from an unknown adapter": ([("dpo/adapter", "zzz")], "dpo.adapter = 'zzz'", "must be one of methods: lora"),
    "DPO from a quantized method": (
        [("methods", ["qlora"]), ("dpo/adapter", "qlora")],
        "dpo.adapter = 'qlora'",
        "must not be a quantized method",
    ),
    "DPO from an adapter that is not trained": (
        [("methods", ["prompt_tuning"])],
        "dpo.adapter = 'lora'",
        "must be one of methods: prompt_tuning",
    ),
    "a language by its name": ([("filter/language", "korean")], "filter.language = 'korean'", "ISO 639 code"),
    "a language without phrases": ([("compare/language", "de")], "compare.language = 'de'", "'en' or 'ko'"),
    "unknown generator": ([("generator", "gpt")], "generator = 'gpt'", f"must be one of models: {MODEL}"),
    "unknown student": ([("student", "gpt")], "student = 'gpt'", f"must be one of models: {MODEL}"),
    "unknown selected": ([("selected", "gpt")], "selected = 'gpt'", "one of base, lora, ia3, prompt_tuning, dpo"),
    "selected is not trained": (
        [("methods", ["lora"]), ("selected", "prompt_tuning")],
        "selected = 'prompt_tuning'",
        "one of base, lora, dpo",
    ),
    "a method twice": ([("methods", ["lora", "lora"])], "methods = ['lora', 'lora']", "must name a method once"),
    "unknown method": ([("methods", ["lora", "zzz"])], "methods = ['lora', 'zzz']", "'zzz' has no section with a "),
    "unknown source of a model": (
        [(f"models/{MODEL}/source", "ftp")],
        f"models.{MODEL}.source = 'ftp'",
        "one of 'pypi', 'hub', 'directory'",
    ),
    "bad SHA-256": ([(f"models/{MODEL}/sha256", "ABC")], f"models.{MODEL}.sha256 = 'ABC'", "64 digits, 0-9 and a-f"),
    "a branch for a commit": (
        [("models/m", {"source": "hub", "id": "a/b", "revision": "main", "license": "mit"})],
        "models.m.revision = 'main'",
        "a whole commit: 40 digits",
    ),
    "a model named like the reward": ([("models/reward", SOURCE)], "models.reward:", "choose another name"),
    "a model named like dpo": ([("models/dpo", SOURCE)], "models.dpo:", "choose another name"),
    "a model named like a method": ([("models/lora", SOURCE)], "models.lora:", "choose another name"),
    "a model named like a method that is off": (
        [("methods", ["lora"]), ("models/prompt_tuning", SOURCE)],
        "models.prompt_tuning:",
        "choose another name",
    ),
    "a dot in a model's name": ([("models/qwen2.5", SOURCE)], "models.qwen2.5:", "no dot"),
    "a slash in a model's name": ([("models", {"a/b": SOURCE})], "models.a/b:", "letters, digits, - and _"),
    "greedy instructions": (
        [("generate/instruction", [{**SHIPPED["generate"]["instruction"][0], "temperature": 0}])],
        "generate.instruction[0].temperature = 0",
        "must be above 0",
    ),
    "greedy candidates": (
        [("candidates/sampling/temperature", 0.0)],
        "candidates.sampling.temperature = 0",
        "must be above 0",
    ),
    "more words at least than at most": (
        [("filter/min_response_words", 500)],
        "filter.min_response_words = 500",
        f"filter.max_response_words = {SHIPPED['filter']['max_response_words']}",
    ),
    "a server without an address": (
        [("candidates/engine", "server")],
        "candidates.engine = 'server'",
        "needs runtime.server_url",
    ),
    "as many virtual tokens as a row may have": (
        [("prompt_tuning/num_virtual_tokens", 512)],
        "prompt_tuning.num_virtual_tokens = 512",
        "below train.max_tokens = 512",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_value_is_one_line_with_key_value_and_what_is_allowed(tmp_path, name):
    edits, what, allowed = BAD[name]
    message = refusal(edited(tmp_path, *edits))
    assert message.startswith(what)
    assert allowed in message


def test_a_key_that_is_a_number_is_unknown(tmp_path):
    values = copy.deepcopy(SHIPPED)
    values["compare"][7] = 8
    message = refusal(write(tmp_path, values))
    assert message == "compare.7 = 8 is not a known key; allowed here: resamples, alpha, price_per_hour, language"


def test_a_model_named_by_a_number_is_refused(tmp_path):
    values = copy.deepcopy(SHIPPED)
    values["models"][135] = SOURCE
    assert refusal(write(tmp_path, values)).startswith("models.135: a name must be letters, digits")


def test_a_long_value_is_cut(tmp_path):
    assert len(refusal(edited(tmp_path, ("seed", "x" * 5000)))) < 150


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected sections such as `lora:`, found nothing"),
        ("# nothing but a comment\n", "expected sections such as `lora:`, found nothing"),
        ("- seed\n- models\n", "expected sections such as `lora:`, found ['seed', 'models']"),
        ("seed\n", "expected sections such as `lora:`, found 'seed'"),
        ("7\n", "expected sections such as `lora:`, found 7"),
        ("seed: 0\nmodels: [a\nb: 1\n", "3: not YAML: while parsing a flow sequence, expected ',' or ']'"),
        ("seed: 0\nseed: 1\n", '2: not YAML: while constructing a mapping, found duplicate key "seed"'),
        ("seed: 0\n\tlora: 1\n", "2: not YAML:"),
        ("seed: *x\n", "1: not YAML: found undefined alias 'x'"),
        ("seed: \x00\n", "not YAML: "),
        ("seed: !!python/object:os.system x\n", "1: not YAML: could not determine a constructor"),
        ("seed: 0\n---\nseed: 1\n", "2: not YAML: expected a single document in the stream, but found another"),
    ],
)
def test_what_is_no_mapping_or_no_yaml_is_said_with_the_line(tmp_path, text, said):
    file = tmp_path / "params.yaml"
    file.write_text(text)
    assert refusal(file).startswith(said)


def test_a_file_that_is_not_utf8_is_refused(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_bytes(b"seed: \xff\xfe\n")
    assert refusal(file).startswith("not YAML: ")


def test_a_missing_file_says_where_to_run(tmp_path):
    assert refusal(tmp_path / "params.yaml") == "No such file or directory; run this in the project's top folder"


def test_a_directory_is_refused(tmp_path):
    assert refusal(tmp_path).startswith("Is a directory")
