#include "store/attempt.hpp"

#include "store/blocks.hpp"
#include "unit/store/store_fixture.hpp"

namespace cluster::store::test {
namespace {

using Outcome = Attempt::Outcome;

/// A key, the one who counts there and whose death is supposed, and somebody else.
struct Attempted : Place {
    Attempted() : other(*Participant::join(*segment)) {}

    [[nodiscard]] u64* bucket() const { return segment->bucket_of(segment->hash(bytes("n"))); }
    [[nodiscard]] Outcome outcome() const { return attempt.outcome(*segment); }
    void make() { REQUIRE(table.increment(me, bytes("n"), 1, attempt)); }
    void others_change() { REQUIRE(table.increment(other, bytes("n"), 1)); }

    /// As far as the last instruction before the change.
    void almost_make() {
        const auto block = take_block(me, &me.intent().fresh[0], 100, Need::ordinary);
        REQUIRE(block);
        attempt.write(*segment, segment->offset_of(bucket()),
                      Bucket::next(load_acquire(bucket()), block->granule, false),
                      Incarnation::of(block->state, block->granule), me.slot());
    }

    AttemptWords words{};
    Attempt attempt{words};
    Participant other;
};

TEST_CASE("store/attempt: one that was made says so, whatever others do to the key since") {
    Attempted test;
    CHECK(test.outcome() == Outcome::not_made);
    test.make();
    CHECK(test.outcome() == Outcome::made);
    test.others_change();
    CHECK(test.outcome() == Outcome::made);
    REQUIRE(test.table.remove(test.other, bytes("n")));
    CHECK(test.outcome() == Outcome::made);
    for (int i = 0; i < 100; ++i) test.others_change();
    CHECK(test.outcome() == Outcome::made);
    test.attempt.clear();
    CHECK(test.outcome() == Outcome::not_made);
}

TEST_CASE("store/attempt: one that was not made says so, whatever others do to the key since") {
    Attempted test;
    test.make();
    test.almost_make();
    CHECK(test.outcome() == Outcome::not_made);
    test.others_change();  // by the same version
    CHECK(test.outcome() == Outcome::not_made);
    for (int i = 0; i < 100; ++i) test.others_change();
    CHECK(test.outcome() == Outcome::not_made);
    REQUIRE(test.table.remove(test.other, bytes("n")));
    CHECK(test.outcome() == Outcome::not_made);
}

TEST_CASE("store/attempt: what it published may still be there beside changes of other keys") {
    Attempted test;
    test.make();
    // Until another key falls into the same bucket, and again.
    for (int found = 0, i = 0; found < 2; ++i) {
        const std::string key = std::to_string(i);
        if (test.segment->bucket_of(test.segment->hash(bytes(key))) != test.bucket()) continue;
        REQUIRE(test.table.set(test.other, bytes(key), bytes("x")));
        ++found;
    }
    CHECK(test.outcome() == Outcome::made);
}

TEST_CASE("store/attempt: what it published may be unlinked by one who died before he freed it") {
    Attempted test;
    test.make();
    for (int i = 0; i < 2; ++i) {
        const u64 word = load_acquire(test.bucket());
        REQUIRE(change_word(test.bucket(), word, Bucket::next(word, 0, false)));
    }
    CHECK(test.outcome() == Outcome::not_made);
    store_release(&test.other.intent().old[0], test.words[2]);
    CHECK(test.outcome() == Outcome::made);
}

TEST_CASE("store/attempt: nothing is claimed to be known when the slot was settled meanwhile") {
    Attempted test;
    test.almost_make();
    for (int i = 0; i < 2; ++i) test.others_change();
    CHECK(test.outcome() == Outcome::not_made);
    // As one who settles: the block is freed, the slot another's.
    const u64 granule = Incarnation::granule(test.words[2]);
    REQUIRE(free_block(test.other, granule, load_acquire(test.segment->block(granule))));
    store_release(&test.segment->slot(test.me.slot()).claim, 0);
    CHECK(test.outcome() == Outcome::unknown);
}

TEST_CASE("store/attempt: words that nobody wrote lead nowhere") {
    Attempted test;
    test.make();
    test.others_change();
    test.others_change();
    const AttemptWords sound = test.words;
    for (std::size_t i = 1; i < sound.size(); ++i) {
        for (const u64 nonsense : {u64{0}, u64{1}, ~u64{0}, u64{1} << 40U, sound[i] + 4}) {
            test.words = sound;
            test.words[i] = nonsense;
            static_cast<void>(test.outcome());
        }
    }
    test.words = sound;
    test.words[1] = test.segment->geometry().bytes;
    CHECK(test.outcome() == Outcome::unknown);
}

}  // namespace
}  // namespace cluster::store::test
