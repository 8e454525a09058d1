#include "clusterctl/view/format.hpp"

#include <doctest/doctest.h>

#include <limits>

using cluster::clusterctl::count_of;
using cluster::clusterctl::format_bytes;
using cluster::clusterctl::format_duration;
using cluster::clusterctl::format_percent;

TEST_CASE("clusterctl/format: durations show two units at most") {
    CHECK(format_duration(-5) == "0ms");
    CHECK(format_duration(0) == "0ms");
    CHECK(format_duration(999) == "999ms");
    CHECK(format_duration(1000) == "1s");
    CHECK(format_duration(59'999) == "59s");
    CHECK(format_duration(60'000) == "1m 0s");
    CHECK(format_duration(3'599'999) == "59m 59s");
    CHECK(format_duration(3'600'000) == "1h 0m");
    CHECK(format_duration(86'399'999) == "23h 59m");
    CHECK(format_duration(86'400'000) == "1d 0h");
    CHECK(format_duration(400LL * 86'400'000) == "400d 0h");
}

TEST_CASE("clusterctl/format: bytes keep three digits and change the unit in time") {
    CHECK(format_bytes(0) == "0 B");
    CHECK(format_bytes(1023) == "1023 B");
    CHECK(format_bytes(1024) == "1.0 KiB");
    CHECK(format_bytes(23'400'000) == "22.3 MiB");
    CHECK(format_bytes(612ULL << 20U) == "612 MiB");
    CHECK(format_bytes((1ULL << 30U) - 1) == "1.0 GiB");
    CHECK(format_bytes(std::numeric_limits<std::uint64_t>::max()) == "16.0 EiB");
}

TEST_CASE("clusterctl/format: percent and counts") {
    CHECK(format_percent(0.0) == "0.0%");
    CHECK(format_percent(9.94) == "9.9%");
    CHECK(format_percent(9.96) == "10%");
    CHECK(format_percent(340.2) == "340%");
    CHECK(count_of(0, "worker") == "0 workers");
    CHECK(count_of(1, "worker") == "1 worker");
}
