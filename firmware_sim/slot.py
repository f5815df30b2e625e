"""The slot in which a real person puts a simulated cartridge: a page that the kiosk's screen shows.

What the cartridge will say goes from this page to the simulated analyser; the kiosk's own processes never see it. The
page shows the simulated paper too: somebody without a printer must be able to take the slip.
"""

import asyncio
import base64
import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType

from firmware_sim.config import Address
from firmware_sim.errors import LinkError, NoFreeModuleError, RecordError
from firmware_sim.outcome import Call, Ending, Outcome
from firmware_sim.tray import Tray
from firmware_sim.wire.http import HEAD_END, Request, page, parse_form, parse_request, picture

READ_S = 5.0
MAX_HEAD_BYTES = 8192
MAX_BODY_BYTES = 256
SLIP_PATH = "/slip.png"

CARTRIDGES: Mapping[str, Outcome] = MappingProxyType(
    {
        "negative": Outcome(),
        "positive": Outcome(calls={"sars-cov-2": Call.POSITIVE}),
        "invalid": Outcome(ending=Ending.INVALID),
    }
)
# What the page says: title, the three cartridges, "it is in", "no room", "your slip".
_WORDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "en": (
            "Simulated cartridge",
            "negative",
            "positive",
            "invalid",
            "The cartridge is in.",
            "Every place is taken.",
            "Your slip (simulated paper)",
        ),
        "zh": ("模拟检测盒", "阴性", "阳性", "无效", "检测盒已放入。", "没有空位。", "您的纸条（模拟纸张）"),
        "fr": (
            "Cartouche simulée",
            "négative",
            "positive",
            "non valable",
            "La cartouche est en place.",
            "Aucune place.",
            "Votre ticket (papier simulé)",
        ),
        "es": (
            "Cartucho simulado",
            "negativo",
            "positivo",
            "no válido",
            "El cartucho está dentro.",
            "No hay sitio.",
            "Su recibo (papel simulado)",
        ),
        "ru": (
            "Модельный картридж",
            "отрицательный",
            "положительный",
            "недействительный",
            "Картридж вставлен.",
            "Мест нет.",
            "Ваш талон (модельная бумага)",
        ),
        "ar": (
            "خرطوشة محاكاة",
            "سلبية",
            "إيجابية",
            "غير صالحة",
            "الخرطوشة في مكانها.",
            "لا مكان.",
            "قسيمتك (ورق محاكاة)",
        ),
    }
)
_STYLE = (
    "body{font:20px/1.4 sans-serif;margin:12px;color:#14202b;background:#fff}h1{font-size:20px;margin:0 0 10px}"
    "form{display:flex;gap:12px;flex-wrap:wrap}button{font:inherit;font-weight:700;min-height:72px;min-width:140px;"
    "padding:8px 20px;border:3px solid #8a1c00;border-radius:12px;background:#fff;color:#8a1c00}"
    "h2{font-size:18px;margin:14px 0 6px}img{max-width:100%;border:1px solid #44525f}"
)
_HEADERS = MappingProxyType(
    {
        "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
        + "style-src 'sha256-"
        + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
        + "'; frame-ancestors http://127.0.0.1:* http://localhost:*",
        "Cache-Control": "no-store",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
)


class Slot:
    """Listens on loopback; `insert` puts a cartridge into the analyser."""

    def __init__(self, address: Address, insert: Callable[[Outcome], None], tray: Tray | None = None) -> None:
        self._address = address
        self._insert = insert
        self._tray = tray
        self._server: asyncio.Server | None = None

    async def open(self) -> str:
        """Listen; returns HOST:PORT as it is in the end.

        Raises:
            LinkError: the address cannot be had.
        """
        try:
            self._server = await asyncio.start_server(self._serve, self._address.host, self._address.port)
        except (OSError, OverflowError) as exc:
            raise LinkError(f"cannot listen on {self._address.host}:{self._address.port}: {exc}") from exc
        host, port = self._server.sockets[0].getsockname()[:2]
        self._address = Address(host, port)
        return f"{host}:{port}"

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(READ_S):
                head = await reader.readuntil(HEAD_END)
                request = parse_request(head.removesuffix(HEAD_END))
                length = request.headers.get("content-length", "0")
                wanted = int(length) if length.isdecimal() and len(length) < 4 else 0  # noqa: PLR2004 - at most 999
                body = await reader.readexactly(min(wanted, MAX_BODY_BYTES))
                writer.write(self._answer(request, body))
                await writer.drain()
        except (OSError, TimeoutError, RecordError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # no browser, or one that has gone
        finally:
            writer.close()

    def _answer(self, request: Request, body: bytes) -> bytes:
        host = request.headers.get("host", "")
        words = _WORDS.get(request.path.removeprefix("/"))
        if host not in {f"{name}:{self._address.port}" for name in ("127.0.0.1", "localhost")}:
            return page("421 Misdirected Request", "", _HEADERS)
        slip = self._slip if request.path == SLIP_PATH and request.method == "GET" else None
        if words is None:
            return page("404 Not Found", "", _HEADERS) if slip is None else picture("200 OK", slip, _HEADERS)
        language = request.path.removeprefix("/")
        if request.method == "GET":
            return self._page(language, words, _form(language, words))
        return self._put_in(request, language, words, body)

    def _put_in(self, request: Request, language: str, words: tuple[str, ...], body: bytes) -> bytes:
        outcome = CARTRIDGES.get(parse_form(body).get("cartridge", ""))
        if (
            request.method != "POST"
            or outcome is None
            or request.headers.get("origin") != f"http://{request.headers.get('host')}"
        ):
            return page("403 Forbidden", "", _HEADERS)
        try:
            self._insert(outcome)
        except NoFreeModuleError:
            return self._page(language, words, f"<p>{words[5]}</p>{_form(language, words)}")
        return self._page(language, words, f"<p>{words[4]}</p>")

    @property
    def _slip(self) -> bytes | None:
        return None if self._tray is None else self._tray.slip

    def _page(self, language: str, words: tuple[str, ...], body: str) -> bytes:
        paper = "" if self._slip is None else f'<h2>{words[6]}</h2><img src="{SLIP_PATH}" alt="{words[6]}">'
        return page("200 OK", _page(language, words, body + paper), _HEADERS)


def _form(language: str, words: tuple[str, ...]) -> str:
    buttons = "".join(
        f'<button name="cartridge" value="{name}">{word}</button>'
        for name, word in zip(CARTRIDGES, words[1:4], strict=True)
    )
    return f'<form method="post" action="/{language}">{buttons}</form>'


def _page(language: str, words: tuple[str, ...], body: str) -> str:
    direction = "rtl" if language == "ar" else "ltr"
    return (
        f'<!doctype html><html lang="{language}" dir="{direction}"><head><meta charset="utf-8">'
        f'<title>{words[0]}</title><link rel="icon" href="data:,">'
        f"<style>{_STYLE}</style></head><body><main><h1>{words[0]}</h1>{body}</main></body></html>"
    )
