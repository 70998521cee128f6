"""The floor: what a function cannot be faster than, as long as its inputs come from memory and its outputs go there.

A small kernel reads every input once and writes every output once, on the same threads, and does nothing else.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SOURCE = r"""
#include <stdint.h>
#if defined(__AVX__)
#include <immintrin.h>
#endif

static volatile uint32_t sink;

static void write_words(uint32_t *out, int64_t count, uint32_t value, int streaming) {
    int64_t k = 0;
#if defined(__AVX512F__)
    if (streaming) {
        for (; k < count && ((uintptr_t)(out + k) & 63); ++k) out[k] = value;
        for (; k + 16 <= count; k += 16) _mm512_stream_si512((void *)(out + k), _mm512_set1_epi32((int)value));
    }
#elif defined(__AVX__)
    if (streaming) {
        for (; k < count && ((uintptr_t)(out + k) & 31); ++k) out[k] = value;
        for (; k + 8 <= count; k += 8) _mm256_stream_si256((void *)(out + k), _mm256_set1_epi32((int)value));
    }
#endif
    for (; k < count; ++k) out[k] = value;
}

/* Read `reads` streams and write `writes` others, of any lengths, in step: so many words of the longest at a time. */
void floor_pass(int64_t reads, const uint32_t *const *in, const int64_t *in_words, int64_t writes, uint32_t *const *out,
                const int64_t *out_words, int64_t longest, int64_t step, int streaming, int threads) {
    const int64_t chunks = (longest + step - 1) / step;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
        uint32_t seen = 0;
        for (int64_t j = 0; j < reads; ++j) {
            const int64_t first = in_words[j] * chunk / chunks, last = in_words[j] * (chunk + 1) / chunks;
            const uint32_t *const from = in[j];
#pragma omp simd reduction(| : seen)
            for (int64_t k = first; k < last; ++k) seen |= from[k];
        }
        if (seen == 1) sink = seen;
        for (int64_t j = 0; j < writes; ++j) {
            const int64_t first = out_words[j] * chunk / chunks, last = out_words[j] * (chunk + 1) / chunks;
            write_words(out[j] + first, last - first, (uint32_t)chunk, streaming);
        }
    }
#if defined(__AVX__)
    if (streaming) _mm_sfence();
#endif
}

/* Write a stream back where it was read; the mask is 0, which the compiler does not know. */
void floor_in_place(uint32_t *data, int64_t words, uint32_t mask, int threads) {
#pragma omp parallel for simd num_threads(threads) schedule(static)
    for (int64_t k = 0; k < words; ++k) data[k] ^= mask;
}
"""


#: Words of the longest stream at a time.
STEPS = (128, 1024, 8192)


@dataclass(frozen=True)
class Floor:
    """A function of no arguments that moves the bytes once, and how many those are."""

    call: Callable[[], Any]
    bytes: int


class Floors:
    """The kernel above, compiled; it makes the floor of given arrays."""

    def __init__(self, threads: int, fresh: bool) -> None:
        """Raises CompileError or OSError where there is no compiler. With ``fresh`` outputs are allocated at each call."""
        from generated.native import _build

        library = ctypes.CDLL(str(_build.compile_source(SOURCE)))
        self._pass, self._in_place = library.floor_pass, library.floor_in_place
        self._pass.restype = self._in_place.restype = None
        self._threads, self._fresh = threads, fresh

    def of(self, reads: Sequence[np.ndarray[Any, Any]], writes: Sequence[np.ndarray[Any, Any]]) -> Floor:
        """The floor of a function that reads and writes arrays like these; kept outputs are written to, whatever they hold.

        Stores go past the cache or through it, and streams take turns often or seldom, whichever is found to be fastest.
        """
        ways = [self._function(reads, writes, step, streaming) for step in STEPS for streaming in (False, True)]
        return Floor(min(ways, key=_least), sum(a.nbytes for a in (*reads, *writes)))

    def in_place(self, array: np.ndarray[Any, Any]) -> Floor:
        """The floor of a function that writes its output over its input."""
        pointer, words, threads = ctypes.c_void_p(array.ctypes.data), ctypes.c_int64(array.nbytes // 4), self._threads

        def call(_: np.ndarray[Any, Any] = array) -> None:
            self._in_place(pointer, words, ctypes.c_uint32(0), ctypes.c_int(threads))

        return Floor(call, 2 * array.nbytes)

    def _function(
        self, reads: Sequence[np.ndarray[Any, Any]], writes: Sequence[np.ndarray[Any, Any]], step: int, streaming: bool
    ) -> Callable[[], None]:
        longest = max(a.nbytes // 4 for a in (*reads, *writes))
        sources = (ctypes.c_int64(len(reads)), _pointers(reads), _words(reads))
        targets = _pointers(writes)
        rest = (ctypes.c_int64(longest), ctypes.c_int64(step), ctypes.c_int(streaming), ctypes.c_int(self._threads))
        count, words = ctypes.c_int64(len(writes)), _words(writes)

        def kept(_: object = (reads, writes)) -> None:
            self._pass(*sources, count, targets, words, *rest)

        def fresh(_: object = reads) -> None:
            made = [np.empty(a.shape, a.dtype) for a in writes]
            self._pass(*sources, count, _pointers(made), words, *rest)

        return fresh if self._fresh else kept


def made(threads: int, fresh: bool) -> Floors | None:
    """The floors, or None where nothing can be compiled."""
    from generated.native import _build

    try:
        return Floors(threads, fresh)
    except (_build.CompileError, OSError):
        return None


def _pointers(arrays: Sequence[np.ndarray[Any, Any]]) -> Any:
    return (ctypes.c_void_p * max(len(arrays), 1))(*(a.ctypes.data for a in arrays))


def _words(arrays: Sequence[np.ndarray[Any, Any]]) -> Any:
    return (ctypes.c_int64 * max(len(arrays), 1))(*(a.nbytes // 4 for a in arrays))


def _least(call: Callable[[], None]) -> float:
    """The shortest of three calls, in seconds, after one that is not counted."""
    call()
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return min(taken)
