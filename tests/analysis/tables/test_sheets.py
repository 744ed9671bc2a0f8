"""Tables as Markdown and LaTeX."""

from analysis.tables.sheets import Sheet, escaped, latex, markdown

SHEET = Sheet(("Arm", "Δ [95%]"), [("− clip_higher", "-0.1 [-0.2, +0.0]"), ("a|b", "–")], "Score & 95% of J_1.")


def test_markdown_by_hand():
    assert markdown(SHEET) == (
        "| Arm | Δ [95%] |\n| :-- | --: |\n| − clip_higher | -0.1 [-0.2, +0.0] |\n| a\\|b | – |\n\nScore & 95% of J_1.\n"
    )


def test_latex_by_hand():
    lines = latex(SHEET).splitlines()
    assert r"\caption{Score \& 95\% of J\_1.}" in lines
    assert r"\begin{tabular}{lr}" in lines
    assert r"$-$ clip\_higher & $-$0.1 [$-$0.2, +0.0] \\" in lines
    assert lines.index(r"\toprule") < lines.index(r"\midrule") < lines.index(r"\bottomrule")


def test_a_hyphen_within_a_word_is_no_minus():
    assert escaped("leave-1-out 1e-6 x_-3") == r"leave-1-out 1e-6 x\_-3"
    assert escaped("\\ {x} ~ ^") == r"\textbackslash{} \{x\} \textasciitilde{} \textasciicircum{}"
