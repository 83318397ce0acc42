/* Counts the rows on standard input and writes the report in hexadecimal: what a device would do, for the tests.
 *
 * A row is a line "R outcome nanoseconds|- n p1 ... pn", then a line for each input and, where the outcome is 0, for each output:
 * "M" missing, "D bits" a double, "I number" an integer, "B 0|1", "T hex" a text, "O" another. The window is the last line:
 * "W device|- cohort|! sequence start end" (! for none). Built with a header `spec.h` of the name "model". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spec.h"

static uint32_t counts[MODEL_COUNTERS];
static int64_t sums[MODEL_SUMS];
static uint8_t out[1 << 20];
static char words[64][512];

static uint64_t bits_of_hex(const char *hex) { return strtoull(hex, NULL, 16); }

static void bytes_of_hex(const char *hex, char *bytes) {
  size_t i, n = strlen(hex) / 2;
  unsigned byte;
  for (i = 0; i < n; i++) {
    sscanf(hex + 2 * i, "%2x", &byte);
    bytes[i] = (char)byte;
  }
  bytes[n] = 0;
}

static void read_value(mlpack_value *value, char *text) {
  char line[1024], kind;
  uint64_t bits;
  if (!fgets(line, sizeof line, stdin)) exit(2);
  line[strcspn(line, "\n")] = 0;
  kind = line[0];
  value->kind = kind == 'M'   ? MLPACK_MISSING
                : kind == 'D' ? MLPACK_NUMBER
                : kind == 'I' ? MLPACK_INTEGER
                : kind == 'B' ? MLPACK_TRUTH
                : kind == 'T' ? MLPACK_TEXT
                              : MLPACK_OTHER;
  value->as.integer = 0;
  if (kind == 'D') {
    bits = bits_of_hex(line + 2);
    memcpy(&value->as.number, &bits, sizeof bits);
  } else if (kind == 'I' || kind == 'B') {
    value->as.integer = strtoll(line + 2, NULL, 10);
  } else if (kind == 'T') {
    bytes_of_hex(line + 2, text);
    value->as.text = text;
  }
}

int main(void) {
  static mlpack_value inputs[128], outputs[8];
  double probabilities[16];
  char line[1024], device_hex[64], cohort[64], device[33];
  mlpack_profile profile;
  mlpack_window window;
  size_t size, measured, i;
  mlpack_start(&profile, &model_spec, counts, model_spec.n_sums ? sums : NULL);
  while (fgets(line, sizeof line, stdin) && line[0] == 'R') {
    char *at = strtok(line, " \n");
    int outcome = atoi(strtok(NULL, " \n")), n, j;
    at = strtok(NULL, " \n");
    uint64_t nanoseconds = at[0] == '-' ? MLPACK_NOT_TIMED : strtoull(at, NULL, 10);
    n = atoi(strtok(NULL, " \n"));
    for (j = 0; j < n; j++) {
      uint64_t bits = bits_of_hex(strtok(NULL, " \n"));
      memcpy(probabilities + j, &bits, sizeof bits);
    }
    for (j = 0; j < model_spec.n_inputs; j++) read_value(inputs + j, words[j % 64]);
    if (outcome == 0)
      for (j = 0; j < model_spec.n_outputs; j++) read_value(outputs + j, words[(model_spec.n_inputs + j) % 64]);
    if (!mlpack_count(&profile, inputs, outcome == 0 ? outputs : NULL, mlpack_confidence(probabilities, (size_t)n), nanoseconds,
                      outcome))
      return 3;
  }
  window.sequence = 0;
  sscanf(line, "W %63s %63s %llu %llu %llu", device_hex, cohort, (unsigned long long *)&window.sequence,
         (unsigned long long *)&window.start, (unsigned long long *)&window.end);
  bytes_of_hex(device_hex, device);
  window.device = device_hex[0] == '-' ? NULL : (const uint8_t *)device;
  window.cohort = cohort[0] == '!' ? "" : cohort;
  measured = mlpack_encode(&profile, &window, NULL, 0);
  if (measured > 10 && mlpack_encode(&profile, &window, out, measured - 1) != measured) return 4;
  size = mlpack_encode(&profile, &window, out, measured);
  if (size != measured) return 5;
  for (i = 0; i < size; i++) printf("%02x", out[i]);
  printf("\n");
  return 0;
}
