"""llama.cpp's server in this process (xllamacpp): settings["sequences"] slots, continuous batching."""

import os
from concurrent.futures import ThreadPoolExecutor

import xllamacpp
from peer import serve


def load(job):
    slots = job["settings"]["sequences"]
    longest = max(
        len(ids) + part["sampling"]["max_new_tokens"] for part in job["parts"].values() for ids in part["ids"]
    )
    params = xllamacpp.CommonParams()
    params.model.path = job["settings"]["gguf"]
    params.n_parallel = slots
    params.n_ctx = slots * (longest // 256 + 1) * 256
    params.cache_ram_mib = 0  # no copies of finished rows' caches, which nothing asks for again
    for threads in (params.cpuparams, params.cpuparams_batch):
        threads.n_threads = len(os.sched_getaffinity(0))
    server = xllamacpp.Server(params)

    def sample(part):
        sampling = part["sampling"]
        settings = {
            "samplers": ["penalties", "temperature", "top_k", "top_p"],  # in the others' order
            "n_predict": sampling["max_new_tokens"],
            "stop": job["stop"],
            **{name: sampling[name] for name in ("temperature", "top_k", "top_p")},
            "repeat_penalty": sampling["repetition_penalty"],
        }

        def one(row):
            answer = server.handle_completions({"prompt": part["ids"][row], "seed": part["row_seeds"][row], **settings})
            if "choices" not in answer:
                raise RuntimeError(f"llama.cpp: {answer}")
            return answer["choices"][0]["text"]

        with ThreadPoolExecutor(slots) as pool:
            return list(pool.map(one, range(len(part["ids"]))))

    return sample


if __name__ == "__main__":
    serve(load)
