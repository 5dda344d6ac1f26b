"""Files of our own: private folders, locks between processes, and whether a file is still the one that was opened."""

from __future__ import annotations

import os
from contextlib import suppress

__all__ = ["hold", "identity", "is_at", "is_foreign", "make_folder"]


def make_folder(folder: str) -> None:
    """Make a folder, and those above it, for their owner alone; what is there stays as it is."""
    if folder and not os.path.isdir(folder):  # noqa: PTH112  # pathlib costs start-up time
        make_folder(os.path.dirname(folder))  # noqa: PTH120
        with suppress(FileExistsError):
            os.mkdir(folder, 0o700)  # noqa: PTH102


def is_foreign(path: str) -> bool:
    """Whether somebody else has put a file, or a link to one, into a folder that everybody may write to (``/tmp``).

    Elsewhere owners say little: containers and network drives change them. Windows is not asked.
    """
    if not hasattr(os, "geteuid"):
        return False
    try:
        folder, found = os.stat(os.path.dirname(path) or "."), os.lstat(path)  # noqa: PTH116, PTH120  # as above
    except OSError:
        return False
    return bool(folder.st_mode & 0o002) and found.st_uid not in (os.geteuid(), 0)


def hold(descriptor: int) -> None:
    """Lock a file until it is closed. Windows needs none: there a file that is open cannot be renamed."""
    with suppress(ImportError):
        from fcntl import LOCK_EX, flock

        flock(descriptor, LOCK_EX)


def identity(path: str) -> tuple[int, int] | None:
    """Which file stands under a path: its device and inode; None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return found.st_dev, found.st_ino


def is_at(descriptor: int, path: str) -> bool:
    """Whether the open file is the one that stands under a path."""
    opened = os.fstat(descriptor)
    return identity(path) == (opened.st_dev, opened.st_ino)
