/* The class of an AArch64 instruction, from its word. Arm Architecture Reference Manual for A-profile (DDI 0487),
 * chapter C4.1 "A64 instruction set encoding"; the tables named below are that chapter's.
 *
 * Instructions of extensions that no emulated board has (SVE, SME, memory tagging, 64-byte and 128-bit accesses, memory
 * copies) are in OTHER: such a processor would not run them. */
#ifndef A64_CLASSES_H
#define A64_CLASSES_H
#include <stdint.h>

enum {
    SIMD = 1 << 0,          /* Advanced SIMD data processing, vector and scalar forms, with the cryptographic ones */
    SCALAR_FLOAT = 1 << 1,  /* floating-point data processing on scalars, with conversions and moves */
    MULTIPLY_ADD = 1 << 2,  /* also in SIMD or SCALAR_FLOAT: sums of products, one product a lane */
    DOT_PRODUCT = 1 << 3,   /* also in SIMD: sums of two, four or eight products a lane */
    LOAD = 1 << 4,
    STORE = 1 << 5,         /* atomic read-modify-write instructions are both */
    VECTOR_LOAD = 1 << 6,   /* also in LOAD: into a SIMD and floating-point register */
    VECTOR_STORE = 1 << 7,  /* also in STORE */
    BRANCH = 1 << 8,
    INTEGER = 1 << 9,       /* data processing in general-purpose registers, immediate and register forms */
    OTHER = 1 << 10         /* system instructions, hints, barriers, exceptions, prefetches */
};
#define A64_CLASSES 11

/* Bits high..low of the word. */
static inline uint32_t a64_bits(uint32_t word, int high, int low) {
    return (word >> low) & ((1u << (high - low + 1)) - 1);
}

static inline unsigned a64_access(int vector, int is_load) {
    if (vector) return is_load ? LOAD | VECTOR_LOAD : STORE | VECTOR_STORE;
    return is_load ? LOAD : STORE;
}

/* "Load/store exclusive, ordered, compare and swap": size 001000 o2 L o1 Rs o0 Rt2 Rn Rt. */
static inline unsigned a64_exclusive(uint32_t word) {
    int pair_or_swap = a64_bits(word, 21, 21), ordered = a64_bits(word, 23, 23), wide = a64_bits(word, 31, 31);
    if (pair_or_swap && (ordered || !wide)) return LOAD | STORE; /* CAS; CASP */
    return a64_access(0, a64_bits(word, 22, 22));
}

/* "Load/store register", all addressing modes, and "Atomic memory operations": size 111 V 0x opc. */
static inline unsigned a64_register_access(uint32_t word) {
    uint32_t size = a64_bits(word, 31, 30), opc = a64_bits(word, 23, 22), mode = a64_bits(word, 11, 10);
    int vector = a64_bits(word, 26, 26);
    if (!a64_bits(word, 24, 24) && a64_bits(word, 21, 21) && mode != 2) {
        uint32_t o3 = a64_bits(word, 15, 15), operation = a64_bits(word, 14, 12);
        if (vector) return OTHER;
        if (mode & 1) return LOAD;                                                  /* LDRAA, LDRAB */
        if (o3 && operation == 4) return LOAD;                                      /* LDAPR */
        return !o3 || operation == 0 ? LOAD | STORE : OTHER;                        /* LDADD and the like; SWP */
    }
    if (vector) return a64_access(1, opc & 1);
    if (size == 3 && opc == 2) return OTHER;                                        /* PRFM, PRFUM */
    return a64_access(0, opc != 0);
}

static inline unsigned a64_load_store(uint32_t word) {
    uint32_t group = a64_bits(word, 29, 27), opc = a64_bits(word, 31, 30);
    int vector = a64_bits(word, 26, 26);
    switch (group) {
    case 1:
        if (vector) return a64_access(1, a64_bits(word, 22, 22));                   /* LD1..LD4, ST1..ST4 */
        return a64_bits(word, 24, 24) ? OTHER : a64_exclusive(word);
    case 3:
        if (!a64_bits(word, 24, 24))                                                /* "Load register (literal)" */
            return !vector && opc == 3 ? OTHER : a64_access(vector, 1);
        if (vector || a64_bits(word, 21, 21) || a64_bits(word, 11, 10)) return OTHER;
        return a64_access(0, a64_bits(word, 23, 22) != 0);                          /* STLUR, LDAPUR */
    case 5: return a64_access(vector, a64_bits(word, 22, 22));                      /* LDP, STP, LDNP, STNP */
    case 7: return a64_register_access(word);
    default: return OTHER;
    }
}

