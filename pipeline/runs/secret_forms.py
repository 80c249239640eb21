"""The forms in which a text may spell a secret: escaped, quoted or encoded, in any mixture."""

import base64
import html.entities
import re
from collections.abc import Iterable, Iterator
from functools import cache

MIN_SECRET_PREFIX_CHARS = 40  # a table cuts a long text after at least as many
MIN_SECRET_LINE_CHARS = 8  # of a secret of several lines; a shorter line says little
MAX_SPELLING_CHARS = 24  # of one character, such as %25F0%259F%2598%2580
Span = tuple[int, int]  # start and end in a text
LINE_WRAP = r"(?:\r?\n|(?:\\+r)?\\+n)?"  # MIME breaks base64 into lines
SPECIAL_ESCAPES = {
    **{"\n": "n", "\r": "r", "\t": "t", "\f": "f", "\v": "v", "\0": "0"},
    **{"\a": "a", "\b": "b", "\x1b": "e"},  # of JSON, and of a shell
}
QUOTE_SPELLINGS = {"'": ["''", "'\"'\"'", r"'\\''"], '"': ['""']}  # SQL, CSV, shell


class SpelledPattern:
    """A pattern that finds a text, or a long text that is cut short, however it is spelled.

    tokens: a regular expression for each character. anchors: one of them is in each text that
    contains it, which is quick to see; empty if that is not known. ambiguous: whether a token may
    match more than its own character, so that only a search for the whole text is sure to find it.
    """

    def __init__(self, tokens: list[str], anchors: Iterable[str], ambiguous: bool = True) -> None:
        self.anchors = tuple(anchors)
        self.complete = re.compile("".join(tokens)) if ambiguous else None
        self.prefix = re.compile("".join(tokens[:MIN_SECRET_PREFIX_CHARS]))
        self.continuation = [re.compile(token) for token in tokens[MIN_SECRET_PREFIX_CHARS:]]
        self.max_chars = len(tokens) * MAX_SPELLING_CHARS

    def find(self, text: str) -> Iterator[Span]:
        """Yield where the text is spelled."""
        if self.anchors and not any(anchor in text for anchor in self.anchors):
            return
        if self.complete:
            yield from (match.span() for match in self.complete.finditer(text))
            if not self.continuation:
                return
        for match in self.prefix.finditer(text):
            end = match.end()
            for token in self.continuation:
                following = token.match(text, end)
                if following is None:
                    break
                end = following.end()
            yield match.start(), end


def spelled_patterns(secret: str) -> list[SpelledPattern]:
    """Return the patterns of a secret, of its longer lines, and of its encodings.

    White space around the secret does not count, as programs strip it.
    """
    text = secret.strip()
    lines = [line.strip() for line in text.splitlines()]
    long_lines = [line for line in lines if len(line) >= MIN_SECRET_LINE_CHARS]
    return [
        *map(_text_pattern, dict.fromkeys([text, *long_lines])),
        *map(_encoded_pattern, sorted(_encodings(text))),
    ]


def _text_pattern(text: str) -> SpelledPattern:
    tokens = [_token(run) for run in re.findall(r"\\+|\s*\n\s*|.", text, re.DOTALL)]
    words = re.findall(r"[A-Za-z0-9]+", text[:MIN_SECRET_PREFIX_CHARS])
    return SpelledPattern(tokens, [max(words, key=len)] if words else [])


def _token(characters: str) -> str:
    """Return a regular expression for a character, for backslashes, or for the end of a line."""
    if characters[0] == "\\":  # any number of backslashes escapes one
        return rf"(?:\\{{{len(characters)},}}|{_spellings(characters[0])}{{{len(characters)}}})"
    if "\n" in characters:  # the next line may be indented
        spellings = "|".join(
            _spellings(character) for character in sorted({*characters, *"\r\n\t "})
        )
        return f"(?:{spellings})+"
    return _spellings(characters)


