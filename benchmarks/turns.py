"""Time several jobs that take turns, so that a machine that is slower for a minute is so for all of them."""

import multiprocessing

from tqdm import tqdm


def in_turns(job, kinds: list[str], *arguments) -> dict[str, tuple[float, dict]]:
    """Return kind -> (seconds, result) of `job(pipe, kind, *arguments)`, each in a process, one turn of each at a time.

    A job waits for a word from the pipe before each turn, answers with the seconds it took, and in the end with its
    result (`answer`). All of them take as many turns. SystemExit where one fails.
    """
    spawn = multiprocessing.get_context("spawn")
    pipes = {}
    for kind in kinds:
        pipes[kind], end = spawn.Pipe()
        spawn.Process(target=job, args=(end, kind, *arguments), daemon=True).start()
        end.close()  # here: a job that fails is the end of its pipe
    seconds, found = dict.fromkeys(kinds, 0.0), {}
    bar = tqdm(desc=f"{job.__name__}, loading", unit=" turns")
    while len(found) < len(kinds):
        for kind, pipe in pipes.items():
            try:
                pipe.send(None)
                said = pipe.recv()
            except (EOFError, ConnectionError):
                raise SystemExit(f"{job.__name__}: {kind} failed") from None
            if isinstance(said, float):
                seconds[kind] += said
            else:
                found[kind] = said
        bar.set_description_str(job.__name__)
        bar.update()
    bar.close()
    return {kind: (seconds[kind], found[kind]) for kind in kinds}


def answer(pipe, said: float | dict) -> None:
    """Wait for a turn, and answer with its seconds or the job's result."""
    pipe.recv()
    pipe.send(said)
