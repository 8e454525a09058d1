/*
 * Cases of the C programs that test cluster.h: CASE(name) { … } is one, run as `program name` under
 * with_store, which gives it a store of 12 MiB, 64 counters, 8 participants, 4 striped counters.
 */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cluster.h>

void add_case(const char* name, void (*run)(void));

#define CASE(name)                                              \
    static void case_##name(void);                              \
    __attribute__((constructor)) static void add_##name(void) { \
        add_case(#name, case_##name);                           \
    }                                                           \
    static void case_##name(void)

#define CHECK(condition)                                                              \
    do {                                                                              \
        if (!(condition)) {                                                           \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                                  \
        }                                                                             \
    } while (0)

#define CHECK_EQ(left, right)                                                                     \
    do {                                                                                          \
        const long long left_ = (long long)(left), right_ = (long long)(right);                   \
        if (left_ != right_) {                                                                    \
            fprintf(stderr, "%s:%d: %s is %lld, not %s = %lld (%s)\n", __FILE__, __LINE__, #left, \
                    left_, #right, right_, left_ < 0 ? cluster_error_text((int)left_) : "");      \
            exit(1);                                                                              \
        }                                                                                         \
    } while (0)

/* The store of this process; the case ends when there is none. */
cluster_store* store(void);
cluster_counter* counter(const char* name);
cluster_counter* striped(const char* name);

/* With text for key and value. */
int set(const char* key, const char* value);
/* "error N" instead of a value where that fails. */
const char* get(const char* key);

/* What CLUSTER_STORE says. */
typedef struct {
    int fd;
    unsigned long long inode, generation;
} address;
address inherited(void);
void say_address(address what);

/* Runs in a forked child and returns its exit code, or minus the signal that ended it. */
int in_child(void (*run)(void));

#endif
