"""distilabel's Magpie task with its TransformersLLM, which hands its prompts to the model one by one.

The task itself writes the instructions. It knows one set of sampling settings for instructions and answers; here they
differ, so the answers are asked for by the call that the task makes for them.
"""

from distilabel.models import TransformersLLM
from distilabel.steps.tasks import Magpie
from peer import serve


def load(job):
    llm = TransformersLLM(
        model=job["model"],
        torch_dtype=job["settings"]["dtype"],
        use_magpie_template=True,
        magpie_pre_query_template=job["pre_query"],
    )
    task = Magpie(llm=llm, only_instruction=True)
    task.load()

    def sample(part):
        if not any(part["messages"]):
            llm.generation_kwargs = part["sampling"]
            return [row["instruction"] for row in next(task.process([{} for _ in part["ids"]]))]
        outputs = llm.generate(inputs=part["messages"], num_generations=1, **part["sampling"])
        return [output["generations"][0] for output in outputs]

    return sample


if __name__ == "__main__":
    serve(load)
