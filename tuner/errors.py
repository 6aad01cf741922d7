"""The one exception a user is meant to read."""


class UserError(Exception):
    """A mistake the user can put right. The message is one line: what is wrong, where, and what to do.

    Stage scripts print it and exit with 1; any other exception is a defect of this project and keeps its
    traceback.
    """
