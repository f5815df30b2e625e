"""What can go wrong in a cabinet, cut by what whoever catches it does next."""

from typing import Literal


class EdgeError(Exception):
    """Everything this package raises on purpose."""


class SettingsError(EdgeError):
    """The cabinet file or the folder is not usable: say the sentence, exit with code 2, start nothing."""


class EnrolmentError(EdgeError):
    """The backend could not be asked, or said "later": keep measuring, ask again with back-off."""


class EnrolmentRefusedError(EnrolmentError):
    """The backend said no (token used, device unknown or revoked): an operator must make a new token."""


class WireError(EdgeError):
    """These bytes mean nothing that may be trusted: drop them, count them, go on."""


class ChecksumError(WireError):
    """The frame is complete but damaged on the way: ask for it again, or drop it."""


class FrameError(WireError):
    """The frame breaks its own layout or is longer than its protocol allows."""


class RecordError(WireError):
    """The frame was good, its content is not: answer politely, count, store nothing of it."""


class DeviceExceptionError(WireError):
    """The instrument itself answered that it cannot do this: count, ask again at the next period."""


class LinkError(EdgeError):
    """The cable, the port or the peer is gone: close the link, open it again with back-off."""


class ChildError(EdgeError):
    """A child process or its fork server is gone or talks nonsense: forget it, start another one with back-off."""


class StoreError(EdgeError):
    """A file of this cabinet cannot be used: nothing was written, nothing may be acknowledged."""


class StoreFullError(StoreError):
    """No room left (disk, or a class that may not be thinned): hold the instrument back, try again later."""


class StoreCorruptError(StoreError):
    """The file is damaged: put it aside (or, if it holds counters, destroy it) and begin a new one."""


class StoreLockedError(StoreError):
    """Another agent works in this folder: exit with code 2, for two writers would double everything."""


class StoreTooNewError(StoreError):
    """A newer program wrote this file: exit with code 2, for guessing its layout would lose data."""


class ReleaseError(EdgeError):
    """A call or a layout does not fit these counters: a mistake of ours or of the registry, never counted silently."""


class VisitError(EdgeError):
    """This visit may not do that now (no place, no module, wrong state): refuse the start politely."""


class PrinterError(EdgeError):
    """Nothing, or not all, came out of the printer: no test starts with this slip. `reason`: what to mend."""

    def __init__(self, reason: Literal["paper", "printer"], sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class SlipError(EdgeError):
    """This slip cannot be drawn (a text of another kind, no font at all): no code may be handed out with it."""
