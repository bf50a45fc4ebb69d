"""Pieces of a self-contained HTML page; every text is escaped."""

import base64
from collections.abc import Iterable, Sequence
from html import escape

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1020px; }
body { margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .6rem; border-bottom: 1px solid #ddd; padding-bottom: .2rem; }
p.lead { color: #555; margin: 0; }
table { border-collapse: collapse; }
td, th { padding: .15rem 1.4rem .15rem 0; text-align: left; vertical-align: top; font-weight: normal; }
th { color: #666; }
td { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.row { display: flex; flex-wrap: wrap; gap: 1.2rem 2.5rem; }
figure { margin: 0; }
figure img, figure svg { display: block; max-width: 100%; height: auto; border-radius: 3px; }
figcaption { color: #666; font-size: .85rem; margin-top: .25rem; }
.pair { display: flex; gap: 2px; }
.pair img { width: 152px; }
ul.warnings { background: #fff6e0; border-left: 4px solid #e0a800; padding: .6rem .6rem .6rem 1.8rem; }
pre { background: #f5f5f5; padding: .8rem; overflow-x: auto; font-size: .85rem; border-radius: 3px; }
.plan { background: #f5f5f5; }
.path { fill: none; stroke: #d6336c; stroke-width: 1.5; }
.cameras { fill: #d6336c; }
.scale { stroke: #222; stroke-width: 2; }
svg text { font: 11px system-ui, sans-serif; fill: #444; }
svg text.end { text-anchor: end; }
svg text.middle { text-anchor: middle; }
.bars rect { fill: #4c78a8; }
"""


def page(title: str, body: Iterable[str]) -> str:
    """Return a whole document; ``body`` holds finished pieces of HTML."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(piece for piece in body if piece)
        + "\n</body></html>\n"
    )


def section(title: str, *pieces: str) -> str:
    """Return a heading with finished pieces under it; nothing where all pieces are empty."""
    content = "\n".join(piece for piece in pieces if piece)
    return f"<section><h2>{escape(title)}</h2>\n{content}</section>" if content else ""


def table(rows: Iterable[Sequence[object]]) -> str:
    """Return a table whose first column names its rows."""
    lines = [
        f"<tr><th>{escape(str(row[0]))}</th>"
        + "".join(f"<td>{escape(str(c))}</td>" for c in row[1:])
        + "</tr>"
        for row in rows
    ]
    return f"<table>{''.join(lines)}</table>" if lines else ""


def figure(content: str, caption: str) -> str:
    """Return a finished piece with a caption."""
    return f"<figure>{content}<figcaption>{escape(caption)}</figcaption></figure>"


def image(data: bytes, kind: str, description: str) -> str:
    """Return a picture that is part of the page; ``kind`` is a MIME type."""
    return f'<img src="{data_uri(kind, data)}" alt="{escape(description, quote=True)}">'


def preformatted(text: str) -> str:
    """Return ``text`` as it is."""
    return f"<pre>{escape(text)}</pre>"


def folded(summary: str, content: str) -> str:
    """Return a finished piece that opens on a click."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def warnings(lines: Sequence[str]) -> str:
    """Return a list of warnings; nothing where there are none."""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<ul class="warnings">{items}</ul>' if items else ""


def data_uri(kind: str, data: bytes) -> str:
    """Return ``data`` of MIME type ``kind`` as a URI that needs no file."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
