"""Report text for limitation 1, value fidelity: title, theory, and what would change the conclusions."""

from analysis.hypotheses.study_text import StudyText

TEXT = StudyText(
    "Limitation 1: value fidelity",
    (
        "A critic errs by what its features cannot tell, E Var(V | features), which no training removes, and by an excess "
        "that falls as one over the number of results it has seen. The mean of other answers, the baseline that needs no "
        "critic, errs by all that is decided within an answer, E Var(V | prompt), and by its own noise, p (1 - p) / (G - 1).",
        "A frozen error e moves the expected gradient by Σ E[ψ_t (1 − λ) Σ_k λ^k e_{t+1+k}] (R1): in proportion to its "
        "size, not at all at λ = 1, and not at all if e depends on position alone and all responses have one length.",
        "A table does not forget. A network trained on the states it visits now also changes its values at states it left.",
    ),
    (
        "h1a: a critic that is as near the true value as the mean of other answers, or nearer, on answers of this length. "
        "It is then worth its cost as a baseline.",
        "h1b: a bias that does not fall with λ, or that a constant error causes where all responses have one length.",
        "h1c: rare states whose error does not grow, or grows as much in a twin that replays them. Nothing was lost, or "
        "not by interference.",
    ),
)

TOPICS: dict[str, str] = {
    "h1a": "critic against group mean",
    "h1b": "value error into update",
    "h1c": "forgetting rare paths",
}
"""A few words per question, as figures have room for."""
