"""In: a problem that cannot be mended safely. Out: the reason, as the exception that a rewrite raises."""


class Unsafe(Exception):
    """A problem is of a kind that can be mended, and this one cannot be mended safely; the message says why."""
