/* Counters. */
#include "check.h"

static int open_code(const char* name, unsigned kind) {
    cluster_counter* opened;
    return cluster_counter_open(store(), name, kind, &opened);
}

CASE(counter_operations) {
    cluster_counter* hits = counter("hits");
    CHECK_EQ(cluster_counter_get(hits), 0);
    int64_t value = -1;
    CHECK_EQ(cluster_counter_add(hits, 5, &value), 0);
    CHECK_EQ(value, 5);
    CHECK_EQ(cluster_counter_add(hits, -7, NULL), 0);
    CHECK_EQ(cluster_counter_get(hits), -2);
    CHECK_EQ(cluster_counter_set(hits, 40), 0);
    CHECK_EQ(cluster_counter_exchange(hits, 41, &value), 0);
    CHECK_EQ(value, 40);
    int64_t expected = 7;
    CHECK_EQ(cluster_counter_compare_exchange(hits, &expected, 9), 0);
    CHECK_EQ(expected, 41);
    CHECK_EQ(cluster_counter_compare_exchange(hits, &expected, 9), 1);
    CHECK_EQ(cluster_counter_get(hits), 9);
    CHECK_EQ(cluster_counter_set(hits, INT64_MAX), 0);
    CHECK_EQ(cluster_counter_add(hits, 1, &value), 0);
    CHECK_EQ(value, INT64_MIN);
}

CASE(counter_handles_are_one_per_name) {
    CHECK(counter("a") == counter("a"));
    CHECK(counter("a") != counter("b"));
    CHECK(cluster_counter_index(counter("a")) != cluster_counter_index(counter("b")));
}

CASE(counter_memory) {
    cluster_counter* hits = counter("hits");
    CHECK_EQ(cluster_counter_set(hits, 3), 0);
    int64_t* address = cluster_counter_address(hits);
    CHECK_EQ((uintptr_t)address % 64, 0);
    CHECK_EQ(__atomic_add_fetch(address, 4, __ATOMIC_SEQ_CST), 7);
    CHECK_EQ(cluster_counter_get(hits), 7);
    size_t bytes = 0;
    int64_t* array = cluster_counter_array(store(), &bytes);
    CHECK_EQ(bytes, 64 * 64);
    CHECK(array + cluster_counter_index(hits) * 8 == address);
    CHECK(cluster_counter_address(striped("s")) == NULL);
}

CASE(counter_names) {
    char longest[CLUSTER_MAX_COUNTER_NAME + 2];
    memset(longest, 'x', sizeof longest);
    longest[CLUSTER_MAX_COUNTER_NAME + 1] = '\0';
    CHECK_EQ(open_code(longest, CLUSTER_ATOMIC), -ENAMETOOLONG);
    longest[CLUSTER_MAX_COUNTER_NAME] = '\0';
    CHECK_EQ(open_code(longest, CLUSTER_ATOMIC), 0);
    CHECK_EQ(open_code("", CLUSTER_ATOMIC), -EINVAL);
    CHECK_EQ(open_code("caf\xe9", CLUSTER_ATOMIC), -EILSEQ);
    CHECK_EQ(open_code("\xed\xa0\x80", CLUSTER_ATOMIC), -EILSEQ);
    CHECK_EQ(open_code("caf\xc3\xa9 \xf0\x9f\x90\x91", CLUSTER_ATOMIC), 0);
}

CASE(counter_kinds) {
    cluster_counter* hits = striped("hits");
    CHECK_EQ(open_code("hits", CLUSTER_ATOMIC), -EMEDIUMTYPE);
    counter("exact");
    CHECK_EQ(open_code("exact", CLUSTER_STRIPED), -EMEDIUMTYPE);
    int64_t value = 77;
    CHECK_EQ(cluster_counter_add(hits, 1, NULL), 0);
    CHECK_EQ(cluster_counter_add(hits, 1, &value), -EOPNOTSUPP);
    CHECK_EQ(cluster_counter_set(hits, 1), -EOPNOTSUPP);
    CHECK_EQ(cluster_counter_exchange(hits, 1, &value), -EOPNOTSUPP);
    CHECK_EQ(cluster_counter_compare_exchange(hits, &value, 1), -EOPNOTSUPP);
    CHECK_EQ(value, 77);
    CHECK_EQ(cluster_counter_get(hits), 1);
    cluster_stripe stripe;
    CHECK_EQ(cluster_counter_stripe(counter("exact"), &stripe), -EOPNOTSUPP);
}

