r"""Formulas of a returned page without a script: `$S_{t-1}^\top q$` becomes S with a lowered t−1 and a raised T, q.

The page allows no scripts, so nothing can typeset it. Raised and lowered signs are HTML's own `sup` and `sub`; other
commands become the character they stand for, fractions a/b, and roots √(a). Assignments use the commands that stand
here, and a test holds them to it. A command that is not known stays as it was written.
"""

import html
import re

LONGEST = 2000  # letters of a formula
COMMAND = re.compile(r"\\(?:[A-Za-z]+|.)|[{}^_&]|'+|\s+|[^\\{}^_&'\s]", re.DOTALL)
FORMULA = re.compile(r"\$\$(.+?)\$\$|\$(?=[^\s$])([^$]*)(?<!\s)\$(?!\d)", re.DOTALL)
CODE = re.compile(r"(`+|~~~+)(?![`~]).*?(?<![`~])\1(?![`~])", re.DOTALL)
SIGNS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "epsilon": "ε", "varepsilon": "ε", "eta": "η", "mu": "μ", "nu": "ν",
    "xi": "ξ", "pi": "π", "sigma": "σ", "phi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω", "lambda": "λ",
    "sum": "∑", "partial": "∂", "infty": "∞", "top": "T", "dots": "…", "cdot": "·", "times": "×", "in": "∈",
    "le": "≤", "ge": "≥", "gg": "≫", "ll": "≪", "approx": "≈", "ne": "≠", "leftarrow": "←", "to": "→", "mid": "|",
    "lfloor": "⌊", "rfloor": "⌋", "ln": "ln", "log": "log", "exp": "exp", "min": "min", "max": "max",
    "quad": " ", "qquad": "  ", ",": " ", ";": " ", " ": " ", "!": "", "_": "_", "{": "{", "}": "}", "|": "‖",
}  # fmt: skip
WORDS = {"ln", "log", "exp", "min", "max"}  # a word of its own: a space parts it from what follows
SPACED = set("=<>+∈≤≥≫≪≈≠←→·×")
SIZES = {"left", "right", "big", "bigl", "bigr", "Big", "Bigl", "Bigr"}
FRACTIONS = {r"\frac", r"\dfrac", r"\tfrac"}
TERM = re.compile(r"[\w)\]|′>…∞]\s*$")  # where a term ends
# What a fraction is multiplied by, which would be taken for a part of it: in HTML before it, in LaTeX behind it.
LEFT_FACTOR = re.compile(r"[\w)\]′>] *$")
RIGHT_FACTOR = re.compile(
    r"(?:\s|\\[,; ])*(?:\w|[(\[|]|\\(?!(?:qquad|quad|right|end|cdot|le|ge|big)(?![A-Za-z]))[A-Za-z])"
)
FONTS = {"mathrm", "text", "mathbf", "mathit", "operatorname"}


class Reader:
    """The signs of one formula, read from left to right."""

    def __init__(self, formula: str) -> None:
        self.signs, self.at = COMMAND.findall(formula), 0

    def next(self) -> str:
        """The next sign; "" at the end."""
        self.at += 1
        return self.signs[self.at - 1] if self.at <= len(self.signs) else ""

    def argument(self, plain: bool = False) -> str:
        """What a command applies to, as HTML: a group in braces, or one sign."""
        while (sign := self.next()).isspace():
            pass
        return self.until("}", plain) if sign == "{" else self.read(sign, plain)

    def until(self, end: str, plain: bool = False) -> str:
        """All signs up to `end`, as HTML; with `plain` as they stand, which is what text within a formula asks for."""
        words = ""
        while (sign := self.next()) not in ("", end):
            part = self.read(sign, plain)
            if (
                sign == "-" and not plain and TERM.search(words)
            ):  # else it stands before a term, not between two
                part = " − "
            if sign in FRACTIONS and (
                LEFT_FACTOR.search(words) or RIGHT_FACTOR.match("".join(self.signs[self.at :]))
            ):
                part = f"({part}) "
            words += part
        return words

    def read(self, sign: str, plain: bool = False) -> str:
        """One sign, with what it applies to, as HTML."""
        if sign == "{":
            return self.until("}", plain)
        if sign in ("^", "_"):
            name = "sup" if sign == "^" else "sub"
            return f"<{name}>{self.argument().strip()}</{name}>"
        if sign.startswith("\\"):
            return self.command(sign[1:])
        if sign.isspace():
            return " " if plain else ""
        if sign.startswith("'"):
            return "′" * len(sign)
        return html.escape(sign) if plain else spaced({"-": "−", "&": "  ", ",": ", "}.get(sign, sign))

    def command(self, name: str) -> str:
        """A command, as HTML."""
        if "\\" + name in FRACTIONS:
            return f"{bracketed(self.argument())}/{bracketed(self.argument())}"
        if name == "sqrt":
            return f"√{bracketed(self.argument())}"
        if name == "tilde":
            return self.argument() + "\u0303"
        if name in FONTS:
            return self.argument(plain=True)
        if name in ("begin", "end"):
            return {"cases": "{ " if name == "begin" else ""}.get(self.argument(), "")
        if name == "\\":
            if self.signs[self.at : self.at + 1] == ["["]:  # the height of a line, as in \\[2ex]
                self.until("]")
            return "; "
        if name in SIZES:
            return ""
        sign = SIGNS.get(name)
        if sign is None:
            return html.escape("\\" + name)
        return f" {sign} " if name in WORDS else spaced(sign)


def spaced(sign: str) -> str:
    """A sign as HTML, with room on both sides where it relates what stands there."""
    return f" {html.escape(sign)} " if sign in SPACED else html.escape(sign)


def bracketed(part: str) -> str:
    """A part of a formula as HTML, in brackets unless it is a single sign or number."""
    part = part.strip()
    alone = re.fullmatch(r"(\w\u0303?|[\d.]+)(<su([bp])>[^<]*</su\3>)*", part)
    return part if alone else f"({part})"


def as_html(formula: str) -> str:
    """A formula, in LaTeX and without its dollars, as HTML without scripts. One that is too long, or whose parts lie
    too deep within one another, comes back as it was written, since students write here too.
    """
    if len(formula) > LONGEST:
        return html.escape(formula)
    try:
        words = re.sub(r"\s+", " ", Reader(formula).until("")).strip()
    except RecursionError:
        return html.escape(formula)
    words = re.sub(r"([(\[]) ", r"\1", words)
    return re.sub(r" ([,.;)\]])|(?<=ln|og|xp|in|ax) (\(|<su)", r"\1\2", words)


def spell_out(markdown: str) -> str:
    """Markdown whose formulas are HTML; code is left alone, and so is a dollar that opens no formula."""
    if len(markdown) > 20 * LONGEST:
        return markdown
    parts, at = [], 0
    for code in CODE.finditer(markdown):
        parts += [_spell(markdown[at : code.start()]), code[0]]
        at = code.end()
    return "".join(parts) + _spell(markdown[at:])


def _spell(text: str) -> str:
    """Text without code, its formulas in HTML; those that stand by themselves get a line of their own."""
    return FORMULA.sub(
        lambda found: f"<br>{_element(found[1])}<br>" if found[1] else _element(found[2]), text
    )


def _element(formula: str) -> str:
    return f"<span>{safe(as_html(formula))}</span>"


def safe(words: str) -> str:
    """HTML whose signs Markdown does not read: stars, lines, brackets and backslashes as numbers of characters."""
    return re.sub(r"[*_\[\]\\`~|]", lambda sign: f"&#{ord(sign[0])};", words)
