"""The base of errors that a user can correct; the tools print their message and no traceback."""


class UserError(RuntimeError):
    """Something that the user can correct; the message says what and how."""
