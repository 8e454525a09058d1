#include "wire/table.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstring>
#include <thread>

namespace wire = cluster::wire;

TEST_CASE("wire/table: a finished write is read back whole") {
    wire::SlotRecord record{};
    {
        wire::SlotWrite write(record);
        write->state = wire::SlotState::running;
        write->generation = 5;
        write->max_rss_kib = 77;
    }
    wire::SlotRecord copy;
    REQUIRE(wire::read_slot(record, copy));
    CHECK(copy.state == wire::SlotState::running);
    CHECK(copy.generation == 5);
    CHECK(copy.max_rss_kib == 77);
    CHECK(copy.sequence == 2);
}

TEST_CASE("wire/table: a write that never ended is not believed, and the next write repairs it") {
    wire::SlotRecord record{};
    record.sequence = 7;  // as a writer that was killed in the middle leaves it
    wire::SlotRecord copy;
    CHECK_FALSE(wire::read_slot(record, copy));
    { wire::SlotWrite write(record); }
    CHECK(wire::read_slot(record, copy));
    CHECK(record.sequence == 8);
}

TEST_CASE("wire/table: a reader never sees half of a change") {
    wire::SlotRecord record{};
    std::atomic<bool> is_done = false;
    std::thread writer([&] {
        for (std::uint64_t i = 1; i <= 200000; ++i) {
            wire::SlotWrite write(record);
            write->generation = i;
            write->user_us = i;
            write->max_rss_kib = i;
        }
        is_done = true;
    });
    std::uint64_t reads = 0;
    bool is_consistent = true;
    while (!is_done || reads == 0) {
        wire::SlotRecord copy;
        if (!wire::read_slot(record, copy)) continue;
        ++reads;
        is_consistent =
            is_consistent && copy.generation == copy.user_us && copy.generation == copy.max_rss_kib;
    }
    writer.join();
    CHECK(reads > 0);
    CHECK(is_consistent);
}
