from html.parser import HTMLParser

from reconx_ros.viewer import html

NASTY = "<script>alert(\"1\")</script> & 'x'"


class Text(HTMLParser):
    """Collects tags and text as a browser would."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.text += "".join(value or "" for name, value in attrs if name == "alt")

    def handle_data(self, data: str) -> None:
        self.text += data


def read(markup: str) -> Text:
    parser = Text()
    parser.feed(markup)
    return parser


def test_every_piece_escapes_its_text() -> None:
    pieces = [
        html.page(NASTY, []),
        html.section(NASTY, "x"),
        html.table([(NASTY, NASTY)]),
        html.figure("", NASTY),
        html.image(b"", "image/png", NASTY),
        html.preformatted(NASTY),
        html.warnings([NASTY]),
        html.folded(NASTY, ""),
    ]
    for piece in pieces:
        read_back = read(piece)
        assert "script" not in read_back.tags, piece
        assert NASTY in read_back.text, piece


def test_empty_content_leaves_nothing() -> None:
    assert html.section("title", "", "") == ""
    assert html.table([]) == ""
    assert html.warnings([]) == ""
