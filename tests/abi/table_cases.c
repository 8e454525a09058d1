/* The key-value table. */
#define _GNU_SOURCE
#include <poll.h>
#include <time.h>

#include "check.h"

static long long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

CASE(table_operations) {
    CHECK(strcmp(get("k"), "error -2") == 0);
    CHECK_EQ(cluster_table_replace(store(), "k", 1, "r", 1, 0, NULL), -ENOENT);
    CHECK_EQ(cluster_table_delete(store(), "k", 1), -ENOENT);
    CHECK_EQ(cluster_table_add(store(), "k", 1, "added", 5, 0, NULL), 0);
    CHECK_EQ(cluster_table_add(store(), "k", 1, "again", 5, 0, NULL), -EEXIST);
    CHECK(strcmp(get("k"), "added") == 0);
    CHECK_EQ(cluster_table_replace(store(), "k", 1, "replaced", 8, 0, NULL), 0);
    CHECK(strcmp(get("k"), "replaced") == 0);
    CHECK_EQ(set("k", ""), 0);
    CHECK(strcmp(get("k"), "") == 0);
    CHECK_EQ(cluster_table_delete(store(), "k", 1), 0);
    CHECK(strcmp(get("k"), "error -2") == 0);
}

CASE(table_keys_and_values_are_bytes) {
    const char key[] = {0, 1, '\xff', 0}, value[] = {0, '\xfe', 0};
    CHECK_EQ(cluster_table_set(store(), key, 4, value, 3, 0, NULL), 0);
    CHECK_EQ(cluster_table_get(store(), key, 3, NULL, 0, NULL), -ENOENT);
    char buffer[8];
    cluster_value found;
    CHECK_EQ(cluster_table_get(store(), key, 4, buffer, sizeof buffer, &found), 0);
    CHECK_EQ(found.size, 3);
    CHECK(memcmp(buffer, value, 3) == 0);
}

CASE(table_buffers) {
    CHECK_EQ(set("k", "12345678"), 0);
    char buffer[8] = "........";
    cluster_value found;
    CHECK_EQ(cluster_table_get(store(), "k", 1, buffer, 3, &found), -ERANGE);
    CHECK_EQ(found.size, 8);
    CHECK(memcmp(buffer, "123.....", 8) == 0);
    CHECK_EQ(cluster_table_get(store(), "k", 1, NULL, 0, &found), 0);
    CHECK_EQ(found.size, 8);
    CHECK_EQ(cluster_table_get(store(), "k", 1, buffer, 8, NULL), 0);
    CHECK_EQ(cluster_table_getdel(store(), "k", 1, buffer, 7, &found), -ERANGE);
    CHECK_EQ(found.size, 8);
    CHECK_EQ(cluster_table_getdel(store(), "k", 1, buffer, 8, &found), 0);
    CHECK(memcmp(buffer, "12345678", 8) == 0);
    CHECK_EQ(cluster_table_getdel(store(), "k", 1, buffer, 8, &found), -ENOENT);
}

CASE(table_tokens) {
    uint64_t token = 0, other = 0;
    CHECK_EQ(cluster_table_cas(store(), "k", 1, "v", 1, 0, &token), -ENOENT);
    CHECK_EQ(cluster_table_set(store(), "k", 1, "one", 3, 0, &token), 0);
    cluster_value found;
    CHECK_EQ(cluster_table_get(store(), "k", 1, NULL, 0, &found), 0);
    CHECK(found.token == token && token != 0);
    other = token;
    CHECK_EQ(cluster_table_cas(store(), "k", 1, "two", 3, 0, &token), 0);
    CHECK(token != other);
    CHECK_EQ(cluster_table_cas(store(), "k", 1, "three", 5, 0, &other), -ESTALE);
    CHECK(strcmp(get("k"), "two") == 0);
    CHECK_EQ(cluster_table_cas(store(), "k", 1, "three", 5, 0, &token), 0);
}

