"""Plans of exact-level runs: what to measure, on which sampled problems and with which critic. Immutable and torch-free."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from vapo_core.oracles.instances import ErrorKind, InstanceDials
from vapo_core.settings import Frozen

Growth = Literal["decisions", "filler", "slow"]
"""How a family of problems grows with length; see `family.member`."""

REFERENCE = InstanceDials(horizon=16, fatal=0.06)
"""16 tokens, of which about one may be fatal; longer problems keep that expected number per response."""


class Error(Frozen):
    """How a critic errs."""

    kind: ErrorKind = Field("state", description="as in `oracles.instances.critic_with_error`")
    size: float = Field(0.1, description="standard deviation, or the constant, reward; or the share shrunk")
    reach: float = Field(
        4.0, gt=0, description="tokens, or percent of the horizon, for kinds of error with a correlation length"
    )
    noise: float = Field(0.0, ge=0, description="standard deviation of an i.i.d. error at every visit, reward")

    @property
    def scale(self) -> float:
        """The unit of a plan's `sizes`: the frozen error's size, else that of the i.i.d. noise, else 1."""
        return self.size or self.noise or 1.0


class Plan(Frozen):
    """Fields of every measurement; the spec's `seed` draws problem and error."""

    dials: InstanceDials = REFERENCE
    growth: Growth = Field("decisions", description="how longer problems differ from shorter ones")
    variable: bool = Field(False, description="responses may stop early; `lengths` then are means, else exact")
    spare: float = Field(4.0, gt=1, description="length limit over mean length, where responses may stop early")
    error: Error = Error()
    lengths: tuple[int, ...] = Field((64,), min_length=1, description="tokens; one problem is drawn for each")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        short = [length for length in self.lengths if self.growth != "decisions" and length < self.dials.horizon]
        if short:
            raise ValueError(f"lengths: {short[0]} is below dials.horizon = {self.dials.horizon}, where growth begins")
        if self.variable and self.growth != "decisions":
            raise ValueError(f"variable: only growth 'decisions' has responses that stop early, not {self.growth!r}")
        if self.dials.stop or self.dials.filler:
            raise ValueError("dials: stop and filler follow from `variable`, `growth` and `lengths`")
        return self


class Bias(Plan):
    """Bias and noise of the gradient against the critic's error and lambda (h1b, R1)."""

    measure: Literal["bias"]
    sizes: tuple[float, ...] = Field((0.05, 0.1, 0.2), description="scales of the error, in place of error.size")
    lambdas: tuple[float, ...] = Field((0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0))


class Sharing(Plan):
    """Gradient bias with separate logits per position and with shared ones, and the error's share of Var(V) (h1b)."""

    measure: Literal["sharing"]
    lam: float = Field(0.95, ge=0, le=1)


class Horizon(Plan):
    """Gradient quality against the horizon 1 / (1 - lambda) at several lengths (h2a, h2b, R4)."""

    measure: Literal["horizon"]
    lengths: tuple[int, ...] = (64, 256, 1024, 4096, 16384)
    sizes: tuple[float, ...] = Field((0.1,), description="scales of the error, in place of error.size")
    longest: float = Field(1e5, gt=1, description="tokens, end of the grid of horizons")
    points: int = Field(56, ge=8, description="points of that grid, geometric from 1; lambda = 1 is added")
    observed: int = Field(128, ge=2, description="responses from which a rule may estimate the critic's error")


class Rules(Plan):
    """VAPO's lambda from a response's own length, from the mean length of the others, and constant lambdas (h2b, R11)."""

    measure: Literal["rules"]
    variable: bool = True
    lengths: tuple[int, ...] = (16, 64)
    alphas: tuple[float, ...] = (0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
    lambdas: tuple[float, ...] = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 1.0)
    group: int = Field(16, ge=2, description="G, answers per prompt; the rule uses the other G - 1")


class Reductions(Plan):
    """Token mean and sequence mean: gradient quality and variance (h3b, R5, R6)."""

    measure: Literal["reductions"]
    variable: bool = True
    lengths: tuple[int, ...] = (16, 64)
    lambdas: tuple[float, ...] = (0.95, 1.0)
    batch: int = Field(512, ge=2, description="B, responses")
    shared: bool = Field(
        False, description="one set of logits for all positions, so that token gradients can be correlated"
    )
    samples: int = Field(20_000, ge=100, description="responses simulated where logits are shared")


class Updates(Plan):
    """VAPO's update with an infinite batch: predicted and actual improvement (h6a, R8)."""

    measure: Literal["updates"]
    dials: InstanceDials = InstanceDials(horizon=16, fatal=0.06, branching=2)
    lengths: tuple[int, ...] = (8,)
    lam: float | None = Field(None, ge=0, le=1, description="constant lambda; default: VAPO's rule")
    alpha: float = Field(0.5, gt=0, description="of VAPO's rule; as on the walk, whose responses are also short")
    mu: float = Field(0.1, ge=0, description="weight of the positive-example loss")
    clip_high: float = Field(0.28, ge=0, description="upper clip bound is 1 + clip_high; the lower is 0.8")
    reduction: Literal["token_mean", "sequence_mean"] = "token_mean"
    inner: int = Field(8, ge=1, description="gradient steps on one batch")
    adam: bool = Field(False, description="Adam, as in the trainer, instead of plain gradient ascent")
    move: float = Field(
        0.05, gt=0, description="change of log-probabilities by the first gradient step (Adam: its rate), nats"
    )
    updates: int = Field(40, ge=1)


class Blame(Plan):
    """Which tokens are blamed for a planted fatal error (h7a, R12)."""

    measure: Literal["blame"]
    lengths: tuple[int, ...] = (512, 2048, 8192, 32768, 131072)
    error: Error = Error(kind="none", size=0.0)
    width: int = Field(8, ge=1, description="tokens per step; the last one is the decision")
    planted: int = Field(32, ge=4, description="responses with one error each, places stratified over their length")
    delay: int = Field(0, ge=0, description="tokens after the error at which the critic notices it")
    delay_share: float = Field(0.0, ge=0, lt=1, description="the same as a share of the length, added to `delay`")
    blind: bool = Field(False, description="constant critic (V = J)")
    alphas: tuple[float, ...] = (0.05, 0.5)
    lambdas: tuple[float, ...] = (0.0, 0.95, 0.99)


Result = Literal["r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "r13"]


class Theory(Frozen):
    """A result of METHODS.md, section 2: its formula and the exact number."""

    measure: Literal["theory"]
    result: Result


AnyPlan = Annotated[
    Bias | Sharing | Horizon | Rules | Reductions | Updates | Blame | Theory, Field(discriminator="measure")
]
