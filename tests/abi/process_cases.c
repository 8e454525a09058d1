/* Threads, forks and deaths. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { kThreads = 6, kTimes = 20000 };

static uint64_t participants(void) {
    cluster_stats stats;
    CHECK_EQ(cluster_store_stats(store(), &stats, sizeof stats), 0);
    return stats.participants;
}

static void* add_everywhere(void* argument) {
    cluster_counter *exact = counter("exact"), *many = striped("many");
    for (int i = 0; i < kTimes; ++i) {
        CHECK_EQ(cluster_counter_add(exact, 1, NULL), 0);
        CHECK_EQ(cluster_counter_add(many, 1, NULL), 0);
        CHECK_EQ(cluster_table_incr(store(), "n", 1, 1, NULL), 0);
    }
    return argument;
}

static void check_totals(int64_t times) {
    int64_t number = 0;
    CHECK_EQ(cluster_table_incr(store(), "n", 1, 0, &number), 0);
    CHECK_EQ(number, times);
    CHECK_EQ(cluster_counter_get(counter("exact")), times);
    CHECK_EQ(cluster_counter_get(striped("many")), times);
}

CASE(threads) {
    store();
    pthread_t threads[kThreads];
    for (int i = 0; i < kThreads; ++i) {
        CHECK_EQ(pthread_create(&threads[i], NULL, add_everywhere, NULL), 0);
    }
    for (int i = 0; i < kThreads; ++i) pthread_join(threads[i], NULL);
    check_totals(kThreads * kTimes);
    /* Whoever has ended has given its place back; the last look took one for this thread. */
    CHECK_EQ(participants(), 1);
    cluster_store_leave(store());
    CHECK_EQ(participants(), 0);
}

static atomic_int joined, refused, may_end;

static void* join_and_wait(void* argument) {
    const int code = cluster_store_join(store());
    CHECK(code == 0 || code == -EUSERS);
    if (code != 0) {
        CHECK_EQ(cluster_table_set(store(), "k", 1, "v", 1, 0, NULL), -EUSERS);
        CHECK_EQ(cluster_counter_add(striped("many"), 1, NULL), -EUSERS);
        /* What needs no place goes on. */
        CHECK_EQ(cluster_counter_add(counter("exact"), 1, NULL), 0);
        CHECK(strcmp(get("k"), "there") == 0);
    }
    atomic_fetch_add(code == 0 ? &joined : &refused, 1);
    while (atomic_load(&may_end) == 0) sched_yield();
    return argument;
}

CASE(no_place_left) {
    CHECK_EQ(set("k", "there"), 0);
    counter("exact");
    striped("many");
    pthread_t threads[10];
    for (int i = 0; i < 10; ++i) {
        CHECK_EQ(pthread_create(&threads[i], NULL, join_and_wait, NULL), 0);
    }
    while (atomic_load(&joined) + atomic_load(&refused) < 10) sched_yield();
    CHECK_EQ(joined, 7);
    CHECK_EQ(refused, 3);
    CHECK_EQ(cluster_counter_get(counter("exact")), 3);
    atomic_store(&may_end, 1);
    for (int i = 0; i < 10; ++i) pthread_join(threads[i], NULL);
    CHECK_EQ(participants(), 1);
}

static void add_in_child(void) {
    add_everywhere(NULL);
}

CASE(forked_children_go_on) {
    add_everywhere(NULL);
    cluster_stripe stripe;
    CHECK_EQ(cluster_counter_stripe(striped("many"), &stripe), 0);
    pid_t children[3];
    for (int i = 0; i < 3; ++i) {
        children[i] = fork();
        if (children[i] != 0) continue;
        /* The parent's cell is the parent's. */
        CHECK_EQ(cluster_stripe_add(&stripe, 1), -ESTALE);
        add_in_child();
        /* Its own child is one more, and without anything that it might have to join for. */
        CHECK_EQ(in_child(add_in_child), 0);
        cluster_store_close(store());
        _exit(0);
    }
    add_everywhere(NULL);
    CHECK_EQ(cluster_stripe_add(&stripe, 0), 0);
    for (int i = 0; i < 3; ++i) {
        int status = 1;
        CHECK_EQ(waitpid(children[i], &status, 0), children[i]);
        CHECK_EQ(status, 0);
    }
    check_totals(8 * kTimes);
}

