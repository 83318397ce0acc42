"""Run by a guest: execute AArch64 words given on the command line, between the marks of the counting plugin.

usage: guest_words.py TIMES COPIES [WORD ...]  (hexadecimal, or - for none). For each word two regions: one call that warms
Python's own way to it, then TIMES calls of COPIES copies and a return. x0 and x1 point to 64 bytes each.
"""

import ctypes
import mmap
import os
import struct
import sys
from contextlib import suppress

_RETURN = 0xD65F03C0
memory = ctypes.addressof(ctypes.create_string_buffer(128))
kept = []
for word in sys.argv[3:]:
    words = [] if word == "-" else [int(word, 16)] * int(sys.argv[2])
    code = mmap.mmap(-1, 4 * len(words) + 4, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(struct.pack(f"<{len(words) + 1}I", *words, _RETURN))
    kept.append(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(address)
    for times in (1, int(sys.argv[1])):
        with suppress(OSError):
            os.close(-7001)
        for _ in range(times):
            function(memory, memory + 64)
        with suppress(OSError):
            os.close(-7002)
