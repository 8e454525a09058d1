// A peer that scribbles: wrong answers are allowed, crashes and hangs are not.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <optional>

#include "base/prng.hpp"
#include "store_fixture.hpp"
#include "sys/clock.hpp"

namespace cluster::store::test {
namespace {

using std::chrono::milliseconds;

/// Every operation once, whatever it says.
void use_everything(Segment& segment, Participant& me, Prng& prng) {
    Table table{segment};
    Counters counters{segment};
    std::array<std::byte, 2048> buffer{};
    const std::string key = "key" + std::to_string(prng.below(50));
    const std::string value(prng.below(1500), 'v');
    (void)table.get(bytes(key), buffer);
    (void)table.set(me, bytes(key), bytes(value));
    (void)table.add(me, bytes(key), bytes(value), milliseconds{prng.below(3)});
    (void)table.increment(me, bytes(key), 1);
    (void)table.compare_and_set(me, bytes(key), prng.next(), bytes(value));
    (void)table.take(me, bytes("key" + std::to_string(prng.below(50))), buffer);
    (void)table.remove(me, bytes("key" + std::to_string(prng.below(50))));
    Cursor cursor{.bucket = prng.below(segment.geometry().buckets.count)};
    (void)table.next(cursor, buffer, buffer);
    Swept swept;
    (void)table.sweep(me, cursor, 200, swept);
    const std::string name = "counter" + std::to_string(prng.below(8));
    if (const auto counter = counters.open(me, name)) counter->add(1);
    if (const auto striped = counters.open_striped(me, "s" + name)) {
        (void)striped->add(me, 1);
        (void)striped->get();
    }
    u32 at = 0;
    for (int i = 0; i < 10 && counters.next(&at); ++i) {
    }
    if (prng.below(20) == 0) {
        (void)settle_all_dead(segment);
        (void)take_census(segment);
        (void)Participant::join(segment);
    }
}

/// Where a write hurts most: the words that everything else is found by, and the heads of blocks.
u64 tempting_offset(const Segment& segment, Prng& prng) {
    const Geometry& geometry = segment.geometry();
    const std::array<Region, 5> small{geometry.participants, geometry.registry, geometry.hints,
                                      geometry.chunk_classes, geometry.stripe_owners};
    switch (prng.below(4)) {
        case 0: {
            const Region region = small[prng.below(small.size())];
            return region.offset + prng.below(region.bytes / 8) * 8;
        }
        case 1:
            return geometry.buckets.offset + prng.below(geometry.buckets.count) * 8;
        case 2: {
            // Somewhere at the head of a block of a chunk that is in use.
            const u32 chunk = static_cast<u32>(prng.below(geometry.chunk_count));
            return segment.chunk_granule(chunk) * kGranuleBytes + prng.below(2000) * kGranuleBytes +
                   prng.below(4) * 8;
        }
        default:
            return kLiveOffset + prng.below(geometry.bytes - kLiveOffset) / 8 * 8;
    }
}

/// Nonsense, of the kinds that look most like sense.
u64 tempting_value(const Segment& segment, u64 former, Prng& prng) {
    const u64 granule = segment.geometry().first_granule() +
                        prng.below(segment.geometry().chunk_count * kChunkGranules);
    switch (prng.below(6)) {
        case 0:
            return prng.next();
        case 1:
            return 0;
        case 2:
            return former ^ (u64{1} << prng.below(64));
        case 3:
            return Bucket::next(former, granule, prng.chance(0.5));
        case 4:
            return (prng.next() << 28U) | granule;
        default:
            return prng.below(100);
    }
}

TEST_CASE("store/hostile: random bytes all over a live segment crash and hang nobody") {
    const char* given = std::getenv("CLUSTER_TEST_SEED");
    const u64 seed = given != nullptr ? std::strtoull(given, nullptr, 10)
                                      : static_cast<u64>(to_ns(sys::monotonic_now()));
    MESSAGE("CLUSTER_TEST_SEED=" << seed);
    Place place;
    std::array<pid_t, 2> users{};
    for (std::size_t i = 0; i < users.size(); ++i) {
        users[i] = ::fork();
        if (users[i] != 0) continue;
        // SIGALRM ends one that hangs.
        ::alarm(60);
        Prng prng{seed + i};
        const Instant end = sys::monotonic_now() + milliseconds{2500};
        while (sys::monotonic_now() < end) use_everything(*place.segment, place.me, prng);
        ::_exit(0);
    }
    Prng prng{seed + 100};
    const Instant end = sys::monotonic_now() + milliseconds{2500};
    while (sys::monotonic_now() < end) {
        for (int i = 0; i < 1000; ++i) {
            u64* word = place.segment->word_at(tempting_offset(*place.segment, prng));
            store_relaxed(word, tempting_value(*place.segment, load_relaxed(word), prng));
        }
        use_everything(*place.segment, place.me, prng);
    }
    for (const pid_t pid : users) {
        int status = 0;
        ::waitpid(pid, &status, 0);
        CHECK(WIFEXITED(status));
        CHECK(WEXITSTATUS(status) == 0);
    }
}

TEST_CASE("store/hostile: each region full of each pattern still gets every call back") {
    for (const u64 pattern :
         {u64{0}, ~u64{0}, u64{0x0101'0101'0101'0101}, u64{1} << 28U, (u64{1} << 28U) | 20'000U}) {
        for (std::size_t index = 0; index < kRegions; ++index) {
            Place place;
            Prng prng{pattern + index};
            for (int i = 0; i < 20; ++i) use_everything(*place.segment, place.me, prng);
            const Region region = place.segment->geometry().table()[index];
            u64* words = place.segment->word_at(region.offset);
            for (u64 i = 0; i < region.bytes / 8; ++i) store_relaxed(words + i, pattern);
            for (int i = 0; i < 20; ++i) use_everything(*place.segment, place.me, prng);
        }
    }
}

TEST_CASE("store/hostile: sizes that are told are never more than can be") {
    Place place;
    REQUIRE(place.set("k", "v"));
    const u64* bucket = place.segment->bucket_of(place.segment->hash(bytes("k")));
    u64* block = place.segment->block(Bucket::granule(load_relaxed(bucket)));
    std::array<std::byte, kMaxKeyBytes> key{};
    for (const Lengths& lengths :
         {Lengths{.value = 1, .key = 65535}, Lengths{.value = 1, .key = 0},
          Lengths{.value = UINT32_MAX, .key = 1}, Lengths{.value = kMaxBlockBytes, .key = 1}}) {
        store_relaxed(block + kLengthsWord, lengths.word());
        Cursor cursor;
        const auto item = place.table.next(cursor, key, {});
        REQUIRE(item);
        CHECK_FALSE(*item);
        CHECK(code_of(place.table.get(bytes("k"), key)) == EBADMSG);
        CHECK(code_of(place.table.set(place.me, bytes("k"), bytes("w"))) == EBADMSG);
    }
}

TEST_CASE("store/hostile: a bucket that never holds still gives a writer an error, not a hang") {
    Place place;
    REQUIRE(place.set("k", "v"));
    u64* bucket = place.segment->bucket_of(place.segment->hash(bytes("k")));
    std::atomic<bool> is_over{false};
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::alarm(30);
        while (true) store_relaxed(bucket, load_relaxed(bucket) + (u64{1} << 29U));
    }
    for (int i = 0; i < 20; ++i) {
        const int code = code_of(place.table.set(place.me, bytes("k"), bytes("w")));
        CHECK((code == 0 || code == EBUSY || code == EBADMSG));
        std::array<std::byte, 8> buffer{};
        const int read_code = code_of(place.table.get(bytes("k"), buffer));
        CHECK(
            (read_code == 0 || read_code == EBUSY || read_code == EBADMSG || read_code == ENOENT));
    }
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
}

}  // namespace
}  // namespace cluster::store::test
