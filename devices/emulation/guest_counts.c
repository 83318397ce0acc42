/* A QEMU plugin that counts an AArch64 guest's instructions by class, between marks that the guest makes.
 *
 * The guest marks the begin of a region with close(-7001) and its end with close(-7002): both fail harmlessly with EBADF,
 * under QEMU and elsewhere. Argument: out=FILE; a line is appended for each region:
 *     region total=123 simd=45 ...
 * and `fault WHAT` where marks do not pair.
 *
 * Only the thread that marks a region is counted in it: libraries keep threads of their own that wake when they like
 * (onnxruntime starts one on import). How often each translated block ran is counted, and multiplied with what is in the
 * block at the region's end; a system call ends a block, so the marks are exact. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
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

/* A translated block: how often the counted thread ran it in this region, and its instructions by class. QEMU may drop a
 * translation and make it anew: that is another block. */
struct block {
    uint64_t runs;
    uint16_t has[COUNTERS];
    struct block *next;
};
static struct block *blocks;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int output = -1;
enum { NOBODY = -1 };
static volatile int counted = NOBODY; /* the virtual processor, which is a thread here, that is in a region */

static uint32_t word_of(const struct qemu_plugin_insn *instruction) {
    uint32_t word;
    memcpy(&word, qemu_plugin_insn_data(instruction), sizeof word);
    return word;
}

static void ran(unsigned int vcpu, void *block) {
    if ((int)vcpu == counted) ((struct block *)block)->runs++;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *translation) {
    struct block *block = calloc(1, sizeof *block);
    if (!block) abort();
    size_t length = qemu_plugin_tb_n_insns(translation);
    for (size_t i = 0; i < length; i++) {
        unsigned classes = a64_classes(word_of(qemu_plugin_tb_get_insn(translation, i)));
        for (int k = 0; k < A64_CLASSES; k++) block->has[k] += (classes >> k) & 1;
    }
    block->has[TOTAL] = length;
    pthread_mutex_lock(&lock);
    block->next = blocks;
    blocks = block;
    pthread_mutex_unlock(&lock);
    qemu_plugin_register_vcpu_tb_exec_cb(translation, ran, QEMU_PLUGIN_CB_NO_REGS, block);
}

/* One write(2) a line: lines of several processes that append to one file do not mix. */
static void say(const char *text) {
    if (write(output, text, strlen(text)) < 0) _exit(74);
}

static void system_call(
    qemu_plugin_id_t id, unsigned int vcpu, int64_t number, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5,
    uint64_t a6, uint64_t a7, uint64_t a8) {
    if (number != CLOSE || ((int)a1 != BEGIN && (int)a1 != END)) return;
    if ((int)a1 == BEGIN) {
        if (counted != NOBODY) {
            say("fault a region begins inside another\n");
            return;
        }
        pthread_mutex_lock(&lock);
        for (struct block *block = blocks; block; block = block->next) block->runs = 0;
        pthread_mutex_unlock(&lock);
        counted = vcpu;
        return;
    }
    if (counted != (int)vcpu) {
        say("fault a region ends that did not begin in this thread\n");
        return;
    }
    counted = NOBODY;
    uint64_t sums[COUNTERS] = {0};
    pthread_mutex_lock(&lock);
    for (struct block *block = blocks; block; block = block->next)
        for (int k = 0; k < COUNTERS; k++) sums[k] += block->runs * block->has[k];
    pthread_mutex_unlock(&lock);
    char line[1024];
    int used = snprintf(line, sizeof line, "region total=%llu", (unsigned long long)sums[TOTAL]);
    for (int k = 0; k < A64_CLASSES; k++)
        used += snprintf(line + used, sizeof line - used, " %s=%llu", names[k], (unsigned long long)sums[k]);
    snprintf(line + used, sizeof line - used, "\n");
    say(line);
}

static void finished(qemu_plugin_id_t id, void *nothing) {
    if (counted != NOBODY) say("fault the guest ended inside a region\n");
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
