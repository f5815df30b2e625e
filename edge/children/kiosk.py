"""What one kiosk runs in child processes. Implements edge.ports.KioskChildren over this process's fork server."""

import logging
import secrets
from functools import partial
from typing import Final

from contracts.notice import encode_notice
from edge.adapters.links import make_link
from edge.children.analyser import ChildAnalyser
from edge.children.code_maker import ChildCodeMaker, SlipTerms
from edge.children.keeper import ForkServer
from edge.children.sealer import ChildSealer
from edge.core.backoff import Backoff
from edge.core.enrolment import VisitTerms
from edge.core.localtime import when_text
from edge.errors import ChildError

_LOG = logging.getLogger(__name__)

LINE_RETRY_S: Final = (0.5, 10.0)
BAUD: Final = 9600  # LIS1-A: the default of its serial layer

_UNIFORM = secrets.SystemRandom().uniform


class KioskForks:
    """One kiosk's children."""

    def __init__(self, server: ForkServer, *, printer: str | None, utc_offset_s: int) -> None:
        self._server = server
        self._printer = printer
        self._utc_offset_s = utc_offset_s
        self._codes = ChildCodeMaker(server)

    def use_terms(self, terms: VisitTerms | str) -> None:
        """Take what slips say; a sentence instead of it means that there are none."""
        if isinstance(terms, str):
            self._codes.use_terms(None)
            return
        write = partial(when_text, utc_offset_s=self._utc_offset_s)
        self._codes.use_terms(SlipTerms(self._printer, terms.results_origin, terms.page_hash, terms.notice, write))
        try:
            self._server.warm(encode_notice(terms.notice), terms.page_hash)
        except ChildError:
            _LOG.debug("slips are not drawn ahead")  # they only come more slowly

    def analyser(self, link: str, assay: str) -> ChildAnalyser:
        """Return the analyser at a link."""
        return ChildAnalyser(make_link(link, BAUD), self._server, Backoff(*LINE_RETRY_S, _UNIFORM), assay=assay)

    def code_maker(self) -> ChildCodeMaker:
        """Return the maker of codes and slips."""
        return self._codes

    def sealer(self) -> ChildSealer:
        """Return what seals runs without an answer."""
        return ChildSealer(self._server)
