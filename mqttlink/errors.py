"""What can go wrong on the way to a broker, cut by what the reader does next."""


class LinkError(Exception):
    """Something between this process and the broker; the text says what."""


class LinkSettingsError(LinkError):
    """A file or value given by the operator cannot be used: mend it and start again."""


class ConnectionFailedError(LinkError):
    """No session with the broker: the supervisor waits and tries again."""


class PacketError(LinkError):
    """The broker sent what is no MQTT: end the connection and begin a new one."""
