#include "keeper/custody.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <memory>

#include "sys/file.hpp"

using cluster::Error;
using cluster::Op;
using cluster::keeper::Custody;
namespace sys = cluster::sys;
namespace wire = cluster::wire;
using wire::HeldKey;
using wire::HeldKind;

namespace {

struct Fixture {
    std::unique_ptr<wire::Table> shared = std::make_unique<wire::Table>();
    std::unique_ptr<Custody> custody = std::make_unique<Custody>(*shared);

    int hold(const HeldKey& key) {
        auto fd = sys::open_file("/dev/null", 0);
        REQUIRE(fd);
        const int number = fd->get();
        REQUIRE(custody->hold(key, std::move(*fd)));
        return number;
    }
};

HeldKey output(std::uint32_t slot, std::uint64_t generation) {
    return {.kind = HeldKind::output, .index = 0, .slot = slot, .generation = generation};
}

}  // namespace

TEST_CASE("keeper/custody: what is held is found under its whole key only") {
    Fixture f;
    const int first = f.hold(output(1, 1));
    const int second = f.hold(output(1, 2));
    CHECK(f.custody->find(output(1, 1)) == first);
    CHECK(f.custody->find(output(1, 2)) == second);
    CHECK(f.custody->find(output(2, 1)) == -1);
    CHECK(f.custody->find({.kind = HeldKind::error_output, .slot = 1, .generation = 1}) == -1);
    CHECK(f.custody->count() == 2);
    CHECK(f.shared->held[0].slot == 1);
    CHECK(f.shared->held[1].generation == 2);
    CHECK(f.shared->header.held_used == 2);
}

TEST_CASE("keeper/custody: an equal key replaces and closes what was there") {
    Fixture f;
    const int first = f.hold(output(1, 1));
    const int second = f.hold(output(1, 1));
    CHECK(f.custody->count() == 1);
    CHECK(f.custody->find(output(1, 1)) == second);
    CHECK_FALSE(sys::file_info(first));
}

TEST_CASE("keeper/custody: what is dropped is closed, and its record is used again") {
    Fixture f;
    const int first = f.hold(output(1, 1));
    static_cast<void>(f.hold(output(2, 1)));
    REQUIRE(f.custody->drop(output(1, 1)));
    CHECK_FALSE(sys::file_info(first));
    CHECK(f.shared->held[0].kind == 0);
    CHECK(f.custody->drop(output(1, 1)).error() == Error{Op::not_held, ENOENT});
    static_cast<void>(f.hold(output(3, 1)));
    CHECK(f.shared->held[0].slot == 3);
    CHECK(f.shared->header.held_used == 2);
}

TEST_CASE("keeper/custody: a list comes in batches that skip gaps and end with a count of zero") {
    Fixture f;
    constexpr std::uint32_t kHeld = 150;
    for (std::uint32_t i = 0; i < kHeld; ++i) static_cast<void>(f.hold(output(i, 1)));
    for (std::uint32_t i = 10; i < 60; ++i) REQUIRE(f.custody->drop(output(i, 1)));
    std::uint32_t first = 0;
    std::size_t seen = 0;
    while (true) {
        const Custody::Batch batch = f.custody->batch(first);
        if (batch.count == 0) break;
        std::size_t in_batch = 0;
        for (std::uint32_t i = first; i < first + batch.count; ++i) {
            if (f.shared->held[i].kind == 0) continue;
            const HeldKey key = output(f.shared->held[i].slot, f.shared->held[i].generation);
            CHECK(f.custody->find(key) == batch.fds[in_batch]);
            ++in_batch;
        }
        CHECK(in_batch == batch.fd_count);
        seen += in_batch;
        first += batch.count;
    }
    CHECK(seen == kHeld - 50);
    CHECK(f.custody->batch(0xFFFFFFFF).count == 0);
}

TEST_CASE("keeper/custody: kind none is no key") {
    Fixture f;
    auto fd = sys::open_file("/dev/null", 0);
    REQUIRE(fd);
    CHECK(f.custody->hold(HeldKey{}, std::move(*fd)).error() == Error{Op::message, EINVAL});
}
