"""Reads extended attributes and content hashes of many paths, for what Node has no call.

Input: requests on stdin, each `kind NUL path NUL`: kind "o" for anything without contents to hash, "f" for a regular file to
hash whole, "f START-END,START-END…" for one whose other bytes need not be read (sorted by start).
Output: one JSON line per request, in order: {"xattrs": {hex name: hex value}, "hash": hex or null, "error": text or absent}.

The hash covers the bytes of a file but leaves out blocks of zeros, each block hashed with its offset: a hole and written
zeros hash the same, and holes are skipped without reading where the file system tells them (SEEK_DATA).
"""

import errno
import hashlib
import json
import os
import sys

BLOCK = 1 << 20
ZEROS = bytes(BLOCK)


def read_xattrs(path):
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        # JuiceFS answers so for its trash, instead of with an empty list.
        if error.errno != errno.ENODATA:
            raise
        names = []
    return {os.fsencode(name).hex(): os.getxattr(path, name, follow_symlinks=False).hex() for name in names}


def next_data(file, at, size, extents):
    """The first offset from `at` that may hold data, at a whole block."""
    if extents is not None:
        while extents and extents[0][1] <= at:
            extents.pop(0)
        if not extents:
            return size
        found = extents[0][0]
    else:
        try:
            found = os.lseek(file, at, os.SEEK_DATA)
        except OSError as error:
            return size if error.errno == errno.ENXIO else at
    return max(at, found - found % BLOCK)


def parse_extents(text):
    parts = [part.split("-") for part in text.split(",") if part]
    return [(int(start), int(end)) for start, end in parts]


def hash_contents(path, extents):
    file = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(file).st_size
        digest = hashlib.sha256(size.to_bytes(8, "big"))
        at = next_data(file, 0, size, extents)
        while at < size:
            block = read_block(file, at)
            if not block:
                raise OSError(errno.EIO, f"ends at {at} of {size} bytes")
            if block != ZEROS[: len(block)]:
                digest.update(at.to_bytes(8, "big"))
                digest.update(block)
            at = next_data(file, at + len(block), size, extents)
        return digest.hexdigest()
    finally:
        os.close(file)


def read_block(file, at):
    """Reads up to one block; shorter only at the end of the file."""
    parts = []
    length = 0
    while length < BLOCK:
        part = os.pread(file, BLOCK - length, at + length)
        if not part:
            break
        parts.append(part)
        length += len(part)
    return b"".join(parts)


def answer(kind, path):
    result = {"xattrs": {}, "hash": None}
    try:
        result["xattrs"] = read_xattrs(path)
        if kind.startswith(b"f"):
            result["hash"] = hash_contents(path, parse_extents(kind[2:].decode()) if len(kind) > 1 else None)
    except OSError as error:
        result["error"] = f"{errno.errorcode.get(error.errno, error.errno)} {error.strerror}"
    return result


def read_words(stream):
    rest = b""
    while part := os.read(stream.fileno(), 1 << 16):
        *words, rest = (rest + part).split(b"\0")
        yield from words


def main():
    kind = None
    for word in read_words(sys.stdin.buffer):
        if kind is None:
            kind = word
        else:
            print(json.dumps(answer(kind, word)), flush=True)
            kind = None


main()
