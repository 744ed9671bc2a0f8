"""Cases measured one after the other, each in a process of its own, so that its peak memory is its own."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from experiments.benchmarks.phases import Case, rows_of
from experiments.benchmarks.timing import TimingRow
from vapo_core.settings import Evaluation, Settings


def measured(cases: Sequence[Case], quick: bool) -> list[TimingRow]:
    """Rows of all cases; of the first and the last, made small, for a check that they run."""
    listed = [_small(case) for case in (cases[0], cases[-1])] if quick else cases
    found = []
    for case in listed:
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            found += pool.submit(rows_of, case).result()
    return found


def _small(case: Case) -> Case:
    """Two steps of few answers, once."""
    few = {"responses_per_step": 32, "group_size": 4, "pool_size": 16, "warmup_steps": 2, "mini_batches": 2}
    settings = Settings(**{**case.spec.settings.model_dump(), **few})
    evaluation = Evaluation(every=2, problems=32, k=2, k_problems=8)
    spec = case.spec.model_copy(update={"settings": settings, "evaluation": evaluation, "steps": 2})
    return case._replace(spec=spec, seeds=case.seeds[:1])
