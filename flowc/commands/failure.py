"""In: an exception that ended a command. Out: what the user is told, and the exit code: 2 for what they can mend, 3 for a bug of flowc."""

from __future__ import annotations

import errno
import io
import sys

from flowc import __version__
from flowc.commands.files import PathError
from flowc.config import SettingsError
from flowc.diagnostics import Code, Example
from flowc.report import printable

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
BUG = Code(
    "FC900",
    "a bug of flowc",
    "flowc met a state that its authors held impossible, and stopped before it wrote anything. No flow, setting or path may lead "
    "here: whatever you gave it, the mistake is flowc's. Report it with the traceback, the versions that flowc printed, and the "
    "flow if you can share it.",
    bad=Example({}),
    good=Example({}),
)


def exit_code(error: Exception) -> int:
    """Tell the user on stderr what happened, and return the exit code of the process."""
    if isinstance(error, (PathError, SettingsError)):
        print(f"flowc: {printable(str(error))}", file=sys.stderr)
        return 2
    if isinstance(error, OSError) and error.filename is None and (error.errno in UNWRITABLE or isinstance(error, io.UnsupportedOperation)):
        # files are written elsewhere, and told by their names
        print(f"flowc: standard output cannot be written: {error.strerror or error}", file=sys.stderr)
        return 2
    import platform
    import traceback

    traceback.print_exception(error)
    print(
        f"\nerror[{BUG.id}]: flowc itself failed: {type(error).__name__}: {error}\n"
        f"  = note: flowc {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
        "  = help: report this on flowc's issue tracker with all of the above, and the flow if you can share it",
        file=sys.stderr,
    )
    return 3
