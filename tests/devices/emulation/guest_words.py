"""Run by a guest: execute AArch64 words given on the command line, between the marks of the counting plugin.

usage: guest_words.py TIMES WORD,WORD... [WORD,... ...]  (hexadecimal; a return is appended to each list). x0 and x1 point
to 64 bytes each. Three regions a list: one that warms Python's own way to the call, one without a call, one of TIMES calls.
"""

import ctypes
import mmap
import os
import struct
import sys
from contextlib import suppress

memory = ctypes.addressof(ctypes.create_string_buffer(128))
kept = []
for program in sys.argv[2:]:
    words = [int(word, 16) for word in program.split(",") if word]
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(struct.pack(f"<{len(words) + 1}I", *words, 0xD65F03C0))
    kept.append(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(address)
    for times in (3, 0, int(sys.argv[1])):
        with suppress(OSError):
            os.close(-7001)
        for _ in range(times):
            function(memory, memory + 64)
        with suppress(OSError):
            os.close(-7002)
