"""From the equations of the docstrings to MathML, which every browser typesets.

    expression  =  factors and signs, one after the other
    factor      =  atom  with  superscripts  _subscript  ^(power)  (argument)  [index]
    fraction    =  factor / factor

    fragments("y = √x        ∂y/∂x = 1/(2y)")  →  the parts of a docstring's line
    is_equation(fragment)                      →  is it one, or prose?
    mathml(fragment)                           →  <math>…</math>, or None for what is no equation

No browser breaks a line within <math>, so a long equation becomes several, between which a narrow page may break it.
"""
import html
import re
from dataclasses import dataclass

WORDS = re.compile("<mtext>[^<]*</mtext>(<m(o|text)>[^<]*</m(o|text)>)* *")
TOKEN = re.compile(r"(?P<number>\d+(?:\.\d+)?|[½¼])"
                   r'|(?P<name>(?:"[a-z]+"|[A-Za-z]+(?:[-_](?=[a-z]{2,})[a-z]+)*|[α-ωΑ-ΡΤ-Ω])[\u0302\u0304]?)'
                   r"|(?P<up>[⁰¹²³⁴-⁹⁻ⁿˣᵀᵗ]+)|(?P<down>[₀-₉]+)"
                   r"|(?P<sign>[-=+−·()\[\]|‖,.:;<>≤≥≪≠→←~′…√^_/Σ∂×*∓⟨⟩⌊⌋⌈⌉{}'&])")
UP = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻ⁿˣᵀᵗ", "0123456789−nxTt")
DOWN = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
FUNCTIONS = {"log", "ln", "exp", "tanh", "max", "min", "sign", "softplus", "softmax"}
CLOSING = {"(": ")", "[": "]", "⟨": "⟩", "⌊": "⌋", "⌈": "⌉", "|": "|", "‖": "‖"}
INFIX = "=+−·/<>≤≥≪≠→←~×*∓_"      # these have space around them, or want none
BREAKS, CLINGS = "=+−·<>≤≥≪→←", ",.;:"      # a line may break before these, and never before those
LONG = 25                                  # characters that fit a line of a phone
HATS = {"\u0302": "^", "\u0304": "¯"}


class _NoEquation(ValueError):
    """This cannot be parsed; it is shown as it stands."""


@dataclass
class _Token:
    kind: str
    text: str
    space: bool         # does a space stand before it?


def fragments(line):
    """The parts of a line that two spaces or more keep apart, or the end of a sentence."""
    aligned = re.sub(" *= +", " = ", line.strip())
    return [part for part in re.split(r"\s{2,}|(?<=\.)\s(?=[A-Z])", aligned) if part]


def is_equation(fragment):
    """Does it begin with a derivative or a minimum, map one thing to another, or set two equal with no prose before?"""
    left, sign, _ = re.sub(r"\[.*?\]|\(.*?\)", "", fragment).partition(" = ")
    maps = re.search(" [→←] ", fragment) and fragment[0].isidentifier() or fragment.startswith("(N")
    prose = re.search(r"(?<![a-z])(?!log |exp )[a-z]{3,} [a-z]|[.,] ", left)
    return fragment.startswith(("∂", "min_")) or bool(maps) or bool(sign) and not prose


def mathml(text, display=False):
    """<math> for the text, or None if it is no equation that can be parsed."""
    try:
        content = _Parser(_tokens(text)).expression(None)
    except _NoEquation:
        return None
    if display or len(text) <= LONG:
        return _math(content.replace("\n", ""), display)
    parts = [part.replace("<mo>", '<mo form="infix">', 1) if part.startswith("<mo>") else part for part in content.split("\n")]
    return "<span>" + "<wbr/>".join(re.sub("<.*?>", "", part).replace("\u00a0", " ") if WORDS.fullmatch(part) else _math(part)
                                    for part in parts) + "</span>"


def _math(content, display=False):
    return f'<math display="{"block" if display else "inline"}" displaystyle="true">{_row(content)}</math>'


def _tokens(text):
    tokens, place = [], 0
    while place < len(text):
        start = re.compile(r"\s*").match(text, place).end()
        match = TOKEN.match(text, start)
        if match is None:
            raise _NoEquation(text[start:])
        tokens.append(_Token(match.lastgroup, match.group(), start > place))
        place = match.end()
    return tokens


def _row(content):
    return f"<mrow>{content}</mrow>"


def _sign(text):
    return "<mtext>.</mtext>" if text == "." else f"<mo>{html.escape(text)}</mo>"


