"""What is shared with authorities, for those who watch over it: the agreements, and the register of what was given."""

from collections.abc import Callable, Mapping

from fastapi import APIRouter, Request
from starlette.responses import Response

from backend.accounts.guard import add_page
from backend.accounts.roles import Permission
from backend.devices.agreements import Agreement
from backend.sharing.service import SharingService, Taken
from backend.web.pages import Pages
from backend.web.words import Words
from contracts.registry import RegistrySnapshot


class SharingRoutes:
    """Routes of this feature."""

    def __init__(self, service: SharingService, registry: Callable[[], RegistrySnapshot], pages: Pages) -> None:
        self._service = service
        self._registry = registry
        self._pages = pages

    def pages(self) -> APIRouter:
        """Return what people use."""
        router = APIRouter()
        add_page(router, "/sharing", self.sharing_page, Permission.READ_AUDIT)
        return router

    def sharing_page(self, request: Request, before: int | None = None) -> Response:
        """List the agreements and what was given, and say whether the register is whole."""
        words = self._pages.words(request)
        today = self._service.today(self._registry())
        return self._pages.answer(
            request,
            "sharing.html",
            agreements=[_agreement(one, one.days_left(today), words) for one in self._service.agreements()],
            taken=[_taken(one) for one in self._service.taken(before)],
            broken_at=self._service.broken_at(),
        )


def _agreement(agreement: Agreement, days_left: int, words: Words) -> Mapping[str, object]:
    covered = [*agreement.levels, *agreement.targets, *agreement.environment]
    left = words.plural("%(n)s day left", "%(n)s days left", days_left) if days_left else words.text("ended")
    return {
        "name": agreement.name,
        "recipient": agreement.recipient,
        "contact": agreement.contact,
        "legal_basis": agreement.legal_basis,
        "covers": ", ".join(covered),
        "period": f"{agreement.valid_from.isoformat()} – {agreement.valid_until.isoformat()}",
        "left": left,
        "over": not days_left,
    }


def _taken(taken: Taken) -> Mapping[str, object]:
    return {
        "row": taken.row,
        "at_ns": taken.at_ns,
        "agreement": taken.agreement,
        "period": f"{taken.first_day} – {taken.last_day}",
        "operator": taken.operator,
        "package": taken.package,
        "files": taken.files.splitlines(),
    }