def _encoded_pattern(text: str) -> SpelledPattern:
    """Return the pattern of base64 or hexadecimal digits, which may be broken into lines."""
    tokens = [re.escape(letter) + LINE_WRAP for letter in text]
    tokens[-1] += "(?:[A-Za-z0-9+/_-]={1,2})?"  # the end of base64
    half = MIN_SECRET_PREFIX_CHARS // 2  # at most one of two halves is broken
    anchors = [text[:half], text[half : 2 * half]] if len(text) > 2 * half else []
    return SpelledPattern(tokens, anchors, ambiguous=False)


def _encodings(text: str) -> set[str]:
    """Return the text in base64, wherever it stands in what is encoded, and in hexadecimal."""
    content = text.encode(errors="surrogateescape")
    encodings = {content.hex(), content.hex().upper()}
    for n_before in range(3):
        padded = bytes(n_before) + content
        # the letters that no other byte has a part in
        own_letters = slice(-(-n_before * 8 // 6), len(padded) * 8 // 6)
        encodings.add(base64.b64encode(padded).decode()[own_letters])
        encodings.add(base64.urlsafe_b64encode(padded).decode()[own_letters])
    return encodings


@cache
def _spellings(character: str) -> str:
    """Return a regular expression for all spellings of a character, the longest first."""
    if character.isascii() and character.isalnum():
        return character
    literal = re.escape(character)
    alternatives = [
        *_html_spellings(character),
        *_escapes(character),
        *_percent_spellings(character),
        *QUOTE_SPELLINGS.get(character, []),
    ]
    if character == " ":
        alternatives += [r"\+", "\xa0", "&(?:amp;)*nbsp;"]
    if character.isascii():
        literal = rf"\\*{literal}"
    return f"(?:{'|'.join([*alternatives, literal])})"


def _html_spellings(character: str) -> list[str]:
    code = ord(character)
    names = _entity_names().get(character, set())
    return [
        rf"&(?:amp;)*\#0*{code};",
        rf"&(?:amp;)*\#[xX]0*(?i:{code:x});",
        *(f"&(?:amp;)*{name};" for name in sorted(names)),
    ]


@cache
def _entity_names() -> dict[str, set[str]]:
    names: dict[str, set[str]] = {}
    for name, text in html.entities.html5.items():
        names.setdefault(text, set()).add(name.rstrip(";"))
    return names


def _escapes(character: str) -> list[str]:
    """Return the escapes of Python, of JSON and of bytes."""
    code = ord(character)
    codes = [code]
    if code > 0xFFFF:  # JSON writes two surrogates
        codes = [0xD800 + ((code - 0x10000) >> 10), 0xDC00 + ((code - 0x10000) & 0x3FF)]
    content = _utf8(character)
    escapes = [
        rf"\\+U(?i:{code:08x})",
        rf"\\+u\{{0*(?i:{code:x})\}}",
        "".join(rf"\\+u(?i:{half:04x})" for half in codes),
        "".join(rf"\\+x(?i:{byte:02x})" for byte in content),
        "".join(rf"\\+{byte:03o}" for byte in content),
    ]
    if code < 0x100:
        escapes.append(rf"\\+x(?i:{code:02x})")
    if character in SPECIAL_ESCAPES:
        escapes.append(rf"\\+{SPECIAL_ESCAPES[character]}")
    return escapes


def _percent_spellings(character: str) -> list[str]:
    contents = [_utf8(character)]
    if 0x80 <= ord(character) < 0x100:
        contents.append(character.encode("latin-1"))
    return ["".join(rf"%(?:25)*(?i:{byte:02x})" for byte in content) for content in contents]


def _utf8(character: str) -> bytes:
    """Return the bytes of a character, of a byte that is no UTF-8 too, as the system hands it."""
    try:
        return character.encode(errors="surrogateescape")
    except UnicodeEncodeError:  # another surrogate
        return character.encode(errors="surrogatepass")
