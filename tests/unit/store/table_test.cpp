#include "store/table.hpp"

#include <map>
#include <vector>

#include "base/prng.hpp"
#include "store/sweep.hpp"
#include "store_fixture.hpp"
#include "support/store_audit.hpp"
#include "sys/clock.hpp"

namespace cluster::store::test {
namespace {

TEST_CASE("store/table: what was set is what is got") {
    Place place;
    CHECK(place.get("a") == "error " + std::to_string(ENOENT));
    CHECK(place.set("a", "one"));
    CHECK(place.get("a") == "one");
    CHECK(place.set("a", "two and more"));
    CHECK(place.get("a") == "two and more");
    CHECK(place.set("empty", ""));
    CHECK(place.get("empty").empty());
    CHECK(place.set(std::string_view{"a\0b", 3}, std::string_view{"\0\xFF", 2}));
    CHECK(place.get(std::string_view{"a\0b", 3}) == std::string_view{"\0\xFF", 2});
    CHECK(place.get("a") == "two and more");
}

TEST_CASE("store/table: every size of key and value survives") {
    SegmentOptions options = small_options();
    options.bytes = u64{32} << 20U;
    Place place{options};
    for (std::size_t size = 1; size <= 1100; size += size < 40 ? 1 : 31) {
        const std::string value(size * 3 % 700, static_cast<char>('a' + size % 26));
        if (size > kMaxKeyBytes) break;
        const std::string key(size, 'k');
        REQUIRE(place.set(key, value));
        REQUIRE(place.get(key) == value);
    }
    for (const std::size_t size : {std::size_t{511}, std::size_t{513}, std::size_t{4096},
                                   std::size_t{100'000}, std::size_t{kMaxValueBytes}}) {
        const std::string value(size, static_cast<char>('a' + size % 26));
        REQUIRE(place.set("large", value));
        REQUIRE(place.get("large") == value);
    }
}

TEST_CASE("store/table: sizes out of range are refused") {
    Place place;
    const std::string long_key(kMaxKeyBytes + 1, 'k');
    const std::string large(kMaxBlockBytes, 'v');
    CHECK(code_of(place.table.set(place.me, bytes(""), bytes("v"))) == EINVAL);
    CHECK(code_of(place.table.set(place.me, bytes(long_key), bytes("v"))) == ENAMETOOLONG);
    CHECK(code_of(place.table.set(place.me, bytes("k"), bytes(large))) == EFBIG);
    CHECK(code_of(place.table.get(bytes(long_key), {})) == ENAMETOOLONG);
    CHECK(code_of(place.table.remove(place.me, bytes(""))) == EINVAL);
    CHECK(code_of(place.table.increment(place.me, bytes(""), 1)) == EINVAL);
}

TEST_CASE("store/table: a buffer that is too small gets the beginning and the size") {
    Place place;
    REQUIRE(place.set("k", "0123456789"));
    std::array<std::byte, 4> buffer{};
    const auto value = place.table.get(bytes("k"), buffer);
    REQUIRE(value);
    CHECK(value->size == 10);
    CHECK_FALSE(value->fits(buffer.size()));
    CHECK(static_cast<char>(buffer[3]) == '3');
    const auto left = place.table.take(place.me, bytes("k"), buffer);
    REQUIRE(left);
    CHECK_FALSE(left->fits(buffer.size()));
    CHECK(place.get("k") == "0123456789");
}

TEST_CASE("store/table: add, replace, remove and take mind whether the key is there") {
    Place place;
    CHECK(code_of(place.table.replace(place.me, bytes("k"), bytes("v"))) == ENOENT);
    CHECK(code_of(place.table.add(place.me, bytes("k"), bytes("v"))) == 0);
    CHECK(code_of(place.table.add(place.me, bytes("k"), bytes("w"))) == EEXIST);
    CHECK(code_of(place.table.replace(place.me, bytes("k"), bytes("x"))) == 0);
    CHECK(place.get("k") == "x");
    CHECK(code_of(place.table.remove(place.me, bytes("k"))) == 0);
    CHECK(code_of(place.table.remove(place.me, bytes("k"))) == ENOENT);
    std::array<std::byte, 8> buffer{};
    CHECK(code_of(place.table.take(place.me, bytes("k"), buffer)) == ENOENT);
    REQUIRE(place.set("k", "y"));
    const auto taken = place.table.take(place.me, bytes("k"), buffer);
    REQUIRE(taken);
    CHECK(taken->size == 1);
    CHECK(static_cast<char>(buffer[0]) == 'y');
    CHECK(code_of(place.table.get(bytes("k"), buffer)) == ENOENT);
}

TEST_CASE("store/table: compare_and_set only replaces the value that the token names") {
    Place place;
    const auto first = place.table.set(place.me, bytes("k"), bytes("1"));
    REQUIRE(first);
    std::array<std::byte, 8> buffer{};
    CHECK(place.table.get(bytes("k"), buffer)->token == *first);
    const auto second = place.table.compare_and_set(place.me, bytes("k"), *first, bytes("2"));
    REQUIRE(second);
    CHECK(*second != *first);
    CHECK(code_of(place.table.compare_and_set(place.me, bytes("k"), *first, bytes("3"))) == ESTALE);
    CHECK(place.get("k") == "2");
    CHECK(code_of(place.table.compare_and_set(place.me, bytes("no"), *first, bytes("3"))) ==
          ENOENT);
}

TEST_CASE("store/table: increment counts in text and says when it cannot") {
    Place place;
    CHECK(*place.table.increment(place.me, bytes("n"), 5) == 5);
    CHECK(*place.table.increment(place.me, bytes("n"), -7) == -2);
    CHECK(place.get("n") == "-2");
    REQUIRE(place.set("n", "9223372036854775806"));
    CHECK(*place.table.increment(place.me, bytes("n"), 1) == INT64_MAX);
    CHECK(code_of(place.table.increment(place.me, bytes("n"), 1)) == EOVERFLOW);
    CHECK(place.get("n") == "9223372036854775807");
    REQUIRE(place.set("n", "-9223372036854775807"));
    CHECK(*place.table.increment(place.me, bytes("n"), -1) == INT64_MIN);
    for (const char* text : {"", "x", "1x", " 1", "99999999999999999999", "1.5", "-"}) {
        CAPTURE(text);
        REQUIRE(place.set("n", text));
        CHECK(code_of(place.table.increment(place.me, bytes("n"), 1)) == EMEDIUMTYPE);
        CHECK(place.get("n") == text);
    }
}

TEST_CASE("store/table: an entry is gone after its deadline, for every operation") {
    Place place;
    using std::chrono::milliseconds;
    const auto wait_until_gone = [&] {
        while (place.get("k") == "v") {
        }
    };
    REQUIRE(place.set("k", "v", std::chrono::hours{1}));
    CHECK(place.get("k") == "v");
    REQUIRE(place.set("k", "v", milliseconds{30}));
    wait_until_gone();
    CHECK(code_of(place.table.replace(place.me, bytes("k"), bytes("w"))) == ENOENT);
    CHECK(code_of(place.table.remove(place.me, bytes("k"))) == ENOENT);
    REQUIRE(place.set("k", "v", milliseconds{30}));
    wait_until_gone();
    CHECK(code_of(place.table.add(place.me, bytes("k"), bytes("w"))) == 0);
    CHECK(place.get("k") == "w");
    REQUIRE(place.set("k", "7", milliseconds{30}));
    CHECK(*place.table.increment(place.me, bytes("k"), 1) == 8);
    while (place.get("k") == "8") {
    }
    CHECK(*place.table.increment(place.me, bytes("k"), 1) == 1);
}

TEST_CASE("store/table: sweeping removes what has expired and nothing else") {
    Place place;
    for (int i = 0; i < 200; ++i) {
        REQUIRE(place.set("stay" + std::to_string(i), "v"));
        REQUIRE(place.set("go" + std::to_string(i), "v", std::chrono::milliseconds{5}));
    }
    while (place.get("go199") == "v") {
    }
    Cursor cursor;
    Swept swept;
    bool is_done = false;
    while (!is_done) is_done = *place.table.sweep(place.me, cursor, 1000, swept);
    CHECK(swept.removed == 200);
    CHECK(swept.waiting == 0);
    CHECK(take_census(*place.segment).keys == 200);
    CHECK(audit(*place.segment) == "");
}

TEST_CASE("store/table: a bucket that takes long to sweep counts for many") {
    Place place;
    const u64* bucket = place.segment->bucket(0);
    int keys = 0;
    for (u64 i = 0; keys < 40; ++i) {
        const std::string key = std::to_string(i);
        if (place.segment->bucket_of(place.segment->hash(bytes(key))) != bucket) continue;
        REQUIRE(place.set(key, "v", std::chrono::milliseconds{1}));
        ++keys;
    }
    const Instant end = sys::monotonic_now() + std::chrono::milliseconds{20};
    while (sys::monotonic_now() < end) {
    }
    Cursor cursor;
    Swept swept;
    REQUIRE(place.table.sweep(place.me, cursor, 100, swept));
    CHECK(swept.removed == 40);
    CHECK(cursor.bucket == 1);
    CHECK(audit(*place.segment) == "");
}

TEST_CASE("store/table: an iteration sees every key once, with its value") {
    Place place;
    std::map<std::string, std::string> expected;
    for (int i = 0; i < 500; ++i) {
        const std::string key = "key " + std::to_string(i);
        expected[key] = std::string(static_cast<std::size_t>(i), 'v');
        REQUIRE(place.set(key, expected[key]));
    }
    Cursor cursor;
    std::array<char, kMaxKeyBytes> key{};
    std::array<char, 1024> value{};
    std::map<std::string, std::string> seen;
    while (true) {
        const auto item = place.table.next(cursor, std::as_writable_bytes(std::span{key}),
                                           std::as_writable_bytes(std::span{value}));
        REQUIRE(item);
        if (!*item) break;
        const auto added = seen.emplace(std::string(key.data(), (*item)->key_size),
                                        std::string(value.data(), (*item)->value.size));
        CHECK(added.second);
    }
    CHECK(seen == expected);
}

TEST_CASE("store/table: a full store says so, and goes on after something was removed") {
    SegmentOptions options = small_options();
    options.bytes = minimum_bytes(options);
    Place place{options};
    const std::string value(40'000, 'v');
    int count = 0;
    while (place.set("k" + std::to_string(count), value)) ++count;
    CHECK(count > 40);
    CHECK(code_of(place.table.set(place.me, bytes("one more"), bytes(value))) == ENOSPC);
    CHECK(code_of(place.table.set(place.me, bytes("k0"), bytes(value))) == ENOSPC);
    CHECK(place.get("k0") == value);
    CHECK(code_of(place.table.remove(place.me, bytes("k0"))) == 0);
    CHECK(place.set("one more", value));
    CHECK(audit(*place.segment) == "");
    for (int i = 1; i < count; ++i) {
        CAPTURE(i);
        CHECK(code_of(place.table.remove(place.me, bytes("k" + std::to_string(i)))) == 0);
    }
    CHECK(audit(*place.segment) == "");
    CHECK(take_census(*place.segment).keys == 1);
}

/// Fills the store to the brim; every other key goes with its deadline.
int fill(Place& place, std::string_view value, Duration ttl) {
    int count = 0;
    while (place.set("k" + std::to_string(count), value, count % 2 == 0 ? ttl : Duration{}))
        ++count;
    return count;
}

TEST_CASE("store/table: a full store takes back what has expired when somebody wants room") {
    SegmentOptions options = small_options();
    options.bytes = minimum_bytes(options);
    Place place{options};
    using std::chrono::milliseconds;
    const std::string value(40'000, 'v');
    const int count = fill(place, value, std::chrono::hours{1});
    CHECK(code_of(place.table.set(place.me, bytes("more"), bytes(value))) == ENOSPC);
    CHECK(take_census(*place.segment).keys == static_cast<u64>(count));

    // Those that stay, stay; one whose time comes makes room for the next, without anybody's help.
    REQUIRE(code_of(place.table.remove(place.me, bytes("k0"))) == 0);
    REQUIRE(place.set("brief", value, milliseconds{5}));
    while (place.get("brief") == value) {
    }
    // What found nothing a moment ago does not look again at once.
    while (!place.set("more", value)) {
    }
    CHECK(place.get("more") == value);
    CHECK(place.get("k1") == value);
    CHECK(place.get("k2") == value);
    CHECK(audit(*place.segment) == "");

    REQUIRE(code_of(place.table.remove(place.me, bytes("k2"))) == 0);
    REQUIRE(place.set("brief", value, milliseconds{5}));
    while (place.get("brief") == value) {
    }
    const auto add = [&] { return place.table.add(place.me, bytes("added"), bytes(value)); };
    while (code_of(add()) == ENOSPC) {
    }
    CHECK(place.get("added") == value);
    CHECK(audit(*place.segment) == "");
}

/// The same for small entries: one key alone may be refused for the sake of its bucket.
int fill_densely(Place& place, const std::string& prefix, Duration ttl) {
    int count = 0;
    for (int i = 0, refused = 0; refused < 200; ++i) {
        const bool is_set = place.set(prefix + std::to_string(i), "1", ttl);
        refused = is_set ? 0 : refused + 1;
        count += is_set ? 1 : 0;
    }
    return count;
}

TEST_CASE("store/table: a store full of small entries counts on when some have expired") {
    SegmentOptions options = small_options();
    options.bytes = minimum_bytes(options);
    Place place{options};
    REQUIRE(place.set("number", "41"));
    REQUIRE(fill_densely(place, "k", {}) > 10'000);
    const auto increment = [&] { return place.table.increment(place.me, bytes("number"), 1); };
    CHECK(code_of(increment()) == ENOSPC);
    for (int i = 0; i < 50; ++i) {
        REQUIRE(code_of(place.table.remove(place.me, bytes("k" + std::to_string(i)))) == 0);
    }
    REQUIRE(fill_densely(place, "brief", std::chrono::milliseconds{100}) >= 20);
    auto number = increment();
    while (code_of(number) == ENOSPC) number = increment();
    CHECK(number.value_or(0) == 42);
    CHECK(audit(*place.segment) == "");
}

TEST_CASE("store/sweep: a pass is asked for by deadlines, and no longer when none is left") {
    Place place;
    CHECK_FALSE(Sweep::is_due(*place.segment));
    REQUIRE(place.set("stays", "v"));
    CHECK_FALSE(Sweep::is_due(*place.segment));
    REQUIRE(place.set("later", "v", std::chrono::hours{1}));
    REQUIRE(place.set("soon", "v", std::chrono::milliseconds{5}));
    CHECK(Sweep::is_due(*place.segment));
    while (place.get("soon") == "v") {
    }
    const auto pass = [&] {
        auto sweep = Sweep::begin(*place.segment);
        REQUIRE(sweep);
        CHECK(take_census(*place.segment).participants == 2);
        while (!sweep->step(10'000)) CHECK(Sweep::is_due(*place.segment));
        return sweep->removed();
    };
    CHECK(pass() == 1);
    CHECK(take_census(*place.segment).participants == 1);
    CHECK(Sweep::is_due(*place.segment));
    REQUIRE(place.set("later", "v"));
    CHECK(pass() == 0);
    CHECK_FALSE(Sweep::is_due(*place.segment));
    CHECK(take_census(*place.segment).keys == 2);
    CHECK(audit(*place.segment) == "");
}

TEST_CASE("store/sweep: a deadline that comes during a pass asks for the next one") {
    Place place;
    REQUIRE(place.set("k", "v", std::chrono::milliseconds{5}));
    while (place.get("k") == "v") {
    }
    auto sweep = Sweep::begin(*place.segment);
    REQUIRE(sweep);
    const u64 buckets = place.segment->geometry().buckets.count;
    CHECK_FALSE(sweep->step(buckets - 1));
    REQUIRE(place.set("late", "v", std::chrono::hours{1}));
    CHECK(sweep->step(1));
    CHECK(Sweep::is_due(*place.segment));
}

TEST_CASE("store/table: a store full of small entries can be emptied again") {
    SegmentOptions options = small_options();
    options.bytes = minimum_bytes(options);
    Place place{options};
    int count = 0;
    while (place.set("k" + std::to_string(count), "v")) ++count;
    CHECK(count > 10'000);
    for (int i = 0; i < count; ++i) {
        CAPTURE(i);
        REQUIRE(code_of(place.table.remove(place.me, bytes("k" + std::to_string(i)))) == 0);
    }
    CHECK(audit(*place.segment) == "");
    CHECK(take_census(*place.segment).keys == 0);
    // What was freed is found again, though far more was freed than hints can say.
    int again = 0;
    while (place.set("k" + std::to_string(again), "v")) ++again;
    CHECK(again >= count);
}

/// Random operations against std::map, with few keys, so that they meet.
void compare_with_map(std::uint64_t seed, int steps, int keys) {
    CAPTURE(seed);
    Place place;
    Prng prng{seed};
    std::map<std::string, std::string> model;
    for (int step = 0; step < steps; ++step) {
        const std::string key =
            "key" + std::to_string(prng.below(static_cast<std::uint64_t>(keys)));
        const bool is_there = model.contains(key);
        const std::string value(prng.below(prng.chance(0.05) ? 3000 : 200),
                                static_cast<char>('a' + prng.below(26)));
        switch (prng.below(7)) {
            case 0:
                REQUIRE(place.set(key, value));
                model[key] = value;
                break;
            case 1:
                REQUIRE(code_of(place.table.add(place.me, bytes(key), bytes(value))) ==
                        (is_there ? EEXIST : 0));
                model.emplace(key, value);
                break;
            case 2:
                REQUIRE(code_of(place.table.replace(place.me, bytes(key), bytes(value))) ==
                        (is_there ? 0 : ENOENT));
                if (is_there) model[key] = value;
                break;
            case 3:
                REQUIRE(code_of(place.table.remove(place.me, bytes(key))) ==
                        (is_there ? 0 : ENOENT));
                model.erase(key);
                break;
            case 4: {
                const std::string number = std::to_string(prng.next() >> 2U);
                REQUIRE(place.set(key, number));
                REQUIRE(*place.table.increment(place.me, bytes(key), 3) == std::stoll(number) + 3);
                model[key] = std::to_string(std::stoll(number) + 3);
                break;
            }
            case 5: {
                std::array<std::byte, 4096> buffer{};
                const auto taken = place.table.take(place.me, bytes(key), buffer);
                REQUIRE(taken.has_value() == is_there);
                if (is_there) REQUIRE(taken->size == model[key].size());
                model.erase(key);
                break;
            }
            default:
                REQUIRE(place.get(key) ==
                        (is_there ? model[key] : "error " + std::to_string(ENOENT)));
        }
    }
    REQUIRE(audit(*place.segment) == "");
    REQUIRE(take_census(*place.segment).keys == model.size());
    for (const auto& [key, value] : model) REQUIRE(place.get(key) == value);
}

TEST_CASE("store/table: random operations agree with std::map") {
    compare_with_map(1, 20'000, 10);
    compare_with_map(2, 20'000, 200);
    compare_with_map(3, 30'000, 20'000);
}

}  // namespace
}  // namespace cluster::store::test