static void* write_until_told(void* argument) {
    while (atomic_load(&may_end) == 0) CHECK_EQ(set("busy", "value"), 0);
    return argument;
}

CASE(forks_while_other_threads_write) {
    pthread_t threads[2];
    CHECK_EQ(set("busy", ""), 0);
    for (int i = 0; i < 2; ++i) {
        CHECK_EQ(pthread_create(&threads[i], NULL, write_until_told, NULL), 0);
    }
    /* Wherever those threads are, nothing of theirs is missing in the child. */
    for (int i = 0; i < 100; ++i) {
        const pid_t pid = fork();
        if (pid == 0) {
            alarm(60);
            for (int k = 0; k < 20; ++k) CHECK_EQ(cluster_table_incr(store(), "n", 1, 1, NULL), 0);
            CHECK_EQ(set("busy", "child"), 0);
            _exit(0);
        }
        int status = 1;
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);
    }
    atomic_store(&may_end, 1);
    for (int i = 0; i < 2; ++i) pthread_join(threads[i], NULL);
    CHECK(strcmp(get("n"), "2000") == 0);
}

CASE(the_dead_keep_nothing) {
    CHECK_EQ(set("k", "v"), 0);
    int ready[2];
    CHECK_EQ(pipe(ready), 0);
    /* More deaths than places: their places are taken over. */
    for (int i = 0; i < 20; ++i) {
        const pid_t pid = fork();
        if (pid == 0) {
            cluster_counter* exact = counter("exact");
            CHECK_EQ(cluster_store_join(store()), 0);
            CHECK_EQ(write(ready[1], "!", 1), 1);
            for (;;) {
                CHECK_EQ(set("k", "child"), 0);
                CHECK_EQ(cluster_counter_add(exact, 1, NULL), 0);
            }
        }
        char byte;
        CHECK_EQ(read(ready[0], &byte, 1), 1);
        kill(pid, SIGKILL);
        int status = 0;
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK(WIFSIGNALED(status));
        CHECK_EQ(set("k", "parent"), 0);
    }
    CHECK(strcmp(get("k"), "parent") == 0);
    cluster_stats stats;
    CHECK_EQ(cluster_store_stats(store(), &stats, sizeof stats), 0);
    CHECK(stats.settled_participants >= 12);
    CHECK_EQ(stats.keys, 1);
}

static cluster_store* second;

static void* use_second(void* argument) {
    CHECK_EQ(cluster_table_set(second, "k", 1, "v", 1, 0, NULL), 0);
    atomic_fetch_add(&joined, 1);
    while (atomic_load(&may_end) == 0) sched_yield();
    return argument;
}

CASE(closed_while_another_thread_has_a_place) {
    pthread_t thread;
    CHECK_EQ(cluster_store_open(0, &second), 0);
    CHECK_EQ(pthread_create(&thread, NULL, use_second, NULL), 0);
    while (atomic_load(&joined) == 0) sched_yield();
    CHECK_EQ(participants(), 1);
    cluster_store_close(second);
    CHECK_EQ(participants(), 1);
    atomic_store(&may_end, 1);
    pthread_join(thread, NULL);
    CHECK_EQ(participants(), 0);
}

static pthread_key_t late_key;

static void change_late(void* times) {
    CHECK_EQ(cluster_table_incr(store(), "n", 1, 1, NULL), 0);
    const uintptr_t left = (uintptr_t)times - 1;
    if (left != 0) pthread_setspecific(late_key, (void*)left);
}

static void* end_late(void* argument) {
    CHECK_EQ(cluster_store_join(store()), 0);
    pthread_setspecific(late_key, (void*)(uintptr_t)2);
    return argument;
}

CASE(destructors_of_a_thread_may_change_the_store) {
    store();
    CHECK_EQ(pthread_key_create(&late_key, change_late), 0);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, end_late, NULL), 0);
    pthread_join(thread, NULL);
    CHECK(strcmp(get("n"), "2") == 0);
    CHECK_EQ(participants(), 0);
}

static void add_at_exit(void) {
    CHECK_EQ(cluster_table_incr(store(), "n", 1, 1, NULL), 0);
}

static void leave_by_exit(void) {
    CHECK_EQ(cluster_store_join(store()), 0);
    atexit(add_at_exit);
    exit(0);
}

CASE(functions_of_atexit_may_change_the_store) {
    CHECK_EQ(in_child(leave_by_exit), 0);
    CHECK(strcmp(get("n"), "1") == 0);
}
