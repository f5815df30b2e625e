"""A notice as an operator writes it: short, and in every language another text."""

from contracts.notice import FIELDS, LANGUAGES, Notice

TEXTS = {name: {language: f"{name} ({language})" for language in LANGUAGES} for name in FIELDS}
NOTICE = Notice(**TEXTS)


def filled(text: str, *, origin: str = "https://results.harbour.internal") -> str:
    """Return a district file with the operator's own notice in place of what stands there."""
    head = text.partition("\n[results]")[0]
    tables = [f"[notice.{name}]\n" + "".join(f'{key} = "{TEXTS[name][key]}"\n' for key in LANGUAGES) for name in FIELDS]
    return "\n".join([head, f'[results]\norigin = "{origin}"\n', *tables])
