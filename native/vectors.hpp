// Vectors of floats and of 16-bit integers: just what the inner loops need. A file that compiles them for NEON says so
// by defining SPIKEWRIGHT_NEON, since every 64-bit ARM compiler has it; flags of the compiler say the rest.
//
// What is not written over a vector type is there beside the vectors, once for each instruction set:
//
// add_ones(words, n, counts, value)       adds to each count the ones of its word, each of which counts as `value`; n is
//                                         a multiple of the vectors' width.
// copy_entries(from, shift, to)           sixteen entries with a number added to each.
// quantise(from, scale, values, to)       see InnerLoops.
#pragma once

#include "vectors_plain.hpp"

#if defined(SPIKEWRIGHT_NEON)
#include "vectors_neon.hpp"
#elif defined(__AVX2__)
#include "vectors_avx2.hpp"
#else
#include "by_hand_plain.hpp"
#endif

#if defined(__AVX512F__)
#include "vectors_avx512.hpp"
#endif
