/* See mlpack_profile.h. C99, string.h alone; what it counts and writes is what mlpack_edge.profiles counts and writes, to the
 * bit, which takes doubles that are computed as doubles. */
#include "mlpack_profile.h"

#include <float.h>
#include <string.h>

#if defined(__FAST_MATH__) || (defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 1)
#error "doubles must be computed as doubles: no -ffast-math, and on x87 -msse2 -mfpmath=sse"
#endif

#define CONFIDENCE_CELLS 20u
#define LATENCY_FIRST 10u
#define LATENCY_LAST 37u
#define LATENCY_CELLS (2u * (LATENCY_LAST - LATENCY_FIRST) + 2u)
#define OUTCOMES 4u
#define PLAIN 32u
#define LIMIT ((uint64_t)1 << 48)
#define LONGEST ((size_t)1 << 20)
#define DIGEST 16u

/* ---- counting ---- */

void mlpack_start(mlpack_profile *profile, const mlpack_spec *spec, uint32_t *counts, int64_t *sums) {
  memset(profile, 0, sizeof *profile);
  profile->spec = spec;
  profile->counts = counts;
  profile->sums = sums;
  memset(counts, 0, spec->n_counters * sizeof *counts);
  if (spec->n_sums) memset(sums, 0, spec->n_sums * sizeof *sums);
}

double mlpack_confidence(const double *probabilities, size_t n) {
  double largest = 0.0;
  size_t i;
  for (i = 0; i < n; i++)
    if (probabilities[i] > largest) largest = probabilities[i]; /* NaN is not */
  if (n == 1 && 1.0 - probabilities[0] > largest) largest = 1.0 - probabilities[0];
  return largest;
}

/* How many edges are at or below x. */
static uint32_t edges_below(const double *edges, uint32_t n, double x) {
  uint32_t low = 0, high = n;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (x < edges[middle])
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

static void count_number(mlpack_profile *profile, const mlpack_feature *feature, const mlpack_value *value) {
  uint32_t *counts = profile->counts + feature->start, top = feature->n_edges, cell;
  double x, steps;
  int64_t whole;
  switch (value->kind) {
    case MLPACK_MISSING: counts[top + 1]++; return;
    case MLPACK_NUMBER: x = value->as.number; break;
    case MLPACK_INTEGER: x = (double)value->as.integer; break;
    case MLPACK_TRUTH: x = value->as.integer != 0; break;
    default: counts[top + 2]++; return;
  }
  if (x != x) {
    counts[top + 1]++;
    return;
  }
  cell = edges_below(feature->edges, top, x);
  counts[cell]++;
  if (cell == 0 || cell == top) return;
  steps = (x - feature->centre) * feature->inverse_step; /* below 2**31: the header was made so */
  whole = (int64_t)steps;
  if ((double)whole > steps) whole--;
  profile->sums[feature->sum] += whole;
}

static uint32_t text_cell(const mlpack_feature *feature, const char *text) {
  uint32_t low = 0, high = feature->n_texts;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    int order = strcmp(text, feature->texts[middle].text);
    if (order == 0) return feature->texts[middle].cell;
    if (order < 0)
      high = middle;
    else
      low = middle + 1;
  }
  return feature->size - 2u;
}

static uint32_t number_cell(const mlpack_feature *feature, double x) {
  uint32_t low = 0, high = feature->n_numbers;
  if (x > DBL_MAX) return text_cell(feature, "inf");
  if (x < -DBL_MAX) return text_cell(feature, "-inf");
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (x == feature->numbers[middle].number) return feature->numbers[middle].cell;
    if (x < feature->numbers[middle].number)
      high = middle;
    else
      low = middle + 1;
  }
  return feature->size - 2u;
}

static uint32_t integer_cell(const mlpack_feature *feature, int64_t x) {
  uint32_t low = 0, high = feature->n_integers;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (x == feature->integers[middle].number) return feature->integers[middle].cell;
    if (x < feature->integers[middle].number)
      high = middle;
    else
      low = middle + 1;
  }
  return feature->size - 2u;
}

static int is_missing(const mlpack_value *value) {
  return value->kind == MLPACK_MISSING || (value->kind == MLPACK_NUMBER && value->as.number != value->as.number);
}

