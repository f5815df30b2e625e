"""The boards' pages and their panels' numbers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from backend.accounts.guard import Needs, add_page
from backend.accounts.roles import Permission
from backend.boards.cache import AnswerCache
from backend.boards.charts import ChartAnswer
from backend.boards.figures import SPANS, Figures
from backend.boards.panels import PanelDrawing, find_panel
from backend.boards.privacy import TITLE, PrivacyAnswer, PrivacyBoard
from backend.boards.routes import SpanKey, chart_response, choices, encode_chart, span_key
from backend.errors import NotFoundError
from backend.web.openapi import answers
from backend.web.pages import Pages, json_answer
from backend.web.words import N_, Words
from dashboards.panels import Board, Panel

BOARD_SPAN: Final = "2w"
PIPELINE: Final = "pipeline"  # the board that says the privacy facts too
PREFIX: Final = "kioskwatch-"  # Grafana's uids carry it, addresses here do not


class PanelAnswer(msgspec.Struct, frozen=True):
    """A panel of a board, and where its numbers are."""

    id: str
    title: str
    unit: str
    kind: str
    note: str
    numbers: str


class BoardAnswer(msgspec.Struct, frozen=True):
    """A board."""

    id: str
    title: str
    note: str
    panels: list[PanelAnswer]


class BoardsAnswer(msgspec.Struct, frozen=True):
    """All boards."""

    boards: list[BoardAnswer]


class PanelRoutes:
    """Routes of the boards."""

    def __init__(
        self,
        boards: Sequence[Board],
        *,
        figures: Callable[[Words], Figures],
        pages: Pages,
        cache: AnswerCache,
        privacy: PrivacyBoard,
    ) -> None:
        self._privacy = privacy
        self._boards = {board.id.removeprefix(PREFIX): board for board in boards}
        self._figures = figures
        self._pages = pages
        self._cache = cache

    def pages(self) -> APIRouter:
        """Return what people use."""
        router = APIRouter()
        add_page(router, "/boards/{board}", self.board_page, Permission.READ)
        return router

    def api(self) -> APIRouter:
        """Return what programs use."""
        router = APIRouter(prefix="/boards", tags=["boards"], dependencies=[Depends(Needs(Permission.READ))])
        router.add_api_route("", self.boards, responses=answers(BoardsAnswer))
        router.add_api_route("/privacy", self.privacy, responses=answers(PrivacyAnswer))
        router.add_api_route("/{board}/{panel}.csv", self.panel, name="panel_csv")
        router.add_api_route("/{board}/{panel}", self.panel, responses=answers(ChartAnswer))
        return router

    def board_page(self, request: Request, board: str, span: str = BOARD_SPAN) -> Response:
        """Show a board."""
        words = self._pages.words(request)
        shown, key = self._board(board), span_key(span)
        names = {one: known.title for one, known in self._boards.items()}
        view = {
            "title": words.text(shown.title),
            "summary": words.text(shown.note),
            "span": key,
            "boards": choices(names, board, words),
            "ranges": choices({one: name for one, (_, name) in SPANS.items()}, key, words),
            "panels": [self._panel_view(board, panel, key, words) for panel in shown.panels],
            "facts_title": words.text(TITLE),
            "facts": self._privacy.facts(words) if shown is self._boards.get(PIPELINE) else [],
        }
        return self._pages.answer(request, "board.html", view=view)

    def _panel_view(self, board: str, panel: Panel, span: str, words: Words) -> Mapping[str, object]:
        address = f"/api/v1/boards/{board}/{panel.id}"
        figures = self._figures(words)
        stats = PanelDrawing(figures).stats(panel, figures.span(span)) if panel.kind == "stat" else []
        return {
            "id": panel.id,
            "kind": panel.kind,
            "title": words.text(panel.title),
            "sentence": "",
            "note": words.text(panel.note),
            "source": f"{address}?span={span}",
            "csv": f"{address}.csv?span={span}",
            "stats": stats,
        }

    def privacy(self, request: Request) -> Response:
        """Return yesterday's windows, the chain's head, epsilon per test, and restricted openings."""
        return json_answer(self._privacy.answer(self._pages.words(request)))

    def boards(self, request: Request) -> Response:
        """List the boards and their panels."""
        words = self._pages.words(request)
        return json_answer(BoardsAnswer([_board_answer(key, board, words) for key, board in self._boards.items()]))

    async def panel(self, request: Request, board: str, panel: str, span: SpanKey = BOARD_SPAN) -> Response:
        """Return a panel's chart."""
        words = self._pages.words(request)
        shown = find_panel(self._board(board), panel)
        if shown is None:
            raise NotFoundError(N_("There is no such panel."))
        key, path = span_key(span), request.url.path
        as_file = path.endswith(".csv")

        def make() -> bytes:
            figures = self._figures(words)
            return encode_chart(PanelDrawing(figures).chart(shown, figures.span(key)), words, as_file=as_file)

        content = await self._cache.get((path, key, words.language), lambda: run_in_threadpool(make))
        return chart_response(content, path, as_file=as_file)

    def _board(self, board: str) -> Board:
        known = self._boards.get(board)
        if known is None:
            raise NotFoundError(N_("There is no such board."))
        return known


def _board_answer(key: str, board: Board, words: Words) -> BoardAnswer:
    panels = [
        PanelAnswer(
            panel.id,
            words.text(panel.title),
            panel.unit,
            panel.kind,
            words.text(panel.note),
            f"/api/v1/boards/{key}/{panel.id}",
        )
        for panel in board.panels
    ]
    return BoardAnswer(key, words.text(board.title), words.text(board.note), panels)
