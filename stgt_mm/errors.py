"""The base of errors that a user can mend; the tools print their message and no traceback."""


class UserError(RuntimeError):
    """Something that the user can mend; the message says what and how."""