static void count_category(mlpack_profile *profile, const mlpack_feature *feature, const mlpack_value *value) {
  uint32_t cell = feature->size - 2u;
  if (is_missing(value))
    cell = feature->size - 1u;
  else if (value->kind == MLPACK_TEXT)
    cell = text_cell(feature, value->as.text);
  else if (value->kind == MLPACK_NUMBER)
    cell = number_cell(feature, value->as.number);
  else if (value->kind == MLPACK_INTEGER)
    cell = integer_cell(feature, value->as.integer);
  else if (value->kind == MLPACK_TRUTH)
    cell = text_cell(feature, value->as.integer ? "true" : "false");
  profile->counts[feature->start + cell]++;
}

static void count_values(mlpack_profile *profile, const mlpack_feature *features, uint32_t n, const mlpack_value *values) {
  uint32_t i;
  for (i = 0; i < n; i++) {
    const mlpack_feature *feature = features + i;
    if (feature->kind == MLPACK_NUMERIC)
      count_number(profile, feature, values + i);
    else if (feature->kind == MLPACK_CATEGORICAL)
      count_category(profile, feature, values + i);
    else
      profile->counts[feature->start + (uint32_t)is_missing(values + i)]++;
  }
}

static uint32_t latency_cell(uint64_t nanoseconds) {
  uint32_t octave = 0;
  if (nanoseconds >> LATENCY_LAST) return LATENCY_CELLS - 1u;
  while (nanoseconds >> (octave + 1u)) octave++;
  if (octave < LATENCY_FIRST) return 0;
  return 1u + 2u * (octave - LATENCY_FIRST) + (uint32_t)(nanoseconds >> (octave - 1u) & 1u);
}

static uint32_t confidence_cell(double confidence) {
  if (!(confidence > 0)) return 0;
  return confidence >= 1 ? CONFIDENCE_CELLS - 1u : (uint32_t)(confidence * CONFIDENCE_CELLS);
}

int mlpack_count(mlpack_profile *profile, const mlpack_value *inputs, const mlpack_value *outputs, double confidence,
                 uint64_t nanoseconds, int outcome) {
  const mlpack_spec *spec = profile->spec;
  uint32_t outcomes = spec->n_counters - OUTCOMES, latencies = outcomes - LATENCY_CELLS;
  if (outcome < MLPACK_OK || outcome > MLPACK_FAILED || profile->rows == UINT32_MAX) return 0;
  if ((spec->n_inputs && !inputs) || (outcome == MLPACK_OK && spec->n_outputs && !outputs)) return 0;
  count_values(profile, spec->features, spec->n_inputs, inputs);
  profile->rows++;
  profile->counts[outcomes + (uint32_t)outcome]++;
  if (nanoseconds != MLPACK_NOT_TIMED) {
    profile->counts[latencies + latency_cell(nanoseconds)]++;
    profile->timed++;
  }
  if (outcome != MLPACK_OK) return 1;
  count_values(profile, spec->features + spec->n_inputs, spec->n_outputs, outputs);
  profile->predictions++;
  if (spec->confidence) profile->counts[latencies - CONFIDENCE_CELLS + confidence_cell(confidence)]++;
  return 1;
}

/* ---- groups of counters ---- */

typedef struct {
  const uint32_t *counts;
  const uint32_t *shares;
  uint32_t size;
  uint32_t total;
} group;

static uint32_t groups(const mlpack_spec *spec) { return (uint32_t)spec->n_inputs + spec->n_outputs + spec->confidence + 2u; }

static group group_at(const mlpack_profile *profile, uint32_t place) {
  const mlpack_spec *spec = profile->spec;
  uint32_t n_features = (uint32_t)spec->n_inputs + spec->n_outputs;
  uint32_t outcomes = spec->n_counters - OUTCOMES, latencies = outcomes - LATENCY_CELLS, start;
  group found;
  if (place < n_features) {
    start = spec->features[place].start;
    found.size = spec->features[place].size;
    found.total = place < spec->n_inputs ? profile->rows : profile->predictions;
  } else if (place == n_features && spec->confidence) {
    start = latencies - CONFIDENCE_CELLS;
    found.size = CONFIDENCE_CELLS;
    found.total = profile->predictions;
  } else if (place == n_features + spec->confidence) {
    start = latencies;
    found.size = LATENCY_CELLS;
    found.total = profile->timed;
  } else {
    start = outcomes;
    found.size = OUTCOMES;
    found.total = profile->rows;
  }
  found.counts = profile->counts + start;
  found.shares = spec->shares + start;
  return found;
}

