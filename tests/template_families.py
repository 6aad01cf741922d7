"""What the makers of chat model families document, written by hand, for tests/test_template.py."""

from typing import NamedTuple


class Family(NamedTuple):
    """What the makers of a model family document, written by hand. Every string is what the model reads."""

    control: str  # the control tokens, with blanks between
    bos: str | None
    eos: str
    first: str  # before a first user's words
    system: str | None  # the same after the system message "Be brief."; None: the family has no system role
    later: str  # before the user's next words, after that system message if there is one, "Hi" and "Hello"
    asks: str  # between the user's words and the answer, in a prompt
    shows: str  # the blanks between a prompt and an answer
    ends: str  # what closes an answer
    stops: str  # the tokens that end a sampled turn, with blanks between


CHATML = "<|endoftext|> <|im_start|> <|im_end|>"
LLAMA_3 = "<|begin_of_text|> <|end_of_text|> <|start_header_id|> <|end_header_id|> <|eot_id|>"
GEMMA = "<eos> <bos> <start_of_turn> <end_of_turn>"
PHI_3 = "<s> <|endoftext|> <|system|> <|user|> <|assistant|> <|end|>"
MISTRAL = "<s> </s> [INST] [/INST]"

FAMILIES = {
    "smollm2": Family(
        control=CHATML,
        bos="<|im_start|>",
        eos="<|im_end|>",
        first="<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\n",
        system="<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n",
        later="<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\nHello<|im_end|>\n<|im_start|>user\n",
        asks="<|im_end|>\n<|im_start|>assistant\n",
        shows="",
        ends="<|im_end|>",
        stops="<|im_end|>",
    ),
    "llama-3": Family(
        control=LLAMA_3,
        bos="<|begin_of_text|>",
        eos="<|end_of_text|>",
        first="<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n",
        system="<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\n",
        later="<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nHello<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\n",
        asks="<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
        shows="",
        ends="<|eot_id|>",
        stops="<|eot_id|> <|end_of_text|>",
    ),
    "llama-3.2": Family(
        control=LLAMA_3,
        bos="<|begin_of_text|>",
        eos="<|eot_id|>",
        first="<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n"
        "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\n",
        system="<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n"
        "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\nBe brief.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\n",
        later="<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n"
        "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\nBe brief.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nHello<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\n",
        asks="<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
        shows="",
        ends="<|eot_id|>",
        stops="<|eot_id|>",
    ),
    "qwen2.5": Family(
        control=CHATML,
        bos=None,
        eos="<|im_end|>",
        first="<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\n",
        system="<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n",
        later="<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\nHello<|im_end|>\n<|im_start|>user\n",
        asks="<|im_end|>\n<|im_start|>assistant\n",
        shows="",
        ends="<|im_end|>",
        stops="<|im_end|>",
    ),
    "qwen3": Family(
        control=CHATML,
        bos=None,
        eos="<|im_end|>",
        first="<|im_start|>user\n",
        system="<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n",
        # No think block here: the template drops it from every turn but the last.
        later="<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\nHello<|im_end|>\n<|im_start|>user\n",
        asks="<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
        shows="",
        ends="<|im_end|>",
        stops="<|im_end|>",
    ),
    "gemma-2": Family(
        control=GEMMA,
        bos="<bos>",
        eos="<eos>",
        first="<bos><start_of_turn>user\n",
        system=None,
        later="<bos><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\nHello<end_of_turn>\n"
        "<start_of_turn>user\n",
        asks="<end_of_turn>\n<start_of_turn>model\n",
        shows="",
        ends="<end_of_turn>",
        stops="<end_of_turn> <eos>",
    ),
    "gemma-3": Family(
        control=GEMMA,
        bos="<bos>",
        eos="<eos>",
        first="<bos><start_of_turn>user\n",
        system="<bos><start_of_turn>user\nBe brief.\n\n",
        later="<bos><start_of_turn>user\nBe brief.\n\nHi<end_of_turn>\n<start_of_turn>model\nHello<end_of_turn>\n"
        "<start_of_turn>user\n",
        asks="<end_of_turn>\n<start_of_turn>model\n",
        shows="",
        ends="<end_of_turn>",
        stops="<end_of_turn> <eos>",
    ),
    "mistral-v3": Family(
        control=MISTRAL,
        bos="<s>",
        eos="</s>",
        first="<s>[INST] ",
        system="<s>[INST] Be brief.\n\n",
        later="<s>[INST] Hi[/INST] Hello</s>[INST] Be brief.\n\n",  # the system message moves to the last user turn
        asks="[/INST]",
        shows=" ",
        ends="</s>",
        stops="[/INST] </s>",
    ),
    "mistral-nemo": Family(
        control=MISTRAL,
        bos="<s>",
        eos="</s>",
        first="<s>[INST]",
        system="<s>[INST]Be brief.\n\n",
        later="<s>[INST]Hi[/INST]Hello</s>[INST]Be brief.\n\n",
        asks="[/INST]",
        shows="",
        ends="</s>",
        stops="[/INST] </s>",
    ),
    "mistral-v7": Family(
        control=MISTRAL + " [SYSTEM_PROMPT] [/SYSTEM_PROMPT]",
        bos="<s>",
        eos="</s>",
        first="<s>[INST] ",
        system="<s>[SYSTEM_PROMPT] Be brief.[/SYSTEM_PROMPT][INST] ",
        later="<s>[SYSTEM_PROMPT] Be brief.[/SYSTEM_PROMPT][INST] Hi[/INST] Hello</s>[INST] ",
        asks="[/INST]",
        shows=" ",
        ends="</s>",
        stops="[/INST] </s>",
    ),
    # Llama 2's own tokenizer reads [/INST] as text (refused below); models trained from it made it a token.
    "llama-2": Family(
        control=MISTRAL,
        bos="<s>",
        eos="</s>",
        first="<s>[INST] ",
        system="<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\n",
        later="<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Hello </s><s>[INST] ",
        asks=" [/INST]",
        shows=" ",
        ends=" </s>",
        stops="[/INST] </s>",
    ),
    "phi-3": Family(
        control=PHI_3,
        bos="<s>",
        eos="<|endoftext|>",
        first="<s><|user|>\n",
        system=None,  # dropped without a word
        later="<s><|user|>\nHi<|end|>\n<|assistant|>\nHello<|end|>\n<|user|>\n",
        asks="<|end|>\n<|assistant|>\n",
        shows="",
        ends="<|end|>",
        stops="<|end|> <|endoftext|>",
    ),
    "phi-3.5": Family(
        control=PHI_3,
        bos="<s>",
        eos="<|endoftext|>",
        first="<|user|>\n",
        system="<|system|>\nBe brief.<|end|>\n<|user|>\n",
        later="<|system|>\nBe brief.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\nHello<|end|>\n<|user|>\n",
        asks="<|end|>\n<|assistant|>\n",
        shows="",
        ends="<|end|>",
        stops="<|end|> <|endoftext|>",
    ),
    "phi-4": Family(
        control=CHATML + " <|im_sep|>",
        bos="<|endoftext|>",
        eos="<|im_end|>",
        first="<|im_start|>user<|im_sep|>",
        system="<|im_start|>system<|im_sep|>Be brief.<|im_end|><|im_start|>user<|im_sep|>",
        later="<|im_start|>system<|im_sep|>Be brief.<|im_end|><|im_start|>user<|im_sep|>Hi<|im_end|>"
        "<|im_start|>assistant<|im_sep|>Hello<|im_end|><|im_start|>user<|im_sep|>",
        asks="<|im_end|><|im_start|>assistant<|im_sep|>",
        shows="",
        ends="<|im_end|>",
        stops="<|im_end|>",
    ),
    "zephyr": Family(
        control="<s> </s>",  # <|user|> and the like are text to it
        bos="<s>",
        eos="</s>",
        first="<|user|>\n",
        system="<|system|>\nBe brief.</s>\n<|user|>\n",
        later="<|system|>\nBe brief.</s>\n<|user|>\nHi</s>\n<|assistant|>\nHello</s>\n<|user|>\n",
        asks="</s>\n<|assistant|>\n",
        shows="",
        ends="</s>",
        stops="</s>",
    ),
    "openchat-3.5": Family(
        control="<s> </s> <|end_of_turn|>",
        bos="<s>",
        eos="<|end_of_turn|>",
        first="<s>GPT4 Correct User: ",
        system="<s>GPT4 Correct System: Be brief.<|end_of_turn|>GPT4 Correct User: ",
        later="<s>GPT4 Correct System: Be brief.<|end_of_turn|>GPT4 Correct User: Hi<|end_of_turn|>"
        "GPT4 Correct Assistant: Hello<|end_of_turn|>GPT4 Correct User: ",
        asks="<|end_of_turn|>GPT4 Correct Assistant:",
        shows=" ",
        ends="<|end_of_turn|>",
        stops="<|end_of_turn|>",
    ),
    "aya": Family(
        control="<BOS_TOKEN> <|START_OF_TURN_TOKEN|> <|END_OF_TURN_TOKEN|> <|USER_TOKEN|> <|CHATBOT_TOKEN|> "
        "<|SYSTEM_TOKEN|>",
        bos="<BOS_TOKEN>",
        eos="<|END_OF_TURN_TOKEN|>",
        first="<BOS_TOKEN><|START_OF_TURN_TOKEN|><|USER_TOKEN|>",
        system="<BOS_TOKEN><|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>Be brief.<|END_OF_TURN_TOKEN|>"
        "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>",
        later="<BOS_TOKEN><|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>Be brief.<|END_OF_TURN_TOKEN|>"
        "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>Hi<|END_OF_TURN_TOKEN|>"
        "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>Hello<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|USER_TOKEN|>",
        asks="<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
        shows="",
        ends="<|END_OF_TURN_TOKEN|>",
        stops="<|END_OF_TURN_TOKEN|>",
    ),
    "granite-3": Family(
        control="<|end_of_text|> <|start_of_role|> <|end_of_role|>",
        bos="<|end_of_text|>",
        eos="<|end_of_text|>",
        first="<|start_of_role|>user<|end_of_role|>",
        system="<|start_of_role|>system<|end_of_role|>Be brief.<|end_of_text|>\n<|start_of_role|>user<|end_of_role|>",
        later="<|start_of_role|>system<|end_of_role|>Be brief.<|end_of_text|>\n"
        "<|start_of_role|>user<|end_of_role|>Hi<|end_of_text|>\n"
        "<|start_of_role|>assistant<|end_of_role|>Hello<|end_of_text|>\n<|start_of_role|>user<|end_of_role|>",
        asks="<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>",
        shows="",
        ends="<|end_of_text|>",
        stops="<|end_of_text|>",
    ),
    # No token of its own closes a turn: the one that opens the next does.
    "glm-edge": Family(
        control="<|endoftext|> <|system|> <|user|> <|assistant|>",
        bos=None,
        eos="<|endoftext|>",
        first="<|user|>\n",
        system="<|system|>\nBe brief.<|user|>\n",
        later="<|system|>\nBe brief.<|user|>\nHi<|assistant|>\nHello<|user|>\n",
        asks="<|assistant|>",
        shows="\n",
        ends="<|user|>",
        stops="<|user|> <|assistant|> <|endoftext|>",
    ),
}
