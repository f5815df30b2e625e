"""The page that shows a code when there is no paper: to be photographed or copied, then gone. Pure; bytes only.

A child serves it on a loopback port of its own; the kiosk's screen shows it in a frame. It has no script, loads
nothing, and its one style is named by its hash in the policy.
"""

import base64
import hashlib
from html import escape
from typing import Final

from contracts.notice import RIGHT_TO_LEFT
from edge.slip.slip import GROUPS_A_LINE, QR_QUIET_MODULES, SlipContent
from edge.slip.symbol import modules
from edge.slip.words import words

_STYLE: Final = (
    "*{box-sizing:border-box;margin:0}"
    "body{font:20px/1.4 'DejaVu Sans','WenQuanYi Micro Hei','Noto Sans CJK SC',sans-serif;background:#fff;color:#111;"
    "padding:16px;display:grid;grid-template-columns:minmax(260px,2fr) 3fr;gap:20px;align-items:center}"
    "svg{width:100%;height:auto;display:block}"
    "strong{display:block;font:700 clamp(22px,4.4vw,42px)/1.25 'DejaVu Sans Mono',monospace;direction:ltr;unicode-bidi:"
    "isolate}"
    "h1{font-size:24px;margin-bottom:12px}dt{margin-top:10px}dd{margin:0}dd.plain{font-weight:700;direction:ltr;"
    "unicode-bidi:isolate;overflow-wrap:anywhere}[dir=rtl] dd{text-align:right}"
    "@media(max-width:640px){body{grid-template-columns:1fr}}"
)


def code_page(content: SlipContent) -> bytes:
    """Return the page; the code stands in it as text and as a QR symbol, and nowhere else."""
    say = {name: escape(text) for name, text in words(content.language).items()}
    groups = content.code.split("-")
    lines = (" ".join(groups[at : at + GROUPS_A_LINE]) for at in range(0, len(groups), GROUPS_A_LINE))
    code = "".join(f"<strong>{escape(line)}</strong>" for line in lines)
    direction = "rtl" if content.language in RIGHT_TO_LEFT else "ltr"
    facts = "".join(
        f'<dt>{say[name]}</dt><dd class="plain">{escape(text)}</dd>'
        for name, text in (
            ("ready", content.ready_at),
            ("expires", content.expires_at),
            ("address", content.address),
        )
    )
    return (
        f'<!doctype html><html lang="{content.language}" dir="{direction}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{say["code"]}</title>'
        f"<style>{_STYLE}</style></head><body><div>{_svg(content.url, say['code'])}</div><main><h1>{say['photo']}</h1>"
        f"<dl><dt>{say['code']}</dt><dd>{code}</dd><dt>{say['group']}</dt>"
        f"<dd><strong>{escape(content.ready_group)}</strong></dd>{facts}</dl><p>{say['scan']}</p></main></body></html>"
    ).encode()


def headers() -> tuple[tuple[str, str], ...]:
    """Return the headers that the page must be sent with: nothing is loaded, kept or told to others."""
    style = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors http://127.0.0.1:* http://localhost:*"
    )
    return (
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Security-Policy", policy),
        ("Cache-Control", "no-store"),
        ("Referrer-Policy", "no-referrer"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Robots-Tag", "noindex"),
    )


def _svg(url: str, label: str) -> str:
    rows = modules(url)
    side = len(rows) + 2 * QR_QUIET_MODULES
    path = "".join(
        f"M{x + QR_QUIET_MODULES} {y + QR_QUIET_MODULES}h1v1h-1z"
        for y, row in enumerate(rows)
        for x, dark in enumerate(row)
        if dark
    )
    return (
        f'<svg role="img" aria-label="{label}" viewBox="0 0 {side} {side}" shape-rendering="crispEdges">'
        f'<path fill="#fff" d="M0 0h{side}v{side}h-{side}z"/><path fill="#111" d="{path}"/></svg>'
    )