/* What is written of a counter under a parameter: its zigzag code, and into how many low bits and zeros it is parted. */
static uint64_t code_of(const group *of, uint32_t cell, uint32_t parameter, uint32_t *low_bits) {
  uint64_t expected = 0, half = 0;
  int64_t off;
  if (parameter < PLAIN) {
    expected = (uint64_t)of->total * of->shares[cell] >> 16;
    while (expected >> half) half++;
    half >>= 1;
  }
  *low_bits = (uint32_t)half + parameter % PLAIN;
  off = (int64_t)of->counts[cell] - (int64_t)expected;
  return off < 0 ? ~((uint64_t)off << 1) : (uint64_t)off << 1;
}

/* Bits of a group: of the quotients, a one behind each, and of the remainders. */
static void bits_of(const group *of, uint32_t parameter, uint64_t *unary, uint64_t *low) {
  uint32_t cell, r;
  *unary = *low = 0;
  for (cell = 0; cell < of->size; cell++) {
    uint64_t code = code_of(of, cell, parameter, &r);
    *unary += (code >> r) + 1u;
    *low += r;
  }
}

/* The first of a family's 32 parameters that takes the fewest bits: what one more bit of remainder gains only shrinks. */
static uint32_t first_best(const group *of, uint32_t family, uint64_t *fewest) {
  uint32_t parameter = family;
  uint64_t unary, low;
  bits_of(of, parameter, &unary, &low);
  *fewest = unary + low;
  while (parameter + 1 < family + PLAIN) {
    bits_of(of, parameter + 1, &unary, &low);
    if (unary + low >= *fewest) break;
    *fewest = unary + low;
    parameter++;
  }
  return parameter;
}

static uint32_t best_parameter(const group *of) {
  uint64_t near_bits, plain_bits;
  uint32_t near = first_best(of, 0, &near_bits), plain = first_best(of, PLAIN, &plain_bits);
  return near_bits <= plain_bits ? near : plain;
}

/* ---- writing ---- */

typedef struct {
  uint8_t *out;
  size_t size;
  size_t at;       /* bytes written, or that would have been */
  uint32_t bits;   /* of a byte not yet full */
  uint32_t n_bits;
} writer;

static void put(writer *to, uint32_t byte) {
  if (to->at < to->size) to->out[to->at] = (uint8_t)byte;
  to->at++;
}

static void put_big_endian(writer *to, uint64_t number, uint32_t n) {
  while (n--) put(to, (uint32_t)(number >> (8u * n) & 0xffu));
}

static void put_head(writer *to, uint32_t major, uint64_t argument) {
  if (argument < 24) {
    put(to, major << 5 | (uint32_t)argument);
    return;
  }
  if (argument < 1u << 8) {
    put(to, major << 5 | 24u);
    put_big_endian(to, argument, 1);
  } else if (argument < (uint32_t)1 << 16) {
    put(to, major << 5 | 25u);
    put_big_endian(to, argument, 2);
  } else if (argument <= UINT32_MAX) {
    put(to, major << 5 | 26u);
    put_big_endian(to, argument, 4);
  } else {
    put(to, major << 5 | 27u);
    put_big_endian(to, argument, 8);
  }
}

static void put_string(writer *to, uint32_t major, const uint8_t *content, size_t n) {
  size_t i;
  put_head(to, major, n);
  for (i = 0; i < n; i++) put(to, content[i]);
}

static void put_bit(writer *to, uint32_t bit) {
  to->bits = to->bits << 1 | bit;
  if (++to->n_bits == 8) {
    put(to, to->bits & 0xffu);
    to->n_bits = 0;
  }
}