CASE(table_limits) {
    char* large = calloc(1, CLUSTER_MAX_VALUE_BYTES + 4096);
    char* back = malloc(CLUSTER_MAX_VALUE_BYTES);
    memset(large, 'x', CLUSTER_MAX_VALUE_BYTES);
    CHECK_EQ(cluster_table_set(store(), "", 0, "v", 1, 0, NULL), -EINVAL);
    CHECK_EQ(cluster_table_get(store(), "", 0, NULL, 0, NULL), -EINVAL);
    CHECK_EQ(cluster_table_set(store(), large, 1025, "v", 1, 0, NULL), -ENAMETOOLONG);
    CHECK_EQ(cluster_table_get(store(), large, 1025, NULL, 0, NULL), -ENAMETOOLONG);
    CHECK_EQ(cluster_table_set(store(), large, 1024, large, CLUSTER_MAX_VALUE_BYTES, 0, NULL), 0);
    CHECK_EQ(cluster_table_set(store(), large, 1024, large, CLUSTER_MAX_VALUE_BYTES + 1, 0, NULL),
             -EFBIG);
    cluster_value found;
    CHECK_EQ(cluster_table_get(store(), large, 1024, back, CLUSTER_MAX_VALUE_BYTES, &found), 0);
    CHECK(memcmp(back, large, CLUSTER_MAX_VALUE_BYTES) == 0);
    free(large);
    free(back);
}

CASE(table_full) {
    char key[32], value[1000] = {0};
    int keys = 0, code = 0;
    while (code == 0) {
        snprintf(key, sizeof key, "key %d", keys);
        code = cluster_table_set(store(), key, strlen(key), value, sizeof value, 0, NULL);
        if (code == 0) ++keys;
        CHECK(keys < 12 * 1024);
    }
    CHECK_EQ(code, -ENOSPC);
    CHECK(keys > 4000);
    /* What is there can be read and removed, and then there is room again. */
    CHECK_EQ(cluster_table_get(store(), "key 7", 5, NULL, 0, NULL), 0);
    CHECK_EQ(cluster_table_delete(store(), "key 7", 5), 0);
    CHECK_EQ(cluster_table_set(store(), "key 7", 5, value, sizeof value, 0, NULL), 0);
    cluster_stats stats;
    CHECK_EQ(cluster_store_stats(store(), &stats, sizeof stats), 0);
    CHECK_EQ(stats.keys, keys);
}

CASE(table_increments) {
    int64_t number = 0;
    CHECK_EQ(cluster_table_incr(store(), "n", 1, 5, &number), 0);
    CHECK_EQ(number, 5);
    CHECK_EQ(cluster_table_incr(store(), "n", 1, -12, NULL), 0);
    CHECK(strcmp(get("n"), "-7") == 0);
    const char* wrong[] = {"", "x", "1x", " 1", "1.5", "99999999999999999999", "0x10", "+1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
        CHECK_EQ(set("t", wrong[i]), 0);
        CHECK_EQ(cluster_table_incr(store(), "t", 1, 1, &number), -EMEDIUMTYPE);
        CHECK(strcmp(get("t"), wrong[i]) == 0);
    }
    CHECK_EQ(set("n", "9223372036854775807"), 0);
    CHECK_EQ(cluster_table_incr(store(), "n", 1, 1, &number), -EOVERFLOW);
    CHECK(strcmp(get("n"), "9223372036854775807") == 0);
    CHECK_EQ(number, 5);
}

CASE(table_time_to_live) {
    const long long begin = now_ms();
    CHECK_EQ(cluster_table_set(store(), "long", 4, "v", 1, 3600 * 1000, NULL), 0);
    CHECK_EQ(cluster_table_set(store(), "ever", 4, "v", 1, INT64_MAX, NULL), 0);
    CHECK_EQ(cluster_table_set(store(), "short", 5, "7", 1, 200, NULL), 0);
    cluster_value found;
    CHECK_EQ(cluster_table_get(store(), "long", 4, NULL, 0, &found), 0);
    CHECK(found.ttl_ms > 3000 * 1000 && found.ttl_ms <= 3600 * 1000);
    CHECK_EQ(cluster_table_get(store(), "ever", 4, NULL, 0, &found), 0);
    CHECK_EQ(found.ttl_ms, 0);
    int code = 0;
    while (code == 0 && now_ms() < begin + 60 * 1000) {
        code = cluster_table_get(store(), "short", 5, NULL, 0, &found);
        CHECK(code != 0 || (found.ttl_ms > 0 && found.ttl_ms <= 210));
        poll(NULL, 0, 5);
    }
    CHECK_EQ(code, -ENOENT);
    CHECK(now_ms() - begin >= 180);
    /* What has expired is not there for anybody. */
    CHECK_EQ(cluster_table_replace(store(), "short", 5, "v", 1, 0, NULL), -ENOENT);
    CHECK_EQ(cluster_table_delete(store(), "short", 5), -ENOENT);
    int64_t number = 0;
    CHECK_EQ(cluster_table_incr(store(), "short", 5, 1, &number), 0);
    CHECK_EQ(number, 1);
}

