"""What can go wrong in a simulator, cut by what the reader does next."""


class SimulatorError(Exception):
    """Base of all."""


class ConfigError(SimulatorError):
    """A setting, an argument or the clock file is wrong: read the sentence, mend it, start again (exit code 2)."""


class LinkError(SimulatorError):
    """A port is taken or a path is in the way: free it or choose another (exit code 2)."""


class WireError(SimulatorError):
    """The peer's bytes cannot be trusted: refuse them as the protocol says and go on."""


class FrameError(WireError):
    """A frame is cut short, too long or carries no usable number."""


class ChecksumError(FrameError):
    """A frame's own sum does not fit its bytes."""


class RecordError(WireError):
    """The frames were sound, but what they carry is no message of this protocol."""


class NoFreeModuleError(SimulatorError):
    """Every module of the analyser is taken: wait until the door of one opens."""
