"""Characters with a meaning in mathematics: scripts, accents, and what TeX calls letters and signs."""

from __future__ import annotations

from symdescent.derivation.layout.names import ACCENTS as MARKS
from symdescent.derivation.layout.names import LETTERS as NAMES

_PLAIN = "0123456789+−=()"
SUBSCRIPTS = dict(zip(_PLAIN + "aehijklmnoprstuvxβγρφχ", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ", strict=True))
SUPERSCRIPTS = dict(
    zip(
        _PLAIN + "abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVWβγδθφχ",
        "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂᵝᵞᵟᶿᵠᵡ",
        strict=True,
    )
) | {"′": "′", "⋆": "*"}
ACCENTS = {accent: mark for mark, accent in MARKS.items()}

LETTERS = {letter: f"\\{name}" for name, letter in NAMES.items()} | {"ο": "o", "ℏ": r"\hbar"}
SIGNS = {
    "−": "-", "·": r"\cdot", "×": r"\times", "⊙": r"\odot", "⊗": r"\otimes", "mod": r"\bmod", "≠": r"\neq",
    "≤": r"\leq", "≥": r"\geq", "↦": r"\mapsto", "∂": r"\partial", "∇": r"\nabla", "∞": r"\infty", "⋆": r"\star",
    "′": r"\prime", "T": r"\mathsf{T}", "∘": r"\circ", ":": "{:}", "≈": r"\approx", "→": r"\to", "⇔": r"\iff",
    "⇒": r"\Rightarrow", "∈": r"\in", "±": r"\pm", "∗": r"\ast", "†": r"\dagger", "⊤": r"\top", "∥": r"\parallel",
    "⊥": r"\perp", "←": r"\leftarrow", "∼": r"\sim", "≡": r"\equiv", "∝": r"\propto", "√": r"\surd",
    "∑": r"\textstyle\sum", "∏": r"\textstyle\prod", "∫": r"\smallint", "⟨": r"\langle", "⟩": r"\rangle",
}  # fmt: skip
