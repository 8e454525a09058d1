// Many threads on few keys. Meant for the thread sanitizer too.
#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "base/prng.hpp"
#include "store_fixture.hpp"
#include "support/store_audit.hpp"

namespace cluster::store::test {
namespace {

/// A value that proves itself: its size and every byte follow from its first one.
std::string value_of(u64 number) {
    const auto letter = static_cast<char>('a' + number % 26);
    return std::string(1 + number % 26 * 37, letter);
}

bool is_whole(std::string_view value) {
    if (value.empty()) return false;
    const auto number = static_cast<u64>(value[0] - 'a');
    return number < 26 && value == value_of(number);
}

TEST_CASE("store/threads: readers see whole values while writers change them") {
    Place place;
    constexpr int kKeys = 6;
    for (u64 i = 0; i < kKeys; ++i) REQUIRE(place.set("k" + std::to_string(i), value_of(i)));
    std::atomic<bool> is_over{false};
    std::atomic<int> torn{0};
    std::vector<std::thread> threads;
    for (u64 t = 0; t < 2; ++t) {
        threads.emplace_back([&place, &torn, t] {
            auto me = Participant::join(*place.segment);
            Table table{*place.segment};
            Prng prng{t + 1};
            for (int i = 0; i < 15'000; ++i) {
                const std::string key = "k" + std::to_string(prng.below(kKeys));
                if (prng.chance(0.2)) {
                    (void)table.remove(*me, bytes(key));
                } else if (!table.set(*me, bytes(key), bytes(value_of(prng.next())))) {
                    ++torn;
                }
            }
        });
    }
    std::vector<std::thread> readers;
    for (u64 t = 0; t < 2; ++t) {
        readers.emplace_back([&place, &is_over, &torn, t] {
            const Table table{*place.segment};
            Prng prng{t + 10};
            std::string buffer(2000, '\0');
            while (!is_over) {
                const std::string key = "k" + std::to_string(prng.below(kKeys));
                const auto value = table.get(
                    bytes(key), std::as_writable_bytes(std::span{buffer.data(), buffer.size()}));
                if (!value && value.error().code != ENOENT) ++torn;
                if (value && !is_whole({buffer.data(), value->size})) ++torn;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    is_over = true;
    for (std::thread& thread : readers) thread.join();
    CHECK(torn == 0);
    CHECK(audit(*place.segment) == "");
}

TEST_CASE("store/threads: no increment is lost, in one bucket or many") {
    Place place;
    constexpr int kThreads = 4;
    constexpr int kEach = 5'000;
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
        threads.emplace_back([&place] {
            auto me = Participant::join(*place.segment);
            Table table{*place.segment};
            for (int i = 0; i < kEach; ++i) {
                (void)table.increment(*me, bytes("hot"), 1);
                (void)table.increment(*me, bytes("k" + std::to_string(i % 50)), 1);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(place.get("hot") == std::to_string(kThreads * kEach));
    for (int i = 0; i < 50; ++i) {
        CHECK(place.get("k" + std::to_string(i)) == std::to_string(kThreads * kEach / 50));
    }
    CHECK(audit(*place.segment) == "");
}

TEST_CASE("store/threads: compare_and_set hands a value from one to the next") {
    Place place;
    REQUIRE(place.set("k", std::string(8, '\0')));
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
        threads.emplace_back([&place] {
            auto me = Participant::join(*place.segment);
            Table table{*place.segment};
            for (int done = 0; done < 3'000;) {
                u64 number = 0;
                const auto seen =
                    table.get(bytes("k"), std::as_writable_bytes(std::span{&number, 1}));
                ++number;
                if (seen && table.compare_and_set(*me, bytes("k"), seen->token,
                                                  std::as_bytes(std::span{&number, 1}))) {
                    ++done;
                }
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    u64 number = 0;
    REQUIRE(place.table.get(bytes("k"), std::as_writable_bytes(std::span{&number, 1})));
    CHECK(number == 9'000);
}

TEST_CASE("store/threads: each key is added by exactly one, and taken by exactly one") {
    Place place;
    std::atomic<int> added{0};
    std::atomic<int> taken{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            auto me = Participant::join(*place.segment);
            Table table{*place.segment};
            std::array<std::byte, 8> buffer{};
            for (int i = 0; i < 2'000; ++i) {
                const std::string key = "k" + std::to_string(i);
                if (table.add(*me, bytes(key), bytes("v"))) ++added;
                if (table.take(*me, bytes(key), buffer)) ++taken;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(added == taken);
    CHECK(added >= 2'000);
    CHECK(take_census(*place.segment).keys == 0);
    CHECK(audit(*place.segment) == "");
}

TEST_CASE("store/threads: an iteration amid changes misses nothing that stays") {
    Place place;
    std::set<std::string> stay;
    for (int i = 0; i < 300; ++i) {
        stay.insert("stay" + std::to_string(i));
        REQUIRE(place.set("stay" + std::to_string(i), "v"));
    }
    std::atomic<bool> is_over{false};
    std::thread writer{[&] {
        auto me = Participant::join(*place.segment);
        Table table{*place.segment};
        for (u64 i = 0; !is_over; ++i) {
            (void)table.set(*me, bytes("come" + std::to_string(i % 500)), bytes("v"));
            (void)table.remove(*me, bytes("come" + std::to_string((i * 7) % 500)));
            (void)table.set(*me, bytes("stay" + std::to_string(i % 300)), bytes("w"));
        }
    }};
    for (int round = 0; round < 10; ++round) {
        std::set<std::string> seen;
        std::array<char, 64> key{};
        Cursor cursor;
        while (true) {
            const auto item = place.table.next(cursor, std::as_writable_bytes(std::span{key}), {});
            REQUIRE(item);
            if (!*item) break;
            const std::string name(key.data(), (*item)->key_size);
            if (stay.contains(name)) CHECK(seen.insert(name).second);
        }
        CHECK(seen == stay);
    }
    is_over = true;
    writer.join();
}

}  // namespace
}  // namespace cluster::store::test
