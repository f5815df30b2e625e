"""What can be wrong with something that crosses a process boundary; cut by what the reader does next."""


class ContractError(ValueError):
    """Something does not keep the contract: refuse it, count it, go on with the next."""


class TopicError(ContractError):
    """Not a topic of ours: count it; the sender's configuration is wrong."""


class OversizeError(ContractError):
    """Bigger than the contract allows, packed or unpacked: dead-letter it unread."""


class SignatureError(ContractError):
    """Not signed by the key it must be signed by: dead-letter it; it may move no state."""


class VersionError(ContractError):
    """Written by a newer or unknown program: dead-letter it; `redrive` may read it after an update."""


class EnvelopeError(ContractError):
    """Signed, but not a message of its kind: dead-letter it and tell the device's technician."""


class MetricError(ContractError):
    """A name or value outside the allow-list or its range: dead-letter the record."""


class LayoutError(ContractError):
    """Counters that do not fit the assay layout they name: dead-letter the release."""


class QueryError(ContractError):
    """A question no store can answer: the caller's code or input is wrong; tell the person who asked."""


class ClockError(ContractError):
    """A clock file or time setting that makes no sense: stop the start and say what to mend."""


class NoticeError(ContractError):
    """A visitor's notice that is not whole: tell the operator which text of `[notice]` in district.toml to mend."""

    def __init__(self, sentence: str, *, field: str = "", language: str = "") -> None:
        super().__init__(sentence)
        self.field = field
        self.language = language


class ClaimCodeError(ContractError):
    """Not a claim code, a ready group or a fragment: ask the person to compare it with the slip. Repeats no symbol."""


class SealError(ContractError):
    """Cannot be sealed, or is no sealed record of this code: to the person who asks, "not available"."""


class CohortError(ContractError):
    """A public file that is not one: "not available"; fetch it again later."""


class SharingError(ContractError):
    """A package for an authority that does not hold: do not use it; ask its sender for it again."""
