"""transformers' `generate` on padded batches of settings["batch"] rows in settings["dtype"]."""

import torch
from peer import serve
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig


def load(job):
    tokenizer = AutoTokenizer.from_pretrained(job["model"], padding_side="left")
    dtype = getattr(torch, job["settings"]["dtype"])
    model = AutoModelForCausalLM.from_pretrained(job["model"], dtype=dtype).eval()
    torch.manual_seed(0)

    def sample(part):
        config = GenerationConfig(
            do_sample=True,
            eos_token_id=job["stop_ids"],
            pad_token_id=tokenizer.pad_token_id,
            **part["sampling"],
        )
        texts, size = [], job["settings"]["batch"]
        for start in range(0, len(part["ids"]), size):
            batch = tokenizer.pad({"input_ids": part["ids"][start : start + size]}, return_tensors="pt")
            with torch.inference_mode():
                output = model.generate(**batch, generation_config=config)
            texts += tokenizer.batch_decode(output[:, batch["input_ids"].shape[1] :])
        return texts

    return sample


if __name__ == "__main__":
    serve(load)