CASE(table_iteration) {
    enum { kKeys = 3000 };
    static unsigned char seen[kKeys];
    char key[CLUSTER_MAX_KEY_BYTES], value[8];
    for (int i = 0; i < kKeys; ++i) {
        snprintf(key, sizeof key, "%d", i);
        CHECK_EQ(set(key, "value"), 0);
    }
    cluster_cursor cursor = {{0}};
    cluster_item item;
    int code = 0, rounds = 0;
    while ((code = cluster_table_next(store(), &cursor, key, sizeof key, value, sizeof value,
                                      &item)) == 1) {
        key[item.key_size] = '\0';
        if (strncmp(key, "new", 3) == 0) continue;
        CHECK_EQ(item.value.size, 5);
        CHECK(memcmp(value, "value", 5) == 0);
        ++seen[atoi(key)];
        /* Whoever changes other keys meanwhile does not disturb. */
        snprintf(key, sizeof key, "new%d", rounds++);
        CHECK_EQ(set(key, "x"), 0);
    }
    CHECK_EQ(code, 0);
    for (int i = 0; i < kKeys; ++i) CHECK_EQ(seen[i], 1);
    CHECK_EQ(cluster_table_next(store(), &cursor, key, 1023, NULL, 0, &item), -EINVAL);
}

CASE(statistics) {
    cluster_stats stats;
    CHECK_EQ(cluster_store_stats(store(), &stats, sizeof stats), 0);
    CHECK_EQ(stats.segment_bytes, 12 << 20);
    CHECK_EQ(stats.generation, inherited().generation);
    CHECK_EQ(stats.keys + stats.bytes + stats.counters + stats.participants, 0);
    CHECK_EQ(stats.counters_limit, 64);
    CHECK_EQ(stats.participants_limit, 8);
    CHECK_EQ(set("key", "value"), 0);
    counter("n");
    CHECK_EQ(cluster_store_stats(store(), &stats, sizeof stats), 0);
    CHECK_EQ(stats.keys, 1);
    CHECK_EQ(stats.bytes, 8);
    CHECK_EQ(stats.counters, 1);
    CHECK_EQ(stats.participants, 1);
    CHECK_EQ(stats.classes[0].block_bytes, 64);
    CHECK_EQ(stats.classes[0].used_blocks, 2);
    CHECK(stats.unassigned_bytes > 0 && stats.unassigned_bytes < stats.segment_bytes);
    /* A program that knows less of the struct gets no more than it knows. */
    cluster_stats less;
    memset(&less, 0xee, sizeof less);
    CHECK_EQ(cluster_store_stats(store(), &less, offsetof(cluster_stats, keys)), 0);
    CHECK_EQ(less.segment_bytes, 12 << 20);
    CHECK(less.keys == 0xeeeeeeeeeeeeeeeeu);
    CHECK(strcmp(cluster_version(), "0.1.0") == 0);
}

CASE(error_texts) {
    const int codes[] = {ENOTCONN,  EBADF,     EPROTONOSUPPORT, EBADMSG,      EBUSY,  EACCES,
                         ETIMEDOUT, EUSERS,    EROFS,           EINVAL,       EILSEQ, ENAMETOOLONG,
                         ENFILE,    ENOSPC,    EMEDIUMTYPE,     ECONNREFUSED, EPROTO, ECONNRESET,
                         EFBIG,     ENOENT,    EEXIST,          ESTALE,       ERANGE, EOVERFLOW,
                         ENOMEM,    EOPNOTSUPP};
    const size_t count = sizeof codes / sizeof *codes;
    const char* unknown = cluster_error_text(-12345);
    for (size_t i = 0; i < count; ++i) {
        const char* text = cluster_error_text(-codes[i]);
        CHECK(text == cluster_error_text(codes[i]));
        CHECK(strcmp(text, unknown) != 0);
        for (size_t k = 0; k < i; ++k) CHECK(strcmp(text, cluster_error_text(codes[k])) != 0);
    }
    CHECK(cluster_error_text(INT32_MIN) == unknown);
}
