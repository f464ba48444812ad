"""A disk that can lose its power: a file in a FUSE file system of our own, below a loop device.

Like a real disk with a write cache it promises nothing for what was written after the last flush. `cut` stops it and
gives the image that a machine would find after the power came back: everything up to the last flush, and of what was
written since, each 512-byte sector or not, at random. Nothing is buffered above it: the loop device opens the file
directly, so a flush of the file system is a flush here.

Speaks the kernel's FUSE protocol itself (linux/fuse.h, version 7.31): one file, `disk`. Needs root and /dev/fuse.
"""

from __future__ import annotations

import ctypes
import errno
import os
import random
import stat
import struct
import threading
from pathlib import Path

SECTOR = 512
BLOCK = 4096
_IN = struct.Struct("<IIQQIIII")  # fuse_in_header
_OUT = struct.Struct("<IiQ")  # fuse_out_header
_ATTR = struct.Struct("<QQQQQQIIIIIIIIII")  # fuse_attr
_LOOKUP, _GETATTR, _SETATTR, _OPEN, _READ, _WRITE, _STATFS, _RELEASE, _FSYNC, _FLUSH, _INIT = (
    *(1, 3, 4, 14, 15, 16),
    *(17, 18, 20, 25, 26),
)
_OPENDIR, _READDIR, _RELEASEDIR, _ACCESS, _INTERRUPT, _DESTROY, _FORGET, _BATCH_FORGET = 27, 28, 29, 34, 36, 38, 2, 42
_FALLOCATE = 43
MAX_WRITE = 1 << 17
DIRECT_IO = 1  # FOPEN_DIRECT_IO: no page cache of the kernel above this file


class LossyDisk:
    """`folder`/disk, of the size of the image, until `close`."""

    def __init__(self, folder: Path, image: bytes) -> None:
        self._folder = folder
        self._durable = bytearray(image)  # what a flush made safe
        self._current = bytearray(image)
        self._since: list[tuple[int, bytes]] = []  # writes since the last flush, in order
        self._lock = threading.Lock()
        self._dead = False
        folder.mkdir(parents=True, exist_ok=True)
        self._channel = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self._channel},rootmode=40000,user_id=0,group_id=0,max_read={MAX_WRITE}"
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"lossy", str(folder).encode(), b"fuse.lossy", 0, options.encode()) != 0:
            raise OSError(ctypes.get_errno(), "mount of FUSE failed")
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def path(self) -> Path:
        """The file."""
        return self._folder / "disk"

    def cut(self, chance: random.Random) -> bytes:
        """The power fails now: from here on every write and flush is an error. Returns what is on the disk."""
        with self._lock:
            self._dead = True
            image = bytearray(self._durable)
            # A drive writes in any order: of two writes to one sector the later may not be undone by the earlier, but
            # either may be missing. What it keeps is decided sector by sector.
            for start, data in self._since:
                for offset in range(0, len(data), SECTOR):
                    if chance.random() < 0.5:
                        image[start + offset : start + offset + SECTOR] = data[offset : offset + SECTOR]
            return bytes(image)

    def close(self) -> None:
        """Unmount; what still uses the file gets errors."""
        libc = ctypes.CDLL(None, use_errno=True)
        libc.umount2(str(self._folder).encode(), 2)  # MNT_DETACH
        os.close(self._channel)

    def _serve(self) -> None:
        while True:
            try:
                request = os.read(self._channel, MAX_WRITE + 4096)
            except OSError as error:
                if error.errno in (errno.EINTR, errno.ENOENT, errno.EAGAIN):
                    continue
                return  # unmounted
            _, opcode, unique, node, *_ = _IN.unpack_from(request)
            body = memoryview(request)[_IN.size :]
            if opcode in (_FORGET, _BATCH_FORGET, _INTERRUPT):
                continue
            with self._lock:
                try:
                    answer, failed = self._answer(opcode, node, body), 0
                except OSError as error:
                    answer, failed = b"", error.errno or errno.EIO
            try:
                os.write(self._channel, _OUT.pack(_OUT.size + len(answer), -failed, unique) + answer)
            except OSError as error:
                if error.errno != errno.ENOENT:
                    return

    def _answer(self, opcode: int, node: int, body: memoryview) -> bytes:
        if opcode == _INIT:
            head = struct.pack("<IIIIHHIIHHI", 7, 31, 0, 0, 16, 12, MAX_WRITE, 1, MAX_WRITE // 4096, 0, 0)
            return head + bytes(28)
        if opcode == _LOOKUP:
            if bytes(body).rstrip(b"\0") != b"disk":
                raise OSError(errno.ENOENT, "no such file")
            return struct.pack("<QQQQII", 2, 0, 3600, 3600, 0, 0) + self._attributes(2)
        if opcode in (_GETATTR, _SETATTR):
            return struct.pack("<QII", 3600, 0, 0) + self._attributes(node)
        if opcode in (_OPEN, _OPENDIR):
            return struct.pack("<QII", 1, DIRECT_IO if opcode == _OPEN else 0, 0)
        if opcode == _STATFS:
            return struct.pack("<QQQQQIIII", 1 << 20, 1 << 19, 1 << 19, 10, 8, 4096, 255, 4096, 0) + bytes(24)
        if opcode in (_RELEASE, _RELEASEDIR, _ACCESS, _DESTROY, _FLUSH, _READDIR):
            return b""
        if opcode == _READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            return bytes(self._current[offset : offset + size])
        if opcode == _WRITE:
            return self._write(body)
        if opcode == _FSYNC:
            return self._flush()
        raise OSError(errno.ENOSYS, "not needed")

    def _write(self, body: memoryview) -> bytes:
        if self._dead:
            raise OSError(errno.EIO, "no power")
        _, offset, size = struct.unpack_from("<QQI", body)
        data = bytes(body[40 : 40 + size])
        self._current[offset : offset + size] = data
        self._since.append((offset, data))
        return struct.pack("<II", size, 0)

    def _flush(self) -> bytes:
        if self._dead:
            raise OSError(errno.EIO, "no power")
        for offset, data in self._since:
            self._durable[offset : offset + len(data)] = data
        self._since.clear()
        return b""

    def _attributes(self, node: int) -> bytes:
        is_file = node == 2
        mode = stat.S_IFREG | 0o600 if is_file else stat.S_IFDIR | 0o700
        size = len(self._current) if is_file else 0
        return _ATTR.pack(node, size, size // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, BLOCK, 0)
