"""The process that asks math-verify: one JSON line `[reference, answer]` in, one with the outcome out. Only importer of it.

math-verify can read an answer as a Python expression, which sympy evaluates; only its LaTeX reader (antlr) is used here. That
one still hands every number to sympy as text, so sympy's evaluator of text is replaced by a reader of plain numbers, and
nothing else that a response says can reach `eval`. Should anything get by, the process can start no other, open no
connection and write no file. It lives within limits of processor time and memory, and is simply stopped at either.
"""

import json
import os
import re
import resource
import signal
import sys
from fractions import Fraction
from typing import Any

from vapo_core.grading.answers import Outcome
from vapo_core.grading.numerals import ENOUGH, rounded

MEMORY = 4 << 30
"""Bytes of address space."""

DIGITS = 300
"""Digits to which two numbers that are not plain have to agree."""

READY = '"ready"'

_LITERAL = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,4})?")
_WARM_UP = (("\\frac{1}{2}", "0.5x"), ("x^2=4", "x=2"), ("(1,2]", "\\{1,2\\}"), ("\\sqrt{2}", "\\sin{\\pi}"))
_REFUSED = frozenset({
    "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "subprocess.Popen", "pty.spawn",
    "socket.__new__", "socket.connect", "socket.bind", "os.remove", "os.rename", "os.rmdir", "shutil.rmtree",
    "os.kill", "ctypes.dlopen",
})  # fmt: skip


class Reader:
    """math-verify, confined to LaTeX."""

    def __init__(self) -> None:
        """Load it, and replace what evaluates text.

        Raises:
            ImportError: if math-verify is not installed.
        """
        import math_verify
        from math_verify import grader, parser
        from sympy.parsing import sympy_parser

        self._parse, self._verify = math_verify.parse, math_verify.verify
        form = parser.NormalizationConfig(units=False, malformed_operators=True, nits=True)
        self._config = [math_verify.LatexExtractionConfig(boxed_match_priority=0, normalization_config=form)]
        for pair in _WARM_UP:  # sympy loads parts of itself on first use, and names their constants as text
            self.compare(*pair)
        sympy_parser.parse_expr, sympy_parser.eval_expr = literal, refuse
        parser.parse_expr = refuse
        grader.sympy_numeric_eq = equal

    def compare(self, reference: str, answer: str) -> Outcome:
        """What math-verify says of an answer; unparsable also where reading or comparing runs out of memory or depth."""
        try:
            given = [found for text in readings(answer) if (found := self._read(text))]
            wanted = [found for text in readings(reference) if (found := self._read(text))]
            if not given:
                return "unparsable"
            return "right" if any(self._same(w, g) for w in wanted for g in given) else "wrong"
        except (MemoryError, RecursionError):
            return "unparsable"
        except Exception:  # read, but not to be compared with the reference
            return "wrong"

    def _same(self, wanted: list[Any], given: list[Any]) -> bool:
        return bool(self._verify(wanted, given, timeout_seconds=None, raise_on_error=True))

    def _read(self, answer: str) -> list[Any]:
        """Expressions, none where it cannot be read."""
        boxed = f"\\boxed{{{answer}}}"
        return self._parse(boxed, self._config, fallback_mode="no_fallback", parsing_timeout=None)


def readings(answer: str) -> list[str]:
    """An answer as LaTeX; a percentage as its number and as its hundredth, since the data mean either."""
    text = answer.strip().replace("\\%", "%")
    if not text.endswith("%"):
        return [answer]
    return [text[:-1], f"\\frac{{{text[:-1]}}}{{100}}"]


def literal(text: str, *_: Any, **__: Any) -> Any:
    """A plain number, read without evaluation; in place of sympy's `parse_expr`.

    Raises:
        ValueError: for any other text.
    """
    from sympy import Rational

    if not isinstance(text, str) or not _LITERAL.fullmatch(text.strip()):
        raise ValueError("not a plain number, and nothing else is evaluated")
    return Rational(Fraction(text.strip()))


def equal(first: Any, second: Any, *_: Any) -> bool:
    """Whether two expressions of math-verify are the same number, or matrix of numbers; in place of its own comparison.

    That one rounds to six places, and leaves out whatever is small. Here numbers are compared exactly, decimals by the rule of
    `numerals`, and others are the same where `DIGITS` digits of their difference are zero.
    """
    from sympy import MatrixBase

    first, second = first.doit(), second.doit()
    if isinstance(first, MatrixBase) and isinstance(second, MatrixBase):
        pairs = zip(first.flat(), second.flat(), strict=False)
        return first.shape == second.shape and all(equal(a, b) for a, b in pairs)
    return _same_number(first, second)


def _same_number(first: Any, second: Any) -> bool:
    """Exactly, by the rule of decimals, or to `DIGITS` digits."""
    if first == second or stands_for(first, second) or stands_for(second, first):
        return True
    if (first.is_Rational and second.is_Rational) or first.free_symbols or second.free_symbols:
        return False
    return _exhausts(first - second) and not (_exhausts(first) or _exhausts(second))


def _exhausts(expression: Any) -> bool:
    """Whether a number is zero as far as `DIGITS` digits show; a sum or product that has no value is, too."""
    from sympy.core.evalf import PrecisionExhausted

    try:
        expression.evalf(15, maxn=DIGITS, strict=True)
    except PrecisionExhausted:
        return True
    return False


def stands_for(decimal: Any, exact: Any) -> bool:
    """Whether a number is a decimal of many places to which another, that is none, is rounded or cut off."""
    places = _places(decimal)
    if places < ENOUGH or _places(exact) or not exact.is_number or not exact.is_real:
        return False
    size = exact if exact.is_Rational else exact.evalf(places + DIGITS)
    return rounded(Fraction(int(decimal.p), int(decimal.q)), places, Fraction(str(size)))


def _places(expression: Any) -> int:
    """Digits behind the point of a decimal, 0 for what is none."""
    if not expression.is_Rational or expression.is_Integer:
        return 0
    twos, fives, rest = 0, 0, int(expression.q)
    while rest % 2 == 0:
        twos, rest = twos + 1, rest // 2
    while rest % 5 == 0:
        fives, rest = fives + 1, rest // 5
    return max(twos, fives) if rest == 1 else 0


def refuse(*_: Any, **__: Any) -> Any:
    """In place of whatever evaluates text.

    Raises:
        ValueError: always.
    """
    raise ValueError("text is never evaluated")


def confine() -> None:
    """No more processes, connections or written files from here on, and a limit of memory."""
    sys.dont_write_bytecode = True
    for limit, size in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CORE, 0)):
        try:
            resource.setrlimit(limit, (size, size))
        except (ValueError, OSError):  # a system without such a limit
            continue
    sys.addaudithook(_watch)


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse what a grader has no business doing."""
    writing = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if event in _REFUSED or writing:
        raise PermissionError(f"a grader may not {event}")


def serve(limit: float) -> None:
    """Answer until the input ends; a question that takes more than `limit` seconds of processor time ends the process."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    reader = Reader()
    confine()
    print(READY, file=out, flush=True)
    for line in sys.stdin:
        reference, answer = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, limit)  # without a handler: the system ends the process, whatever it is in
        outcome = reader.compare(reference, answer)
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps(outcome), file=out, flush=True)
