"""For machines that watch this one: is it alive, is it ready, what does it count. No label names a device or person."""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from backend.errors import NotAllowedError
from backend.web.administration import AdminOnly, is_local
from backend.web.pages import json_answer
from backend.web.words import N_
from stores.errors import StoreError

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Counters:
    """What this process counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.answers = Counter(
            "kioskwatch_backend_answers", "Answers by class of status", ["status"], registry=self.registry
        )
        self.unforeseen = Counter("kioskwatch_backend_unforeseen_errors", "Bugs met", registry=self.registry)
        self.failures = Counter(
            "kioskwatch_backend_loop_failures", "Turns of a loop that failed", ["loop"], registry=self.registry
        )
        self.signals = Counter("kioskwatch_backend_signals", "Signals turned into alerts", registry=self.registry)

    def count_answer(self, status: int) -> None:
        """Count an answer by the class of its status."""
        self.answers.labels(f"{status // 100}xx").inc()

    def gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Add a gauge that is read when it is asked for."""
        Gauge(f"kioskwatch_backend_{name}", text, registry=self.registry).set_function(value)


class ReadyAnswer(msgspec.Struct, frozen=True):
    """What is ready; every value "ok" = ready."""

    ready: bool
    parts: Mapping[str, str]


class Operations:
    """Routes for machines."""

    def __init__(self, counters: Counters, checks: Mapping[str, Callable[[], None]], admin: AdminOnly) -> None:
        self._counters = counters
        self._checks = checks
        self._admin = admin

    def routes(self) -> APIRouter:
        """Return them."""
        router = APIRouter()
        for path, endpoint in (("/healthz", self.health), ("/readyz", self.ready), ("/metrics", self.metrics)):
            router.add_api_route(path, endpoint, include_in_schema=False)
        return router

    async def health(self) -> Response:
        """Answer at all: the process is alive."""
        return json_answer({"alive": True})

    async def ready(self) -> Response:
        """Answer 200 when everything a page needs can be had, else 503 with what cannot."""
        parts = {name: await run_in_threadpool(_tried, check) for name, check in self._checks.items()}
        ready = all(state == "ok" for state in parts.values())
        return json_answer(ReadyAnswer(ready, parts), status=200 if ready else 503)

    async def metrics(self, request: Request) -> Response:
        """Return Prometheus text, to this machine or with the administration's token."""
        if not is_local(request) and not self._admin.knows(request):
            raise NotAllowedError(N_("Metrics are for this machine."))
        return Response(await run_in_threadpool(generate_latest, self._counters.registry), media_type=METRICS_TYPE)


def _tried(check: Callable[[], None]) -> str:
    try:
        check()
    except StoreError as exc:
        return type(exc).__name__
    except TimeoutError:
        return "late"
    return "ok"
