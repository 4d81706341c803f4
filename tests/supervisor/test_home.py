"""Who owns a home is known without asking him: by the kernel's list of locks, and without trying the lock."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from supervisor.errors import HomeTaken
from supervisor.runtime.home import LOCK_FILE, owner_of, take_home
from supervisor.runtime.settings import Settings


def test_the_owner_is_known_as_long_as_it_has_the_home_and_another_is_refused(tmp_path: Path) -> None:
    assert owner_of(str(tmp_path)) == 0
    fd, life = take_home(Settings(home=str(tmp_path)))
    assert (life, owner_of(str(tmp_path))) == (1, os.getpid())
    with pytest.raises(HomeTaken, match=f"pid {os.getpid()}"):
        take_home(Settings(home=str(tmp_path)))
    os.close(fd)
    assert owner_of(str(tmp_path)) == 0
    fd, life = take_home(Settings(home=str(tmp_path)))
    assert (life, owner_of(str(tmp_path))) == (2, os.getpid())
    os.close(fd)


@pytest.mark.parametrize(
    ("line", "owner"),
    [
        ("3: FLOCK  ADVISORY  WRITE 18406 fe:00:{inode} 0 EOF", 18406),
        ("3: -> FLOCK  ADVISORY  WRITE 18406 fe:00:{inode} 0 EOF", 0),  # it waits
        ("3: POSIX  ADVISORY  WRITE 18406 fe:00:{inode} 0 EOF", 0),
        ("3: FLOCK  ADVISORY  WRITE 18406 fe:00:1{inode} 0 EOF", 0),  # of another file
        ("3: FLOCK  ADVISORY  WRITE 18407 fe:00:{inode} 0 EOF", 0),  # its pid is not written yet
        ("", 0),
    ],
)
def test_only_the_lock_of_this_home_by_the_pid_that_stands_in_it_counts(tmp_path: Path, line: str, owner: int) -> None:
    lock, locks = tmp_path / LOCK_FILE, tmp_path / "locks"
    lock.write_text("4 18406\n")
    locks.write_text("1: POSIX  ADVISORY  READ 17 fe:00:9 128 128\n" + line.format(inode=lock.stat().st_ino) + "\n")
    assert owner_of(str(tmp_path), locks) == owner


def test_a_kernel_that_does_not_tell_of_locks_names_nobody(tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).write_text("4 18406\n")
    assert owner_of(str(tmp_path), tmp_path / "none") == 0
