#include "capture/archive.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace cluster::capture {
namespace {

using Names = std::vector<std::string>;

constexpr Archives::Limits kLimits{.keep = 3, .max_total = 1000, .packs = true};
constexpr std::int64_t kNoon = 1'715'947'200'000;  // 2024-05-17T12:00:00Z

/// `count` plain archives of 100 bytes each.
Archives filled(std::size_t count) {
    Archives archives("a.0.out.log");
    for (std::size_t i = 0; i < count; ++i) archives.add(archives.next(kNoon), 100);
    return archives;
}

std::string name(int number, const char* suffix = "") {
    return "a.0.out.log.00000" + std::to_string(number) + "-20240517T120000Z" + suffix;
}

}  // namespace

TEST_CASE("capture/archive: a name is read back as it was written, and sorts by number") {
    ArchiveName first{
        .log = "api-2.10.err.log", .number = 42, .rotated_s = 1'715'938'200, .is_packed = false};
    CHECK(first.text() == "api-2.10.err.log.000042-20240517T093000Z");
    CHECK(parse_archive_name(first.text()) == first);
    ArchiveName second = first;
    second.number = 43;
    second.rotated_s -= 86400;  // the clock was set back
    second.is_packed = true;
    CHECK(second.text() == "api-2.10.err.log.000043-20240516T093000Z.gz");
    CHECK(parse_archive_name(second.text()) == second);
    CHECK(first.text() < second.text());
    first.number = 1'234'567'890;
    CHECK(parse_archive_name(first.text()) == first);
}

TEST_CASE("capture/archive: other names are no archives") {
    for (const char* text :
         {"", "api.0.out.log", "api.0.out.log.1", "api.0.out.log.1.gz", "api.0.out.log.000042",
          "api.0.out.log.42-20240517T093000Z", "api.0.out.log.000042-20240517T093000",
          "api.0.out.log.000042-20240517T093000Z.gz.tmp", ".000042-20240517T093000Z",
          "api.0.out.log.000042-20241317T093000Z", "api.0.out.log.000042-20240517T253000Z",
          "api.0.out.log.0000x2-20240517T093000Z",
          "api.0.out.log.99999999999999999999999-20240517T093000Z"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_archive_name(text));
    }
}

TEST_CASE("capture/archive: times of lines are read back as they were written") {
    for (const std::int64_t ms : {std::int64_t{0}, kNoon + 7, kNoon + 999, std::int64_t{-1}}) {
        CHECK(parse_time_ms(format_time_ms(ms)) == ms);
    }
    CHECK(format_time_ms(kNoon + 7) == "2024-05-17T12:00:00.007Z");
    CHECK_FALSE(parse_time_ms("2024-05-17T12:00:00.007"));
    CHECK_FALSE(parse_time_ms("2024-02-30T12:00:00.007Z"));
    CHECK_FALSE(parse_time_ms("2024-05-17 12:00:00.007Z"));
}

TEST_CASE("capture/archive: numbers go on above the highest that was ever there") {
    Archives archives("a.0.out.log");
    CHECK(archives.next(kNoon).number == 1);
    archives.note({.log = "a.0.out.log", .number = 7, .rotated_s = 0, .is_packed = true}, 5);
    archives.note({.log = "a.0.out.log", .number = 3, .rotated_s = 0, .is_packed = false}, 5);
    archives.note({.log = "a.0.err.log", .number = 99, .rotated_s = 0, .is_packed = false}, 5);
    CHECK(archives.next(kNoon).number == 8);
    CHECK(archives.next(kNoon).rotated_s == kNoon / 1000);
    CHECK(archives.take_excess({.keep = 0, .max_total = 1000, .packs = false}, 0).size() == 2);
    CHECK(archives.next(kNoon).number == 8);
}

TEST_CASE("capture/archive: the oldest go when there are too many or they are too large") {
    Archives archives = filled(5);
    CHECK(archives.take_excess(kLimits, 0) == Names{name(2), name(1)});
    CHECK(archives.take_excess(kLimits, 0).empty());
    CHECK(archives.count() == 3);
    CHECK(archives.take_excess({.keep = 3, .max_total = 250, .packs = true}, 51) ==
          Names{name(4), name(3)});
    CHECK(archives.take_excess({.keep = 3, .max_total = 50, .packs = true}, 51) == Names{name(5)});
    CHECK(archives.count() == 0);
}

TEST_CASE("capture/archive: nothing older stays behind one that does not fit") {
    Archives archives("a.0.out.log");
    archives.add(archives.next(kNoon), 1);
    archives.add(archives.next(kNoon), 1000);
    archives.add(archives.next(kNoon), 1);
    CHECK(archives.take_excess(kLimits, 0) == Names{name(2), name(1)});
}

TEST_CASE("capture/archive: each archive is packed once, the newest first") {
    Archives archives = filled(2);
    CHECK(archives.wants_packing(kLimits));
    CHECK_FALSE(archives.take_to_pack({.keep = 3, .max_total = 1000, .packs = false}));
    CHECK(archives.take_to_pack(kLimits) == name(2));
    CHECK(archives.take_to_pack(kLimits) == name(1));
    CHECK_FALSE(archives.take_to_pack(kLimits));
    CHECK(archives.on_packed(name(2), 10).empty());
    CHECK(archives.on_packed(name(1), 10).empty());
    CHECK_FALSE(archives.wants_packing(kLimits));
    // 20 bytes are left of 200.
    CHECK(archives.take_excess({.keep = 3, .max_total = 20, .packs = true}, 0).empty());
    CHECK(archives.take_excess({.keep = 3, .max_total = 19, .packs = true}, 0) ==
          Names{name(1, ".gz")});
}

TEST_CASE("capture/archive: what could not be packed is tried again when another one could") {
    Archives archives = filled(1);
    REQUIRE(archives.take_to_pack(kLimits) == name(1));
    CHECK(archives.on_packed(name(1), std::nullopt).empty());
    CHECK_FALSE(archives.take_to_pack(kLimits));
    archives.add(archives.next(kNoon), 100);
    CHECK(archives.take_to_pack(kLimits) == name(2));
    CHECK_FALSE(archives.take_to_pack(kLimits));
    CHECK(archives.on_packed(name(2), 10).empty());
    CHECK(archives.take_to_pack(kLimits) == name(1));
}

TEST_CASE("capture/archive: what became too much while it was packed goes when that has ended") {
    for (const bool is_done : {true, false}) {
        Archives archives = filled(1);
        REQUIRE(archives.take_to_pack(kLimits) == name(1));
        for (int i = 0; i < 3; ++i) archives.add(archives.next(kNoon), 100);
        CHECK(archives.take_excess(kLimits, 0).empty());
        const auto bytes = is_done ? std::optional<std::uint64_t>{10} : std::nullopt;
        const Names expected = is_done ? Names{name(1, ".gz")} : Names{name(1), name(1, ".gz")};
        CHECK(archives.on_packed(name(1), bytes) == expected);
        CHECK(archives.count() == 3);
    }
}

TEST_CASE("capture/archive: a packed file beside its plain twin was never finished") {
    Archives archives("a.0.out.log");
    const auto twin = parse_archive_name(name(1, ".gz"));
    archives.note(*twin, 10);
    archives.note(*parse_archive_name(name(1)), 100);
    CHECK(archives.count() == 1);
    CHECK(archives.take_to_pack(kLimits) == name(1));
    CHECK(archives.on_packed(name(1), std::nullopt).empty());
    CHECK(archives.take_excess({.keep = 0, .max_total = 1000, .packs = true}, 0) ==
          Names{name(1), name(1, ".gz")});
}

}  // namespace cluster::capture