/* "Advanced SIMD three same", "three same (FP16)", "three same extra", "three different" and their scalar forms. */
static inline unsigned a64_three_registers(uint32_t word, int scalar) {
    uint32_t u = a64_bits(word, 29, 29), size = a64_bits(word, 23, 22);
    if (a64_bits(word, 21, 21)) {
        uint32_t same = a64_bits(word, 15, 11), different = a64_bits(word, 15, 12);
        if (a64_bits(word, 10, 10)) {
            if (scalar) return 0;
            if (same == 0x12) return MULTIPLY_ADD;                                  /* MLA, MLS */
            if (same == 0x19 && !u) return MULTIPLY_ADD;                            /* FMLA, FMLS */
            return (same == 0x1d && !u) || (same == 0x19 && u) ? MULTIPLY_ADD : 0;  /* FMLAL, FMLSL; their 2 */
        }
        if (a64_bits(word, 11, 11)) return 0;
        if (!scalar && (different == 8 || different == 10)) return MULTIPLY_ADD;    /* SMLAL, UMLAL, SMLSL, UMLSL */
        return !u && (different == 9 || different == 11) ? MULTIPLY_ADD : 0;        /* SQDMLAL, SQDMLSL */
    }
    if (!a64_bits(word, 10, 10)) return 0;
    if (!a64_bits(word, 15, 15))                                                    /* FP16 FMLA, FMLS */
        return !scalar && a64_bits(word, 22, 22) && a64_bits(word, 15, 11) == 1 && !u ? MULTIPLY_ADD : 0;
    uint32_t extra = a64_bits(word, 14, 11);
    if (u && extra < 2) return MULTIPLY_ADD;                                        /* SQRDMLAH, SQRDMLSH */
    if (scalar) return 0;
    if (extra == 2 && size == 2) return DOT_PRODUCT;                                /* SDOT, UDOT */
    if (!u && extra == 3 && size == 2) return DOT_PRODUCT;                          /* USDOT */
    if ((extra == 4 || (extra == 5 && !u)) && size == 2) return DOT_PRODUCT;        /* SMMLA, UMMLA, USMMLA */
    if (u && (extra & 12) == 8) return MULTIPLY_ADD;                                /* FCMLA */
    if (u && extra == 13 && size == 1) return DOT_PRODUCT;                          /* BFMMLA */
    if (u && extra == 15) return size == 3 ? MULTIPLY_ADD : size == 1 ? DOT_PRODUCT : 0; /* BFMLALB, BFMLALT; BFDOT */
    return 0;
}

/* "Advanced SIMD vector x indexed element" and "scalar x indexed element". */
static inline unsigned a64_by_element(uint32_t word, int scalar) {
    uint32_t u = a64_bits(word, 29, 29), size = a64_bits(word, 23, 22), opcode = a64_bits(word, 15, 12);
    if (u) {
        if (opcode == 13 || opcode == 15) return MULTIPLY_ADD;                      /* SQRDMLAH, SQRDMLSH */
        if (scalar) return 0;
    } else {
        if (opcode == 1 || opcode == 5 || opcode == 3 || opcode == 7) return MULTIPLY_ADD; /* FMLA, FMLS; SQDMLAL, SQDMLSL */
        if (scalar) return 0;
    }
    if (opcode == 2 || opcode == 6) return MULTIPLY_ADD;                            /* SMLAL, UMLAL, SMLSL, UMLSL */
    if (opcode == 14 && size == 2) return DOT_PRODUCT;                              /* SDOT, UDOT */
    if (opcode == 15) return size == 3 ? MULTIPLY_ADD : DOT_PRODUCT;                /* BFMLALB, BFMLALT; SUDOT, USDOT, BFDOT */
    if (!u) return (opcode == 0 || opcode == 4) && size == 2 ? MULTIPLY_ADD : 0;    /* FMLAL, FMLSL */
    if (opcode == 0 || opcode == 4) return MULTIPLY_ADD;                            /* MLA, MLS */
    if ((opcode == 8 || opcode == 12) && size == 2) return MULTIPLY_ADD;            /* FMLAL2, FMLSL2 */
    return (opcode & 9) == 1 && (size == 1 || size == 2) ? MULTIPLY_ADD : 0;        /* FCMLA */
}

static inline unsigned a64_simd_float(uint32_t word) {
    uint32_t top = a64_bits(word, 28, 24);
    int scalar = a64_bits(word, 28, 28);
    if (scalar && !a64_bits(word, 30, 30))
        return SCALAR_FLOAT | (top == 0x1f ? MULTIPLY_ADD : 0);                     /* FMADD, FMSUB, FNMADD, FNMSUB */
    if (a64_bits(word, 31, 31)) return SIMD;                                        /* SHA512, SHA3, SM3, SM4 */
    if ((top & 15) == 14) return SIMD | a64_three_registers(word, scalar);
    return SIMD | (a64_bits(word, 10, 10) ? 0 : a64_by_element(word, scalar));
}

static inline unsigned a64_branch_or_system(uint32_t word) {
    switch (a64_bits(word, 30, 29)) {
    case 0: case 1: return BRANCH;                                                  /* B, BL; CBZ, CBNZ, TBZ, TBNZ */
    case 2:
        if (!a64_bits(word, 31, 31)) return a64_bits(word, 25, 24) ? OTHER : BRANCH; /* B.cond */
        return a64_bits(word, 25, 25) ? BRANCH : OTHER;                             /* BR, BLR, RET; else system */
    default: return OTHER;
    }
}

/* The classes of a word, as a sum of the names above. Exactly one of these holds for each word: SIMD, SCALAR_FLOAT, LOAD
 * or STORE (or both), BRANCH, INTEGER, OTHER. */
static inline unsigned a64_classes(uint32_t word) {
    uint32_t op0 = a64_bits(word, 28, 25);
    if ((op0 & 5) == 4) return a64_load_store(word);
    if ((op0 & 14) == 10) return a64_branch_or_system(word);
    if ((op0 & 7) == 7) return a64_simd_float(word);
    if ((op0 & 14) == 8 || (op0 & 7) == 5) return INTEGER;
    return OTHER;
}
#endif
