"""Characters of other alphabets and keyboards as the ASCII and LaTeX that answers are compared in."""

import re
import unicodedata

SIGNS = {
    **dict.fromkeys("‐‑‒–—―−﹘﹣", "-"), **dict.fromkeys("·⋅∙", "\\cdot "), **dict.fromkeys("’‘ʼ", "'"),
    "⁄": "/", "∕": "/", "×": "\\times ", "÷": "/", "∞": "\\infty ", "±": "\\pm ", "≤": "\\le ", "≥": "\\ge ", "≠": "\\ne ",
    "∪": "\\cup ", "∩": "\\cap ", "∅": "\\emptyset ", "∈": "\\in ", "٪": "%", "٫": ".", "٬": ",", "、": ",", "。": ".",
}  # fmt: skip
GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "θ": "theta", "λ": "lambda", "μ": "mu", "π": "pi",
    "ρ": "rho", "σ": "sigma", "τ": "tau", "φ": "phi", "ω": "omega",
}  # fmt: skip

_RAISED, _LOWERED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "₀₁₂₃₄₅₆₇₈₉₊₋"
_LEVEL = str.maketrans(_RAISED + _LOWERED, "0123456789+-" * 2)
_SPLIT = re.compile(rf"([{_RAISED}]+)⁄([{_LOWERED}]+)")
_SUPERSCRIPT, _SUBSCRIPT = re.compile(f"[{_RAISED}]+"), re.compile(f"[{_LOWERED}]+")
_LONE_GREEK = re.compile(f"(?<![Ͱ-Ͽ])[{''.join(GREEK)}](?![Ͱ-Ͽ])")
_ROOT = re.compile(r"√ *(\d+(?:\.\d+)?|[A-Za-z])")


def ascii_signs(text: str) -> str:
    r"""Digits, signs and spaces of any script in ASCII, `½` as `\frac{1}{2}`, `x²` as `x^{2}`; other letters stay."""
    if text.isascii():
        return text
    text = _SPLIT.sub(lambda m: f"\\frac{{{m[1].translate(_LEVEL)}}}{{{m[2].translate(_LEVEL)}}}", text)
    text = _SUPERSCRIPT.sub(lambda m: f"^{{{m[0].translate(_LEVEL)}}}", text)
    text = _SUBSCRIPT.sub(lambda m: f"_{{{m[0].translate(_LEVEL)}}}", text)
    text = _LONE_GREEK.sub(lambda m: f"\\{GREEK[m[0]]} ", text)
    text = "".join(map(_sign, text))
    return _ROOT.sub(r"\\sqrt{\1}", text).replace("√", "\\sqrt ")


def _sign(character: str) -> str:
    """One character in ASCII where it has such a form; nothing for one that is not seen."""
    if character.isascii():
        return character
    if 0xFF01 <= ord(character) <= 0xFF5E:  # full width
        return chr(ord(character) - 0xFEE0)
    kind = unicodedata.category(character)
    if kind == "Nd":
        return str(unicodedata.decimal(character))
    if kind in ("Zs", "Cf"):
        return " " if kind == "Zs" else ""
    return SIGNS.get(character) or _vulgar(character)


def _vulgar(character: str) -> str:
    """A fraction that is one character; any other as it is."""
    kind, *codes = unicodedata.decomposition(character).split() or [""]
    above, _, below = "".join(chr(int(code, 16)) for code in codes).partition("⁄")
    return f"\\frac{{{above}}}{{{below}}}" if kind == "<fraction>" and below else character
