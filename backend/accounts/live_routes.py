"""The event stream of a person signed in."""

from collections.abc import Callable

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from backend.accounts.guard import add_page, signed_in
from backend.accounts.roles import Permission
from backend.web.live import LiveHub
from backend.web.viewer import Viewer

STREAM_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


class LiveRoutes:
    """`/events`."""

    def __init__(self, hub: LiveHub, still_signed_in: Callable[[Viewer], bool]) -> None:
        self._hub = hub
        self._still_signed_in = still_signed_in

    def pages(self) -> APIRouter:
        """Return the route."""
        router = APIRouter()
        add_page(router, "/events", self.events, Permission.READ)
        return router

    async def events(self, request: Request) -> Response:
        """Stream what changes, until the session ends."""
        viewer = signed_in(request)
        stream = self._hub.stream(viewer.name, lambda: self._still_signed_in(viewer))
        return StreamingResponse(stream, media_type="text/event-stream", headers=STREAM_HEADERS)
