"""What a page says of each study beside its numbers: title, topic of each question, theory, and what would change our mind."""

from typing import NamedTuple


class Prose(NamedTuple):
    """One study in words; R1 to R13 are the closed forms listed in METHODS."""

    title: str
    theory: tuple[str, ...]
    """A few sentences, one idea each."""
    change: tuple[str, ...]
    """Observations that would overturn the prediction or the way it is tested."""


TOPICS: dict[str, str] = {
    "h1a": "critic's excess error",
    "h1b": "value error into update",
    "h1c": "forgetting rare paths",
    "h2a": "form of λ(l)",
    "h2b": "α against a constant λ",
    "h3a": "curvature, token/sequence",
    "h3b": "gradient quality",
    "h3c": "KL per gain",
    "h4a": "escape from traps",
    "h4b": "modes left at equal J",
    "h5a": "critic out of distribution",
    "h5b": "overfitting",
    "h6a": "updates that lower J",
    "h6b": "interaction of two cures",
    "h7a": "blame spread by length",
    "h7b": "credit by steps",
}
"""A few words per question, as figures have room for."""

PROSE: dict[str, Prose] = {
    "components": Prose(
        "What each component is worth",
        (
            "A component is worth what full VAPO loses without it, on the same seeds. Theory names mechanisms, not sizes, and a "
            "component that had nothing to do shows no effect whatever it could do.",
        ),
        (
            "An effect that changes sign with the task, or that an equal change of learning rate, constant λ or number of "
            "prompts makes as well.",
        ),
    ),
    "h1_value_fidelity": Prose(
        "Limitation 1: value fidelity",
        (
            "A critic errs by what its features cannot tell, E Var(V | features), which no training removes, and by an excess "
            "that falls as one over the number of results it has seen.",
            "A frozen error e moves the expected gradient by Σ E[ψ_t (1 − λ) Σ_k λ^k e_{t+1+k}] (R1): in proportion to its "
            "size, not at all at λ = 1, and not at all if e depends on position alone and all responses have one length.",
            "A table forgets nothing. A network that fits the states visited now moves its values on those it left.",
        ),
        (
            "h1a: an excess under a tenth of Var(V) on text that shows its state. Critics then lack features, not results.",
            "h1b: a bias that does not fall with λ, or that a constant error causes where all responses have one length.",
            "h1c: a twin that replays rare states and loses as much on them. The loss is then no interference.",
        ),
    ),
    "h2_length_adaptive_gae": Prose(
        "Limitation 2: length-adaptive GAE",
        (
            "Bias falls as σ τ/(τ + h) with the horizon h = 1/(1 − λ), variance grows as v h/(2 l n). The best horizon is "
            "(4 σ² τ² l n / v)^(1/3) (R4): slope 1/3 on log l. VAPO's h = α l has slope 1.",
            "An exact critic wants λ = 0 at every length (R3). A slope of 1 needs an error whose reach grows with length.",
            "A horizon ten times too short costs about five times as much as one ten times too long.",
        ),
        (
            "h2a: slopes near 1 for errors measured in trained critics, and not only for filler or planted late errors.",
            "h2b: an α chosen on half of the seeds that beats the best constant λ on the other half, at mixed lengths.",
        ),
    ),
    "h3_token_level_loss": Prose(
        "Limitation 3: token-level loss",
        (
            "Token mean is sequence mean plus Cov(l, m)/mean l (R5): the two differ by the covariance of length with whatever "
            "is averaged, be it loss, gradient or curvature. At λ = 1 token mean points along grad J; without a baseline "
            "sequence mean points along grad E[R/l].",
            "Token mean has the smaller variance while gradients within a response correlate less than 1/(1 + E l) (R6), if "
            "the squared gradient of a response grows as its length. Scores are martingale differences, which puts that "
            "correlation near 0. Variances include the scale of either gradient; noise over signal, and Q at a number of "
            "responses, do not.",
            "At one step size KL goes with the squared norm; only KL per squared gain of J compares directions.",
        ),
        (
            "h3a: curvatures that do not follow the sign of the covariance of length and per-response curvature.",
            "h3b: less quality under token mean. Gradients of a response correlate, or grow more slowly than its length.",
            "h3c: token mean paying more KL for the same gain on tasks whose lengths vary.",
        ),
    ),
    "h4_exploration": Prose(
        "Limitation 4: exploration",
        (
            "If a right answer has probability p, N responses hold one with probability 1 − (1 − p)^N (R10). Before the first "
            "hit neither clipping nor the positive-example loss has anything to act on, so no component moves the depth of "
            "escape by more than doubling the batch would, ln 2.",
            "On policy the positive-example loss is parallel to grad J (R7): a matter of speed until J nears 1, where its noise "
            "stays and modes drift apart.",
        ),
        (
            "h4a: a depth of even odds that moves by more than ln 2 at equal samples, or no full VAPO run that stays trapped "
            "where right answers were to be expected.",
            "h4b: less entropy over correct modes at the same J with the loss than without, at equal speed.",
        ),
    ),
    "h5_generalization": Prose(
        "Limitation 5: generalisation",
        (
            "Nothing in the loss asks values to hold beyond the training distribution; a shift of level alone keeps the order "
            "of next steps, so ranking should suffer less than squared error.",
            "Near λ = 1 VAPO and GRPO follow one expected direction up to weights of prompts (R13). At equal skill in "
            "distribution, equal skill beyond it is expected.",
        ),
        (
            "h5a: an error out of distribution that stays within a tenth of Var(V) once length and V are matched.",
            "h5b: a gap of three points in accuracy where held-out skill in distribution is the same.",
        ),
    ),
    "h6_interactions": Prose(
        "Limitation 6: interactions and guarantees",
        (
            "The bound behind PPO's guarantee, 2 l (l − 1) TV² max|A|, exceeds 1 from 8 tokens on with clips of 0.2, from 7 with "
            "clip-higher (R8): nothing is promised at any length of interest.",
            "What an update of infinitely many responses gets wrong is bias: λ < 1, whitening's shift, the imitation loss.",
            "Value pretraining and decoupled GAE take away one and the same initial error (R9), so the second finds little "
            "left: a negative interaction.",
        ),
        (
            "h6a: fewer than one harmful update in twenty at infinite batch. Bias would then be no practical matter.",
            "h6b: an interaction of the other sign, or one that turns with the scale of the score.",
        ),
    ),
    "h7_credit_assignment": Prose(
        "Limitation 7: credit assignment",
        (
            "Tokens before an error at j receive λ^(j − t) of it, so a step of w tokens holds about w/h of the blame (R12). "
            "Under VAPO's rule h = α l: blame spreads in proportion to length.",
            "A critic that notices late leaves λ^d for the erring token; a blind one blames the last tokens most.",
            "At a matched horizon, λ_step = λ_token^m, credit by steps and by tokens agree where values are flat within a step.",
        ),
        (
            "h7a: a share of blame inside the erring step that does not thin out with length under VAPO's rule.",
            "h7b: samples that grow more slowly with depth under credit by steps at the same horizon.",
        ),
    ),
}
"""Stem -> words."""
