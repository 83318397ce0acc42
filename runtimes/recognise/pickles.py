"""Pickles, also joblib's compressed ones, by their first bytes. Nothing is unpickled."""

from __future__ import annotations

import bz2
import io
import lzma
import re
import struct
import zlib
from collections.abc import Callable

from mlpack_edge.runtimes.recognise.foreign import Foreign, by_beginning
from mlpack_edge.runtimes.recognise.kinds import HEAD, Kind, Look

#: bzip2 gives nothing before its first block, of up to 900 kB, is whole.
_BZIP2_BLOCK = 1 << 20


#: torch/serialization.py: the legacy form starts with this number as a pickle of protocol 2.
_TORCH_LEGACY = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."


def torch_legacy(look: Look) -> Kind | None:
    return Kind.TORCH_CHECKPOINT if look.head.startswith(_TORCH_LEGACY) else None


def plain_pickle(look: Look) -> Kind | None:
    if not _begins_a_pickle(look.head):
        return None
    if look.tail(1) != b".":
        raise look.cut(Kind.PICKLE, "a pickle", "it does not end with the STOP opcode")
    return Kind.PICKLE


def _begins_a_pickle(head: bytes) -> bool:
    """Whether the first opcodes are those of a pickle, by pickletools, which runs none of them."""
    if head[:1] == b"\x80":
        if len(head) < 2 or not 2 <= head[1] <= 5:
            return False
        # joblib puts raw arrays behind the first opcodes, so only a few are asked for.
        return len(_opcodes(head, 3)) == 3 or head[-1:] == b"."
    if head[:1] not in b"c(]}" or not head:
        return False
    found = _opcodes(head, 200)
    return bool(found) and ("GLOBAL" in found or "INST" in found or found[-1] == "STOP")


def _opcodes(head: bytes, most: int) -> list[str]:
    import pickletools

    found: list[str] = []
    try:
        for opcode, _, _ in pickletools.genops(io.BytesIO(head)):
            found.append(opcode.name)
            if len(found) == most:
                break
    except (ValueError, UnicodeError, OverflowError):  # the end of what was read, or no pickle
        pass
    return found


def compressed_pickle(look: Look) -> Kind | None:
    """joblib's compressed pickles; any other compressed file is named."""
    head = look.head
    if head.startswith(b"ZF0x"):  # joblib before 0.10
        return Kind.PICKLE
    for name, belongs, unpack in _COMPRESSIONS:
        if belongs(head):
            try:
                inner = unpack(look)
            except (zlib.error, OSError, EOFError, lzma.LZMAError, ValueError) as fault:
                if name == "zlib":  # two bytes say too little
                    return None
                raise look.cut(Kind.PICKLE, f"a file compressed with {name}", str(fault)) from fault
            if _begins_a_pickle(inner):
                return Kind.PICKLE
            if name == "zlib" and not inner:
                return None
            raise look.refuse(by_beginning(inner) or Foreign(f"compressed with {name}", "decompress it first"))
    return None


def _unpack_lz4(look: Look) -> bytes:
    """The literals that begin the first block of an LZ4 frame (LZ4 frame format 1.6.2); the library is not needed."""
    head = look.head
    flags = head[4]
    start = 7 + (8 if flags & 0x08 else 0) + (4 if flags & 0x01 else 0)
    (length,) = struct.unpack_from("<I", head.ljust(start + 4, b"\0"), start)
    block = head[start + 4 :]
    if length & 0x80000000 or not block:  # stored as it is
        return block
    literals = block[0] >> 4
    skip = 1
    if literals == 15:
        while skip < len(block) and block[skip] == 255:
            literals, skip = literals + 255, skip + 1
        literals, skip = literals + (block[skip] if skip < len(block) else 0), skip + 1
    return block[skip : skip + literals]


def _begins_zlib(head: bytes) -> bool:
    return len(head) > 1 and head[0] == 0x78 and (head[0] * 256 + head[1]) % 31 == 0


def _unpack_bzip2(look: Look) -> bytes:
    return bz2.BZ2Decompressor().decompress(look.read(0, _BZIP2_BLOCK), HEAD)


def _unpack_lzma(look: Look) -> bytes:
    return lzma.LZMADecompressor(memlimit=1 << 28).decompress(look.head, HEAD)


#: (name, whether a beginning is its, the first bytes decompressed: at most HEAD of them).
_COMPRESSIONS: tuple[tuple[str, Callable[[bytes], bool], Callable[[Look], bytes]], ...] = (
    ("zlib", _begins_zlib, lambda look: zlib.decompressobj().decompress(look.head, HEAD)),
    ("gzip", lambda head: head[:3] == b"\x1f\x8b\x08", lambda look: zlib.decompressobj(31).decompress(look.head, HEAD)),
    ("bzip2", lambda head: re.match(rb"BZh[1-9]1AY&SY", head) is not None, _unpack_bzip2),
    ("xz", lambda head: head.startswith(b"\xfd7zXZ\0"), _unpack_lzma),
    ("lzma", lambda head: head[:3] == b"\x5d\0\0" and len(head) > 13, _unpack_lzma),
    ("lz4", lambda head: head.startswith(b"\x04\x22\x4d\x18") and len(head) > 7, _unpack_lz4),
)  # fmt: skip
