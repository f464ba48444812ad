"""A libcuda.so.1 in C whose GPU is the host's memory: it holds `CudaDriver` to the real calling convention.

    driver = load_host_driver(tmp_path)     # as ctypes.CDLL("libcuda.so.1") would give it

Its calls take just what cuda.h says: pointers, sizes and handles of the right width. Copies are done at once, and a
call that needs a context fails without one.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = r"""
#include <stdlib.h>
#include <string.h>
typedef unsigned long long ptr;
static int fail, calls_left, depth, made, streams;
static int gate(int needs_context) {
    if (fail && !calls_left--) { int status = fail; fail = 0; return status; }
    return needs_context && !depth ? 201 : 0;
}
#define CALL(needs) { int status = gate(needs); if (status) return status; }
int fail_after(int calls, int status) { calls_left = calls; fail = status; return 0; }
int contexts(void) { return made; }
int current(void) { return depth; }
int cuInit(unsigned flags) { CALL(0) return flags ? 1 : 0; }
int cuDeviceGet(int *device, int number) { CALL(0) if (number) return 101; *device = 7; return 0; }
int cuDeviceGetName(char *name, int length, int device) {
    CALL(0) strncpy(name, "Host GPU", length); return device != 7;
}
int cuDeviceGetAttribute(int *value, int what, int device) {
    CALL(0) if (device != 7) return 101;
    switch (what) {  /* an RTX 3060 */
        case 75: *value = 8; break; case 76: *value = 6; break; case 18: *value = 0; break;
        case 16: *value = 28; break; case 13: *value = 1777000; break; case 36: *value = 7501000; break;
        case 37: *value = 192; break; default: return 1;
    }
    return 0;
}
int cuCtxCreate_v2(void **context, unsigned flags, int device) {
    CALL(0) if (device != 7) return 101; *context = malloc(16); depth++; made++; return flags & ~8u ? 1 : 0;
}
int cuCtxPushCurrent_v2(void *context) { CALL(0) if (!context) return 201; depth++; return 0; }
int cuCtxPopCurrent_v2(void **context) { CALL(1) *context = 0; depth--; return 0; }
int cuCtxDestroy_v2(void *context) { CALL(0) free(context); if (depth) depth--; made--; return 0; }
int cuMemGetInfo_v2(size_t *free_, size_t *total) { CALL(1) *free_ = 512ul << 20; *total = 8192ul << 20; return 0; }
int cuMemAlloc_v2(ptr *address, size_t size) {
    CALL(1) if (size > (1ul << 40)) return 2;
    *address = (ptr)malloc(size); memset((void *)*address, 77, size); return 0;
}
int cuMemFree_v2(ptr address) { CALL(1) free((void *)address); return 0; }
int cuMemHostAlloc(void **address, size_t size, unsigned flags) {
    CALL(1) *address = malloc(size); return flags & ~2u;
}
int cuMemHostGetDevicePointer_v2(ptr *device, void *host, unsigned flags) { CALL(1) *device = (ptr)host; return flags; }
int cuMemcpyHtoD_v2(ptr to, const void *from, size_t size) { CALL(1) memcpy((void *)to, from, size); return 0; }
int cuStreamCreate(void **stream, unsigned flags) { CALL(1) *stream = &streams; return flags; }
int cuStreamSynchronize(void *stream) { CALL(1) return stream != &streams; }
int cuMemcpyHtoDAsync_v2(ptr to, const void *from, size_t size, void *stream) {
    CALL(1) memcpy((void *)to, from, size); return stream != &streams;
}
int cuMemcpyDtoHAsync_v2(void *to, ptr from, size_t size, void *stream) {
    CALL(1) memcpy(to, (void *)from, size); return stream != &streams;
}
int cuGetErrorString(int status, const char **words) { *words = status == 2 ? "out of memory" : "made up"; return 0; }
"""


def load_host_driver(folder: Path) -> ctypes.CDLL:
    """Compile it below a folder and load it; skips the test where there is no compiler."""
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc to make a driver")
    source, library = folder / "host_driver.c", folder / "libcuda_of_host.so"
    source.write_text(SOURCE)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return ctypes.CDLL(str(library))
