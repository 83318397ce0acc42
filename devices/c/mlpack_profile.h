/* Counting rows and reporting the counts, for devices without Python. What the format is: docs/profile-format.md.
 *
 * The tables of a spec are a header that mlpack_edge.profiles.c_header writes. A program includes it, gives the memory, and calls
 * mlpack_start, mlpack_count for every row, and mlpack_encode at the end of a window. Nothing is allocated, and nothing is kept
 * but in what the program gave. Not safe to call from two threads for one profile.
 *
 *   #include "model_spec.h"                           c_header(spec, digest, "model") writes it
 *   static uint32_t counts[MODEL_COUNTERS];
 *   static int64_t sums[MODEL_SUMS];
 *   static mlpack_profile profile;
 *   mlpack_start(&profile, &model_spec, counts, sums);
 *   mlpack_value row[2] = {{MLPACK_NUMBER, {.number = 21.5}}, {MLPACK_TEXT, {.text = "auto"}}};
 *   mlpack_count(&profile, row, NULL, 0.0, MLPACK_NOT_TIMED, MLPACK_NOT_RUN);
 *   size_t size = mlpack_encode(&profile, &(mlpack_window){device, "", 1, start, end}, buffer, sizeof buffer);
 */
#ifndef MLPACK_PROFILE_H
#define MLPACK_PROFILE_H

#include <stddef.h>
#include <stdint.h>

enum { MLPACK_NUMERIC, MLPACK_CATEGORICAL, MLPACK_PRESENCE };

/* Cells of the texts of a vocabulary (sorted by strcmp), and of the same texts where a number would be looked up under them. */
typedef struct {
  const char *text;
  uint16_t cell;
} mlpack_text_cell;

typedef struct {
  double number;
  uint16_t cell;
} mlpack_number_cell;

typedef struct {
  int64_t number;
  uint16_t cell;
} mlpack_integer_cell;

typedef struct {
  uint8_t kind;
  uint16_t size;      /* counters of the feature */
  uint32_t start;     /* the first of them */
  uint16_t sum;       /* MLPACK_NUMERIC: which of the sums */
  uint16_t n_edges;
  const double *edges;
  double centre;
  double inverse_step;
  uint16_t n_texts;   /* MLPACK_CATEGORICAL */
  uint16_t n_numbers;
  uint16_t n_integers;
  const mlpack_text_cell *texts;
  const mlpack_number_cell *numbers;
  const mlpack_integer_cell *integers;
} mlpack_feature;

typedef struct {
  uint8_t digest[16];
  uint8_t model[16];
  const mlpack_feature *features; /* the inputs, then the outputs */
  uint16_t n_inputs;
  uint16_t n_outputs;
  uint16_t n_sums;
  uint8_t confidence; /* 1 for classifiers */
  uint32_t n_counters;
  const uint32_t *shares; /* n_counters */
} mlpack_spec;

typedef struct {
  const mlpack_spec *spec;
  uint32_t *counts; /* n_counters */
  int64_t *sums;    /* n_sums */
  uint32_t rows;
  uint32_t predictions;
  uint32_t timed;
} mlpack_profile;

/* A value of a row. MLPACK_OTHER: something that is neither a number nor a text. */
enum { MLPACK_MISSING, MLPACK_NUMBER, MLPACK_INTEGER, MLPACK_TRUTH, MLPACK_TEXT, MLPACK_OTHER };

typedef struct {
  int kind;
  union {
    double number;
    int64_t integer;  /* MLPACK_INTEGER, and MLPACK_TRUTH: 0 or another */
    const char *text; /* UTF-8, ends with a zero */
  } as;
} mlpack_value;

/* How a row ended. */
enum { MLPACK_OK, MLPACK_NOT_RUN, MLPACK_REFUSED, MLPACK_FAILED };

#define MLPACK_NOT_TIMED UINT64_MAX

/* What was counted. device: 16 bytes, or NULL for none. cohort: 0 to 32 of a-z 0-9 . _ -. start, end: seconds since 1970. */
typedef struct {
  const uint8_t *device;
  const char *cohort;
  uint64_t sequence;
  uint64_t start;
  uint64_t end;
} mlpack_window;

/* Begin a window: all counters are zero. counts has spec->n_counters, sums spec->n_sums elements (NULL where that is 0). */
void mlpack_start(mlpack_profile *profile, const mlpack_spec *spec, uint32_t *counts, int64_t *sums);

/* The largest of n probabilities, as a row's confidence; of one alone, p, the larger of p and 1 - p. */
double mlpack_confidence(const double *probabilities, size_t n);

/* Count a row: n_inputs values, and where outcome is MLPACK_OK n_outputs more and the confidence (which others than
 * classifiers do not count). nanoseconds: of the call, or MLPACK_NOT_TIMED. Returns 1; or 0, with nothing counted, for an unknown
 * outcome, outputs that are not there, or a profile of 2**32 - 1 rows. */
int mlpack_count(mlpack_profile *profile, const mlpack_value *inputs, const mlpack_value *outputs, double confidence,
                 uint64_t nanoseconds, int outcome);

/* Write the report to out. Returns its bytes; where that is more than size, out holds no report (out may be NULL where size is
 * 0). Returns 0 for a window that no reader would take. */
size_t mlpack_encode(const mlpack_profile *profile, const mlpack_window *window, uint8_t *out, size_t size);

#endif
