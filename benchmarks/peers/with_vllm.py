"""vLLM on the CPU, offline, in settings["dtype"]: all rows at once."""

import os

os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "4")  # GiB: room for all rows
cores = sorted(os.sched_getaffinity(0))
os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", ",".join(map(str, cores)))  # none kept back for the scheduler
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")

from peer import serve  # noqa: E402
from vllm import LLM, SamplingParams  # noqa: E402


def load(job):
    rows = max(len(part["ids"]) for part in job["parts"].values())
    llm = LLM(job["model"], dtype=job["settings"]["dtype"], max_num_seqs=rows, max_model_len=1024, seed=0)

    def sample(part):
        sampling = part["sampling"]
        settings = {name: sampling[name] for name in ("temperature", "top_k", "top_p", "repetition_penalty")}
        chosen = SamplingParams(  # no seed a row, which would slow its sampling
            max_tokens=sampling["max_new_tokens"], stop_token_ids=job["stop_ids"], skip_special_tokens=False, **settings
        )
        prompts = [{"prompt_token_ids": ids} for ids in part["ids"]]
        return [output.outputs[0].text for output in llm.generate(prompts, chosen, use_tqdm=False)]

    return sample


if __name__ == "__main__":
    serve(load)
