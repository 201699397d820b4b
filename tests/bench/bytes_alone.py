"""What a quantization with records costs in bytes alone.

The checkpoint is read and hashed, the parts are hashed and stored, read and
hashed again, and the whole file is hashed and stored: with libcrypto's SHA-256
on as many threads, with the system's own copying, and with one fsync for each
file. No weight is looked at, and no program is started.
"""
import concurrent.futures
import hashlib
import mmap
import os
import time

PIECE = 32 << 20  # bytes of the checkpoint hashed as one, like a tensor


def view(path):
    """A mapped file's bytes, and its descriptor."""
    fd = os.open(path, os.O_RDONLY)
    return memoryview(mmap.mmap(fd, 0, prot=mmap.PROT_READ)), fd


def digest(*views):
    h = hashlib.sha256()
    for v in views:
        h.update(v)
    return h.digest()


def store(sources, to, beside):
    """Copies files into one and syncs it; the digest is taken `beside`."""
    out = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    waiting = beside(digest, *(v for v, _ in sources))
    for v, fd in sources:
        at = 0
        while at < len(v):
            at += os.copy_file_range(fd, out, len(v) - at, at)
    waiting.result()
    os.fsync(out)
    os.close(out)


class Now:
    """In place of a second thread: what was asked for is done at once."""

    def __init__(self, f, *args):
        self.answer = f(*args)

    def result(self):
        return self.answer


def seconds(source, parts, folder, threads):
    """Wall seconds of reading and hashing, and of storing with the digest taken
    beside it; `parts` are the files that make up the whole one."""
    data, _ = view(source)
    files = [view(p) for p in parts]
    to = os.path.join(folder, "stored")
    stored = 0.0

    def store_all(files):
        nonlocal stored
        begin = time.monotonic()
        store(files, to, beside)
        stored += time.monotonic() - begin

    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        many = pool.map if threads > 1 else map
        beside = pool.submit if threads > 1 else Now
        list(many(digest, (data[at:at + PIECE]
                           for at in range(0, len(data), PIECE))))
        for file in files:
            store_all([file])
        list(many(digest, (v for v, _ in files)))
        store_all(files)
    hashed = time.monotonic() - start - stored
    os.unlink(to)
    for _, fd in files:
        os.close(fd)
    return hashed, stored