CASE(stripes) {
    cluster_counter* hits = striped("hits");
    cluster_stripe stripe;
    CHECK_EQ(cluster_counter_stripe(hits, &stripe), 0);
    for (int i = 0; i < 1000; ++i) CHECK_EQ(cluster_stripe_add(&stripe, 2), 0);
    CHECK_EQ(cluster_counter_get(hits), 2000);
    cluster_store_leave(store());
    CHECK_EQ(cluster_stripe_add(&stripe, 2), -ESTALE);
    CHECK_EQ(cluster_counter_get(hits), 2000);
    CHECK_EQ(cluster_counter_add(hits, 1, NULL), 0);
    CHECK_EQ(cluster_counter_get(hits), 2001);
}

CASE(areas) {
    char* area = NULL;
    char* again = NULL;
    CHECK_EQ(cluster_area_open(store(), "area", 100, (void**)&area), 0);
    CHECK_EQ((uintptr_t)area % 8, 0);
    for (int i = 0; i < 100; ++i) CHECK_EQ(area[i], 0);
    area[99] = 7;
    CHECK_EQ(cluster_area_open(store(), "area", 100, (void**)&again), 0);
    CHECK(area == again);
    CHECK_EQ(again[99], 7);
    counter("counter");
    CHECK_EQ(cluster_area_open(store(), "counter", 100, (void**)&again), -EMEDIUMTYPE);
    CHECK_EQ(cluster_area_open(store(), "area", 101, (void**)&again), -EMEDIUMTYPE);
    CHECK_EQ(open_code("area", CLUSTER_ATOMIC), -EMEDIUMTYPE);
    CHECK_EQ(cluster_area_open(store(), "big", CLUSTER_MAX_AREA_BYTES, (void**)&again), 0);
    CHECK_EQ(cluster_area_open(store(), "bigger", CLUSTER_MAX_AREA_BYTES + 1, (void**)&again),
             -EFBIG);
    CHECK_EQ(cluster_area_open(store(), "none", 0, (void**)&again), -EINVAL);
    CHECK_EQ(cluster_area_open(store(), NULL, 8, (void**)&again), -EINVAL);
}

CASE(counter_table_full) {
    char name[16];
    for (int i = 0; i < 64; ++i) {
        snprintf(name, sizeof name, "n%d", i);
        CHECK_EQ(open_code(name, CLUSTER_ATOMIC), 0);
    }
    CHECK_EQ(open_code("one too many", CLUSTER_ATOMIC), -ENFILE);
    CHECK_EQ(open_code("n63", CLUSTER_ATOMIC), 0);
}

CASE(striped_counters_full) {
    const char* names[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; ++i) CHECK_EQ(open_code(names[i], CLUSTER_STRIPED), 0);
    CHECK_EQ(open_code("e", CLUSTER_STRIPED), -ENFILE);
    CHECK_EQ(open_code("f", CLUSTER_ATOMIC), 0);
}

CASE(counter_list) {
    CHECK_EQ(cluster_counter_set(counter("exact"), -3), 0);
    CHECK_EQ(cluster_counter_add(striped("hits"), 4, NULL), 0);
    cluster_counter_item item;
    unsigned seen = 0;
    uint32_t at = 0;
    while (cluster_counter_next(store(), &at, &item) == 1) {
        if (strcmp(item.name, "exact") == 0) {
            CHECK_EQ(item.kind, CLUSTER_ATOMIC);
            CHECK_EQ(item.value, -3);
            CHECK_EQ(item.index, cluster_counter_index(counter("exact")));
            seen += 1;
        } else {
            CHECK(strcmp(item.name, "hits") == 0);
            CHECK_EQ(item.kind, CLUSTER_STRIPED);
            CHECK_EQ(item.value, 4);
            seen += 10;
        }
    }
    CHECK_EQ(seen, 11);
}
