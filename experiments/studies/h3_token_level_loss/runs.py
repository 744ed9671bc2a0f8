"""Limitation 3, the token-level loss: what does it do to the landscape, to gradient noise, and to the price in KL?

All is measured at three places of a run, fixed before any run that is judged: before the first RL step, and after 5 and 10.
There the gradients of every development seed stood clear of their noise; later, near convergence, they did not.

Cost from development runs, core-seconds on a busy machine: a measurement on the walk 3 (curvature), 4.5 (KL per gain), 1
(quality), on text 10; a text run without them 13, its base policy 16. Preset full: the walk 0.8 core-hours, text 2.9 and less
where other studies share the base policies. Seeds: of a seed's mean the KL price scattered by 0.16, the log ratio of
sharpness by 0.3, and noise over signal on text by 0.2 before training and by 1 after it.
"""

from experiments.specs.exact import ExactSpec
from experiments.specs.spec import RunSpec
from experiments.studies import core
from experiments.studies.h3_token_level_loss.exact_runs import exact_runs
from experiments.studies.h3_token_level_loss.real_runs import real_runs

CELLS: dict[str, dict[str, float]] = {
    "stops early": {},
    "wanders": {"trap_prior": -6.0, "hazard": 3, "horizon": 24},
}
"""Cells of h3a: dials of the walk. By default the base policy stops early, and wrong answers are short. Against six nats it
does not stop, a wide hazard breaks many walks, and those go on to the end: wrong answers are long."""

STEPS: dict[str, int] = {"smoke": 2, "quick": 10, "full": 10}
"""RL steps of a run."""

EVERY: dict[str, int] = {"smoke": 2, "quick": 5, "full": 5}
"""RL steps between measurements."""

SEEDS: dict[str, dict[str, tuple[int, ...]]] = {
    "wanders": {"smoke": (0, 1), "quick": tuple(range(6)), "full": tuple(range(1000, 1048))},
    "stops early": {"smoke": (0, 1), "quick": tuple(range(6)), "full": tuple(range(1000, 1096))},
    "text": {"smoke": (0,), "quick": tuple(range(4)), "full": tuple(range(1000, 1096))},
}
"""Seeds by cell of the walk, and of text: as many as the spread over development seeds asks for."""

REPLICATES: dict[str, int] = {
    "h3a": len(SEEDS["stops early"]["full"]),
    "h3b": len(SEEDS["text"]["full"]),
    "h3c": len(SEEDS["stops early"]["full"]),
}
"""Question -> seeds of its primary estimate at preset full."""

PRICED: dict[str, int] = {"smoke": 1, "quick": 2, "full": 8}
"""First seeds of text on which KL per gain is measured, too, at the first and the last place."""


def walk(preset: str) -> tuple[RunSpec, ...]:
    """Full VAPO: KL per gain on the walk as it is; on the seeds of both cells curvature and gradient quality besides."""
    return tuple(
        core.run("walk", preset, seed, dials=dials, probes=_probes(cell, preset, seed), steps=STEPS[preset])
        for cell, dials in CELLS.items()
        for seed in SEEDS[cell][preset]
    )


def _probes(cell: str, preset: str, seed: int) -> dict[str, int]:
    if cell == "wanders":
        return {"curvature": EVERY[preset]}
    shared = ("curvature", "gradient_quality") if seed in SEEDS["wanders"][preset] else ()
    return dict.fromkeys((*shared, "kl_per_gain"), EVERY[preset])


def text(preset: str) -> tuple[RunSpec, ...]:
    """Full VAPO with the probe of h3b, and that of h3c on a few seeds."""
    tasks, every = core.TASKS["lm"][: 1 if preset == "smoke" else None], EVERY[preset]
    own, priced = {"gradient_quality": every}, {"gradient_quality": every, "kl_per_gain": STEPS[preset]}
    return tuple(
        core.run("lm", preset, seed, task=task, probes=priced if number < PRICED[preset] else own, steps=STEPS[preset])
        for number, seed in enumerate(SEEDS["text"][preset])
        for task in tasks
    )


def primary(preset: str) -> tuple[RunSpec, ...]:
    """The runs from which the primary estimates are made: what a pilot tries out."""
    return (*walk(preset), *text(preset))


def specs(preset: str) -> tuple[RunSpec | ExactSpec, ...]:
    """Every run of the study."""
    if preset == "real":
        return tuple(real_runs())
    return (*walk(preset), *text(preset), *exact_runs(preset))
