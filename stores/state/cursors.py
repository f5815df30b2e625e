"""How far a reader of committed rows has come; one table in each owner's state."""

from sqlalchemy import Connection, Table, select

from stores.state.rows import upsert


def read_cursor(connection: Connection, table: Table, name: str) -> int:
    """Return a cursor, 0 before it was first set."""
    value = connection.execute(select(table.c.value).where(table.c.name == name)).scalar()
    return 0 if value is None else int(value)


def write_cursors(connection: Connection, table: Table, values: dict[str, int]) -> None:
    """Set cursors."""
    upsert(connection, table, [{"name": name, "value": value} for name, value in values.items()])
