/* A QEMU plugin that counts an AArch64 guest's instructions by class, between marks that the guest makes.
 *
 * The guest marks the begin of a region with close(-7001) and its end with close(-7002): both fail harmlessly with EBADF,
 * under QEMU and elsewhere. Argument: out=FILE; a line is appended for each region:
 *     region total=123 simd=45 ...
 * and `fault WHAT` where marks do not pair.
 *
 * Counters are raised once for each translated block that runs; a system call ends a block, so the marks are exact. They
 * are plain memory that all threads raise without a lock: exact for one busy thread. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "a64_classes.h"
#include "qemu_plugin_api.h"

#define EXPORT __attribute__((visibility("default")))
enum { CLOSE = 57, BEGIN = -7001, END = -7002 }; /* the number of close(2) in AArch64's table of system calls */

EXPORT int qemu_plugin_version = 1;

static const char *const names[A64_CLASSES] = {
    "simd", "scalar_float", "multiply_add", "dot_product", "loads", "stores", "vector_loads", "vector_stores", "branches",
    "integer", "other",
};
enum { TOTAL = A64_CLASSES, COUNTERS };

static uint64_t counters[COUNTERS], at_begin[COUNTERS];
static int output = -1, inside;

static uint32_t word_of(const struct qemu_plugin_insn *instruction) {
    uint32_t word;
    memcpy(&word, qemu_plugin_insn_data(instruction), sizeof word);
    return word;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
    uint64_t found[COUNTERS] = {0};
    size_t length = qemu_plugin_tb_n_insns(block);
    for (size_t i = 0; i < length; i++) {
        unsigned classes = a64_classes(word_of(qemu_plugin_tb_get_insn(block, i)));
        for (int k = 0; k < A64_CLASSES; k++) found[k] += (classes >> k) & 1;
    }
    found[TOTAL] = length;
    for (int k = 0; k < COUNTERS; k++)
        if (found[k]) qemu_plugin_register_vcpu_tb_exec_inline(block, QEMU_PLUGIN_INLINE_ADD_U64, &counters[k], found[k]);
}

/* One write(2) a line: lines of several processes that append to one file do not mix. */
static void say(const char *text) {
    if (write(output, text, strlen(text)) < 0) _exit(74);
}

static void system_call(
    qemu_plugin_id_t id, unsigned int vcpu, int64_t number, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5,
    uint64_t a6, uint64_t a7, uint64_t a8) {
    if (number != CLOSE || ((int)a1 != BEGIN && (int)a1 != END)) return;
    if (((int)a1 == BEGIN) == inside) {
        say(inside ? "fault a region begins inside another\n" : "fault a region ends that did not begin\n");
        return;
    }
    inside = !inside;
    if (inside) {
        memcpy(at_begin, counters, sizeof counters);
        return;
    }
    char line[1024];
    int used = snprintf(line, sizeof line, "region total=%llu", (unsigned long long)(counters[TOTAL] - at_begin[TOTAL]));
    for (int k = 0; k < A64_CLASSES; k++)
        used += snprintf(line + used, sizeof line - used, " %s=%llu", names[k], (unsigned long long)(counters[k] - at_begin[k]));
    snprintf(line + used, sizeof line - used, "\n");
    say(line);
}

static void finished(qemu_plugin_id_t id, void *nothing) {
    if (inside) say("fault the guest ended inside a region\n");
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv) {
    if (strcmp(info->target_name, "aarch64") != 0) {
        fprintf(stderr, "error: instructions of %s are not counted\n", info->target_name);
        return 1;
    }
    for (int i = 0; i < argc; i++)
        if (strncmp(argv[i], "out=", 4) == 0) output = open(argv[i] + 4, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (output < 0) {
        perror("error: out=FILE cannot be written");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, system_call);
    qemu_plugin_register_atexit_cb(id, finished, NULL);
    return 0;
}
