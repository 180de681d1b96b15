"""What a Linux binary needs of the system that runs it, read from its dynamic segment.

A loader reads that segment too, so it is there in every binary that is linked to anything, stripped or not. The layout is that of
64-bit little-endian ELF (System V ABI), the versions that of glibc (Linux Standard Base, Symbol Versioning).
"""

import dataclasses
import re
import struct

ARCHITECTURES = {62: "x86_64", 183: "arm64"}
LOAD, DYNAMIC = 1, 2
NULL, NEEDED, STRTAB, VERNEED, VERNEEDNUM = 0, 1, 5, 0x6FFF_FFFE, 0x6FFF_FFFF


@dataclasses.dataclass(frozen=True)
class Needs:
    """`architecture` in Lambda's words, the newest `glibc` of any symbol as numbers ((0,) if none), the `libraries` by file name."""

    architecture: str
    glibc: tuple
    libraries: frozenset


def read(binary):
    """Reads a binary's bytes. Raises `ValueError` for what is no 64-bit Linux program."""
    if binary[:6] != b"\x7fELF\x02\x01":
        raise ValueError("not a 64-bit little-endian ELF binary")
    machine = struct.unpack_from("<H", binary, 18)[0]
    architecture = ARCHITECTURES.get(machine, f"machine {machine}")
    segments = list(_segments(binary))
    dynamic = [segment for segment in segments if segment[0] == DYNAMIC]
    if not dynamic:
        return Needs(architecture, (0,), frozenset())

    _, offset, _, size = dynamic[0]
    entries = []
    for tag, value in struct.iter_unpack("<qQ", binary[offset : offset + size // 16 * 16]):
        if tag == NULL:
            break
        entries.append((tag, value))
    fields = dict(entries)
    texts = _offset_of(segments, fields[STRTAB])
    text = lambda at: binary[texts + at : binary.index(b"\0", texts + at)].decode()

    libraries = frozenset(text(value) for tag, value in entries if tag == NEEDED)
    versions = [(0,)]
    if VERNEED in fields:
        versions += _glibc_versions(binary, _offset_of(segments, fields[VERNEED]), fields[VERNEEDNUM], text)
    return Needs(architecture, max(versions), libraries)


def _segments(binary):
    """Type, offset in the file, address and size in the file of each segment."""
    start = struct.unpack_from("<Q", binary, 32)[0]
    size, count = struct.unpack_from("<HH", binary, 54)
    for number in range(count):
        kind, _, offset, address, _, length = struct.unpack_from("<IIQQQQ", binary, start + number * size)
        yield kind, offset, address, length


def _offset_of(segments, address):
    """Where in the file an address is."""
    for kind, offset, start, size in segments:
        if kind == LOAD and start <= address < start + size:
            return offset + address - start
    raise ValueError(f"address {address:#x} is in no segment")


def _glibc_versions(binary, at, count, text):
    """The versions of glibc that symbols are bound to: a list of libraries, each with a list of names."""
    for _ in range(count):
        _, names, _, first, next_library = struct.unpack_from("<HHIII", binary, at)
        name_at = at + first
        for _ in range(names):
            _, _, _, name, next_name = struct.unpack_from("<IHHII", binary, name_at)
            if found := re.fullmatch(r"GLIBC_(\d+(?:\.\d+)*)", text(name)):
                yield tuple(map(int, found[1].split(".")))
            elif text(name).startswith("GLIBC_ABI_"):
                # No symbol's, but a mark that an older loader refuses. The first came with 2.36, for packed relocations.
                yield 2, 36
            name_at += next_name
        at += next_library
