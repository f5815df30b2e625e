"""A slip of a test code, in any language."""

from edge.slip.slip import SlipContent
from tests.support.notices import notice

CODE = "TEST0-12345-ABCDE-FGHJK-MNPQR"  # a code of nobody: made for pictures and tests
GROUP = "3K7QW"
URL = "https://results.example/#1.TEST012345ABCDEFGHJKMNPQR.3K7QW"


def slip(language: str = "en", *, code: str = CODE, url: str = URL) -> SlipContent:
    return SlipContent(
        code=code,
        ready_group=GROUP,
        url=url,
        ready_at="2021-12-12 14:20 (UTC-05:00)",
        expires_at="2021-12-22 14:20 (UTC-05:00)",
        language=language,
        notice=notice(),
        page_hash="a1b2 c3d4 e5f6 0718",
    )