class _Parser:
    """Recursive descent over the tokens."""

    def __init__(self, tokens):
        self.tokens, self.place = tokens, 0

    def ahead(self):
        return self.tokens[self.place] if self.place < len(self.tokens) else _Token("end", "", False)

    def take(self):
        token = self.ahead()
        if token.kind == "end":
            raise _NoEquation("the text ends too early")
        self.place += 1
        return token

    def expression(self, closing):
        """Everything up to the closing bracket; or to the end for None, with "\\n" where the line may break."""
        content, operand, words = [], False, False        # was the last thing an operand, or words?
        while self.ahead().text != closing:
            token = self.ahead()
            if token.kind == "end":
                if closing is None:
                    break
                raise _NoEquation(f"no {closing}")
            begins = self._is_word(token) and [after.text for after in self.tokens[self.place + 1:][:1]] != ["_"]
            if content and closing is None and (begins or words and token.text not in CLINGS
                                                or operand and token.text in BREAKS):
                content.append(" \n" if words and token.space else "\n")
            words = begins or words and token.text in CLINGS
            if begins:
                content.append(self._words())
                operand = False
            elif token.text in CLOSING.values() and token.text not in CLOSING:
                raise _NoEquation(f"{token.text} closes nothing")
            elif token.kind == "sign" and (token.text not in "([⟨⌊⌈|‖√Σ∂" or operand and self._is_given()):
                self.take()
                content.append(_sign(token.text))
                operand = False
            else:
                if operand and token.space:
                    content.append('<mspace width="0.22em"/>')
                content.append(self.fraction())
                operand = True
        return _row("".join(content)) if closing else "".join(content)

    def _is_given(self):
        """Is it the bar of p(y | x), with a space on both sides or on none?"""
        bar, *after = self.tokens[self.place:self.place + 2]
        return bar.text in "|‖" and [bar.space] == [token.space for token in after]

    def _is_word(self, token):
        return token.kind == "name" and len(token.text) > 1 and not self._is_symbol(token.text)

    @staticmethod
    def _is_symbol(text):
        letters = text.rstrip("\u0302\u0304")
        return len(letters) == 1 or letters in FUNCTIONS or re.fullmatch(r"d[xygt]|[a-zA-Z]_[a-z]+", letters)

    def _words(self):
        """Words that follow each other, as upright text."""
        start, space = self.place, self.ahead().space
        while self._is_word(self.ahead()):
            self.take()
        text = " ".join(token.text for token in self.tokens[start:self.place])
        before = "\u00a0" if space and start and self.tokens[start - 1].text not in INFIX else ""
        after = "\u00a0" if self.ahead().space and self.ahead().text not in INFIX else ""
        return f"<mtext>{before}{html.escape(text)}{after}</mtext>"

    def fraction(self):
        """factor, or factor/factor as a fraction: brackets around what stands above or below are not needed there."""
        start = self.place
        above = self.factor()
        if self.ahead().text != "/":
            return above
        above = self._bare(start, above)
        self.take()
        start = self.place
        return f"<mfrac>{above}{self._bare(start, self.factor())}</mfrac>"

    def _bare(self, start, content):
        """The content of the factor that began at token `start`, without its brackets if it is one pair of them."""
        if self.tokens[start].text != "(":
            return content
        inner = _Parser(self.tokens[start + 1:self.place])
        inside = inner.expression(")")
        return inside if inner.place == len(inner.tokens) - 1 else content

    def factor(self):
        """An atom and all that is attached to it."""
        token = self.ahead()
        content = self.atom()
        while True:
            after = self.ahead()
            if after.kind == "up":
                self.take()
                content = f"<msup>{_row(content)}{self._power(after.text.translate(UP))}</msup>"
            elif after.kind == "down":
                self.take()
                content = f"<msub>{_row(content)}<mn>{after.text.translate(DOWN)}</mn></msub>"
            elif after.text == "^" and not after.space:
                self.take()
                start = self.place
                content = f"<msup>{_row(content)}{self._bare(start, self.factor())}</msup>"
            elif after.text == "_" and not after.space:
                self.take()
                content = f"<msub>{_row(content)}{self._subscript()}</msub>"
            elif after.text == "′" and not after.space:
                self.take()
                content = f"<msup>{_row(content)}{_sign('′')}</msup>"
            elif after.text in ("(", "[") and not after.space and token.kind == "name":
                content = _row(content + self.atom())
            elif token.text in FUNCTIONS and after.space and (after.kind == "name" or after.text in ("|", "‖", "√")):
                return _row(f'{content}<mspace width="0.17em"/>{self.factor()}')
            else:
                return content

    def _power(self, text):
        parts = re.findall(r"−|\d+|\w", text)
        return _row("".join(f"<mo>{part}</mo>" if part == "−" else f"<mn>{part}</mn>" if part.isdigit()
                            else f"<mi>{part}</mi>" for part in parts))

    def _subscript(self):
        token = self.take()
        if token.kind == "number":
            return f"<mn>{token.text}</mn>"
        if token.text == "{":
            content = self.expression("}")
            self.take()
            return content
        if token.kind != "name":
            raise _NoEquation(f"_{token.text}")
        return self._name(token.text)

    def atom(self):
        """A number, a name, something in brackets, a root, Σ or ∂ with what it applies to."""
        token = self.take()
        if token.kind == "number":
            return f"<mn>{token.text}</mn>"
        if token.kind == "name":
            return self._name(token.text)
        if token.text in CLOSING:
            closing = CLOSING[token.text]
            content = self.expression(closing)
            self.take()
            return _row(f'<mo fence="true">{token.text}</mo>{content}<mo fence="true">{closing}</mo>')
        if token.text == "√":
            start = self.place
            return f"<msqrt>{self._bare(start, self.factor())}</msqrt>"
        if token.text == "∂":
            return "<mi>∂</mi>" if self.ahead().text == "/" else _row(f"<mi>∂</mi>{self.factor()}")
        if token.text == "Σ":
            sign = "<mo>∑</mo>"
            if self.ahead().text == "_":
                self.take()
                sign = f"<munder>{sign}{self._subscript()}</munder>"
            if self.ahead().kind == "name" and not self._is_word(self.ahead()):
                return _row(sign + self.factor())
            return sign
        raise _NoEquation(token.text)

    @staticmethod
    def _name(text):
        letters, hat = (text[:-1], HATS[text[-1]]) if text[-1] in HATS else (text, "")
        base, _, below = letters.partition("_")
        before, base = ("<mi>d</mi>", base[1]) if re.fullmatch(r"d[xygt]", base) else ("", base)
        content = f"<mi>{base}</mi>"                    # one letter stands in italics, more stand upright
        if hat:
            content = f'<mover accent="true">{_row(content)}<mo>{hat}</mo></mover>'
        if before:
            content = _row(before + content)
        return f"<msub>{content}<mi>{below}</mi></msub>" if below else content
