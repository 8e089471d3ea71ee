"""What can stop `up`: every one is a sentence for the person who started it."""


class UpError(Exception):
    """Says what happened, to what, and what to do; printed without a traceback."""


class AlreadyRunningError(UpError):
    """Another `up` holds this MOONX_HOME."""


class PortTakenError(UpError):
    """Somebody else listens where MoonX was told to listen."""


class MissingToolError(UpError):
    """A program that `up` runs is not installed."""


class StartError(UpError):
    """A child did not become ready."""