static void fill_byte(writer *to) {
  while (to->n_bits) put_bit(to, 0);
}

static void put_sums(writer *to, const mlpack_profile *profile) {
  uint32_t i, n = profile->spec->n_sums, width = n ? 1 : 0;
  for (i = 0; i < n; i++) {
    int64_t sum = profile->sums[i];
    uint64_t beyond_sign = (uint64_t)(sum < 0 ? ~sum : sum);
    while (beyond_sign >> (8u * width - 1u)) width++;
  }
  put_head(to, 2, (uint64_t)n * width);
  for (i = 0; i < n; i++) put_big_endian(to, (uint64_t)profile->sums[i], width);
}

static void put_counters(writer *to, const mlpack_profile *profile) {
  uint32_t place, cell, r, bit, n = groups(profile->spec);
  uint64_t unary_bits = 0, low_bits = 0, unary, low;
  put_head(to, 2, n);
  for (place = 0; place < n; place++) {
    group of = group_at(profile, place);
    uint32_t parameter = best_parameter(&of);
    put(to, parameter);
    bits_of(&of, parameter, &unary, &low);
    unary_bits += unary;
    low_bits += low;
  }
  put_head(to, 2, (unary_bits + 7u) >> 3);
  for (place = 0; place < n; place++) {
    group of = group_at(profile, place);
    uint32_t parameter = best_parameter(&of);
    for (cell = 0; cell < of.size; cell++) {
      uint64_t code = code_of(&of, cell, parameter, &r), quotient = code >> r;
      while (quotient--) put_bit(to, 0);
      put_bit(to, 1);
    }
  }
  fill_byte(to);
  put_head(to, 2, (low_bits + 7u) >> 3);
  for (place = 0; place < n; place++) {
    group of = group_at(profile, place);
    uint32_t parameter = best_parameter(&of);
    for (cell = 0; cell < of.size; cell++) {
      uint64_t code = code_of(&of, cell, parameter, &r);
      for (bit = r; bit--;) put_bit(to, (uint32_t)(code >> bit & 1u));
    }
  }
  fill_byte(to);
}

/* CRC-32 of ISO 3309, as zlib's: reflected, polynomial 0xedb88320. */
static uint32_t crc32_of(const uint8_t *bytes, size_t n) {
  uint32_t crc = 0xffffffffu;
  size_t i;
  int bit;
  for (i = 0; i < n; i++) {
    crc ^= bytes[i];
    for (bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0xedb88320u & (0u - (crc & 1u)));
  }
  return ~crc;
}

static int cohort_is_right(const char *cohort) {
  size_t n = 0;
  for (; cohort[n]; n++) {
    char letter = cohort[n];
    int right = (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') || letter == '.' || letter == '_' ||
                letter == '-';
    if (!right || n == 32) return 0;
  }
  return 1;
}

size_t mlpack_encode(const mlpack_profile *profile, const mlpack_window *window, uint8_t *out, size_t size) {
  const mlpack_spec *spec = profile->spec;
  writer to;
  if (!cohort_is_right(window->cohort) || window->start > window->end || window->end >= LIMIT || window->sequence >= LIMIT)
    return 0;
  memset(&to, 0, sizeof to);
  to.out = out;
  to.size = size;
  put_head(&to, 4, 17);
  put_head(&to, 0, 1);
  put_string(&to, 2, spec->digest, DIGEST);
  put_string(&to, 2, spec->model, DIGEST);
  put_string(&to, 2, window->device, window->device ? DIGEST : 0);
  put_string(&to, 3, (const uint8_t *)window->cohort, strlen(window->cohort));
  put_head(&to, 0, window->sequence);
  put_head(&to, 0, window->start);
  put_head(&to, 0, window->end);
  put_head(&to, 0, profile->rows);
  put_head(&to, 0, profile->predictions);
  put_head(&to, 0, profile->timed);
  put_head(&to, 0, 0);
  put_sums(&to, profile);
  put_counters(&to, profile);
  put_head(&to, 2, 4);
  put_big_endian(&to, to.at <= size ? crc32_of(out, to.at) : 0, 4);
  return to.at <= LONGEST ? to.at : 0;
}
