"""Who looks at a page: what the shared parts of the console need to know of the person signed in."""

from dataclasses import dataclass

from starlette.requests import HTTPConnection


@dataclass(frozen=True, slots=True)
class Viewer:
    """A person signed in; made by `accounts`, read everywhere."""

    name: str
    role: str
    role_name: str  # a msgid
    permissions: frozenset[str]
    must_change: bool  # the password, before anything else
    csrf: str
    session: bytes  # hash of the session's token

    def may(self, permission: str) -> bool:
        """Tell whether the role grants it."""
        return permission in self.permissions


def viewer_of(connection: HTTPConnection) -> Viewer | None:
    """Return who is signed in on this request, as the session middleware found out."""
    viewer: Viewer | None = connection.scope.get("viewer")
    return viewer


def client_address(connection: HTTPConnection) -> str:
    """Return the peer's address; proxies' headers are not believed."""
    return connection.client.host if connection.client is not None else ""
