#include "supervisor/copies.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <algorithm>
#include <map>
#include <random>
#include <tuple>

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

std::size_t count(const Copies& copies) {
    const auto& all = copies.all();
    return static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [](const auto& copy) { return copy.fd.is_open(); }));
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
    // Some generations are no counters.
    copies.keep(key(wire::kNoSlot, ~std::uint64_t{0}, wire::HeldKind::store), ours.get());
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
    CHECK(count(copies) == 3);
    copies.drop(key(7, 1, wire::HeldKind::output));  // nothing
    copies.drop(key(2, 2, wire::HeldKind::output));
    CHECK(count(copies) == 3);
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

TEST_CASE("supervisor/copies: whatever comes and goes, what is there is what was kept last") {
    Copies copies(100'000);
    std::map<std::tuple<std::uint32_t, std::uint64_t>, int> wanted;
    std::mt19937 random(7);
    const sys::UniqueFd ours = null();
    for (int round = 0; round < 5'000; ++round) {
        const auto slot = static_cast<std::uint32_t>(random() % 20);
        const std::uint64_t generation = 1 + random() % 3;
        if (random() % 2 == 0) {
            sys::UniqueFd fd = null();
            wanted[{slot, generation}] = fd.get();
            copies.take(key(slot, generation, wire::HeldKind::output), std::move(fd));
        } else {
            wanted.erase({slot, generation});
            copies.drop(key(slot, generation, wire::HeldKind::output));
        }
    }
    REQUIRE(count(copies) == wanted.size());
    for (const Copies::Copy& copy : copies.all()) {
        if (!copy.fd.is_open()) continue;
        CHECK(wanted.at({copy.key.slot, copy.key.generation}) == copy.fd.get());
    }
    CHECK(std::is_sorted(copies.all().begin(), copies.all().end(), [](const auto& a, const auto& b) {
        return std::tuple(a.key.slot, a.key.generation) <
               std::tuple(b.key.slot, b.key.generation);
    }));
    CHECK(copies.all().size() <= 2 * wanted.size() + 1);
}
