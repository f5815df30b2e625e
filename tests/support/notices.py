"""Notices for tests: one as an operator writes it, and a short one whose texts are all different."""

from contracts.notice import FIELDS, LANGUAGES, Notice

OFFICE = {
    "zh": "龟湾卫生处，第一大道1号，电话 212-555-0100",
    "en": "Turtle Bay Health Office, 1 First Avenue, telephone 212-555-0100",
    "fr": "Bureau de santé de Turtle Bay, 1 First Avenue, tél. 212-555-0100",
    "es": "Oficina de salud de Turtle Bay, 1 First Avenue, tel. 212-555-0100",
    "ru": "Служба здравоохранения Тёртл-Бей, тел. 212-555-0100",
    "ar": "مكتب الصحة في ترتل باي، الجادة الأولى 1",
}


def notice() -> Notice:
    return Notice(**{field: {language: OFFICE[language] for language in LANGUAGES} for field in FIELDS})


TEXTS = {name: {language: f"{name} ({language})" for language in LANGUAGES} for name in FIELDS}
NOTICE = Notice(**TEXTS)


def filled(text: str, *, origin: str = "https://results.harbour.internal") -> str:
    """Return a district file with the operator's own notice in place of what stands there."""
    head = text.partition("\n[results]")[0]
    tables = [f"[notice.{name}]\n" + "".join(f'{key} = "{TEXTS[name][key]}"\n' for key in LANGUAGES) for name in FIELDS]
    return "\n".join([head, f'[results]\norigin = "{origin}"\n', *tables])
