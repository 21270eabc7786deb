# SPDX-License-Identifier: Apache-2.0
"""Writes the C source of the extension module hvcore._hvcore (cffi, API mode).

The declarations are the public headers themselves, run through the C preprocessor: a binding that
builds proves that they parse, and the C compiler checks every declaration against them again.

    build.py CC INCLUDE_DIR OUTPUT.c
"""
import subprocess
import sys

import cffi

CALLBACKS = """
extern "Python" void hvcore_py_console(void *, hvcore_vcpu *, const char *, size_t);
extern "Python" uint32_t hvcore_py_read(void *, hvcore_vcpu *, uint64_t, uint32_t, uint64_t *);
extern "Python" uint32_t hvcore_py_write(void *, hvcore_vcpu *, uint64_t, uint32_t, uint64_t);
"""


def declarations(compiler: str, include: str) -> str:
    command = [*compiler.split(), "-E", "-P", "-DHVCORE_CDEF", f"-I{include}",
               f"{include}/hvcore/hvcore.h"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    compiler, include, output = sys.argv[1:4]
    ffi = cffi.FFI()
    ffi.cdef(declarations(compiler, include) + CALLBACKS)
    ffi.set_source("hvcore._hvcore", "#include <hvcore/hvcore.h>")
    ffi.emit_c_code(output)


if __name__ == "__main__":
    main()
