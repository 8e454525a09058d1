#include "supervisor/copies.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>

#include "sys/file.hpp"

namespace sys = cluster::sys;
namespace wire = cluster::wire;
using cluster::Generation;
using cluster::Run;
using cluster::Slot;
using cluster::supervisor::Copies;
using cluster::supervisor::process_key;

namespace {

wire::HeldKey key(std::uint32_t slot, std::uint64_t generation, wire::HeldKind kind) {
    return {.kind = kind, .index = 0, .slot = slot, .generation = generation};
}

bool is_open(int fd) {
    return ::fcntl(fd, F_GETFD) >= 0;
}

sys::UniqueFd null() {
    auto opened = sys::open_read_write("/dev/null");
    REQUIRE(opened);
    return std::move(*opened);
}

}  // namespace

TEST_CASE("supervisor/copies: each is a duplicate of its own, until it is dropped") {
    Copies copies(100'000);
    const sys::UniqueFd ours = null();
    copies.keep(key(2, 1, wire::HeldKind::output), ours.get());
    copies.keep(key(1, 1, wire::HeldKind::output), ours.get());
    copies.keep(key(wire::kNoSlot, 0, wire::HeldKind::lock), ours.get());
    copies.take(process_key({Slot{1}, Generation{1}}), null());
    REQUIRE(copies.all().size() == 4);
    CHECK(copies.is_complete());
    for (const Copies::Copy& copy : copies.all()) {
        CHECK(copy.fd.get() != ours.get());
        CHECK(is_open(copy.fd.get()));
    }
    const int dropped = copies.all().front().fd.get();
    copies.drop(copies.all().front().key);
    CHECK_FALSE(is_open(dropped));
    CHECK(copies.all().size() == 3);
    copies.drop(key(7, 1, wire::HeldKind::output));  // nothing
    copies.drop(key(2, 2, wire::HeldKind::output));
    CHECK(copies.all().size() == 3);
    CHECK(is_open(ours.get()));
}

TEST_CASE("supervisor/copies: an equal key is replaced") {
    Copies copies(100'000);
    const sys::UniqueFd ours = null();
    copies.keep(key(1, 1, wire::HeldKind::spec), ours.get());
    const int first = copies.all().front().fd.get();
    sys::UniqueFd other = null();
    const int second = other.get();
    copies.take(key(1, 1, wire::HeldKind::spec), std::move(other));
    REQUIRE(copies.all().size() == 1);
    CHECK(copies.all().front().fd.get() == second);
    CHECK_FALSE(is_open(first));
}

TEST_CASE("supervisor/copies: near the limit all are given up, and so it stays") {
    const sys::UniqueFd ours = null();
    // Of so few numbers a test has more than seven eighths open.
    const auto limit = static_cast<std::uint64_t>(ours.get()) + 3;
    Copies copies(limit);
    copies.keep(key(1, 1, wire::HeldKind::output), ours.get());
    CHECK_FALSE(copies.is_complete());
    CHECK(copies.all().empty());
    copies.keep(key(1, 2, wire::HeldKind::output), ours.get());
    CHECK(copies.all().empty());
    copies.drop(key(1, 1, wire::HeldKind::output));

    Copies broken(100'000);
    broken.keep(key(1, 1, wire::HeldKind::output), -1);
    CHECK_FALSE(broken.is_complete());
}
