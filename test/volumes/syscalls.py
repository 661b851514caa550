"""System calls that Node lacks, for test volumes. One JSON request a line on stdin, one answer a line on stdout;
paths and bytes come in base64. Locks and descriptors are held until stdin closes."""

import base64
import ctypes
import fcntl
import json
import os
import struct
import sys

libc = ctypes.CDLL(None, use_errno=True)
held = []


def fallocate(path, mode, offset, length):
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
    finally:
        os.close(fd)


def set_flags(path, flags):
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, 0x40086602, struct.pack("Q", flags))  # FS_IOC_SETFLAGS
    finally:
        os.close(fd)


def copy_range(source, target, source_offset, target_offset, length):
    from_fd = os.open(source, os.O_RDONLY)
    to_fd = os.open(target, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        while length > 0:
            copied = os.copy_file_range(from_fd, to_fd, length, source_offset, target_offset)
            if copied == 0:
                break
            source_offset += copied
            target_offset += copied
            length -= copied
    finally:
        os.close(from_fd)
        os.close(to_fd)


def lock(path, kind, start, length):
    fd = os.open(path, os.O_RDWR)
    held.append(fd)
    if kind == "flock-shared":
        fcntl.flock(fd, fcntl.LOCK_SH)
    elif kind == "flock-exclusive":
        fcntl.flock(fd, fcntl.LOCK_EX)
    elif kind == "record-shared":
        fcntl.lockf(fd, fcntl.LOCK_SH, length, start)
    else:
        fcntl.lockf(fd, fcntl.LOCK_EX, length, start)


def run(request):
    paths = [base64.b64decode(path) for path in request["paths"]]
    numbers = [int(number) for number in request.get("numbers", [])]
    call = request["call"]
    if call == "mknod":
        os.mknod(paths[0], numbers[0], os.makedev(numbers[1], numbers[2]))
        os.chmod(paths[0], numbers[0] & 0o7777)
    elif call == "setxattr":
        os.setxattr(paths[0], paths[1], paths[2], follow_symlinks=False)
    elif call == "removexattr":
        os.removexattr(paths[0], paths[1], follow_symlinks=False)
    elif call == "utime":
        os.utime(paths[0], ns=(numbers[0], numbers[1]), follow_symlinks=False)
    elif call == "fallocate":
        fallocate(paths[0], *numbers)
    elif call == "setflags":
        set_flags(paths[0], numbers[0])
    elif call == "copyrange":
        copy_range(paths[0], paths[1], *numbers)
    elif call == "link":
        os.link(paths[0], paths[1], follow_symlinks=False)
    elif call == "lock":
        lock(paths[0], request["kind"], *numbers)
    else:
        raise ValueError(f"unknown call {call}")


for line in sys.stdin:
    answer = {}
    try:
        run(json.loads(line))
    except Exception as error:
        answer["error"] = f"{type(error).__name__}: {error}"
    print(json.dumps(answer), flush=True)
