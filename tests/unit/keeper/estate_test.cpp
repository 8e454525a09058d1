#include "keeper/estate.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <cerrno>
#include <memory>

#include "sys/file.hpp"
#include "sys/memory.hpp"
#include "wire/estate.hpp"

namespace keeper = cluster::keeper;
namespace sys = cluster::sys;
namespace wire = cluster::wire;
using cluster::Error;
using cluster::Op;

namespace {

constexpr wire::HeldKey kLock{.kind = wire::HeldKind::lock};

/// A table as a keeper leaves it, and two descriptors; what is received takes them over.
struct Left {
    int table = -1;
    int witness = -1;
    int lock = -1;

    explicit Left(std::uint32_t version = wire::kTableVersion) {
        auto file = sys::open_memory_file("table", sizeof(wire::Table));
        REQUIRE(file);
        auto mapping = sys::map_shared(file->get(), sizeof(wire::Table), true);
        REQUIRE(mapping);
        wire::TableHeader& header = mapping->as<wire::Table>()->header;
        header.magic = wire::kTableMagic;
        header.version = version;
        header.slot_record_bytes = sizeof(wire::SlotRecord);
        header.held_record_bytes = sizeof(wire::HeldRecord);
        header.max_slots = wire::kMaxSlots;
        header.max_held = wire::kMaxHeld;
        header.successions = 5;
        table = file->take();
        witness = sys::open_read_write("/dev/null")->take();
        lock = sys::open_read_write("/dev/null")->take();
    }
};

cluster::Result<keeper::Estate> receive(std::string_view bytes) {
    const auto file = sys::make_sealed_file("estate", bytes);
    REQUIRE(file);
    return keeper::receive_estate(file->get());
}

}  // namespace

TEST_CASE("keeper/estate: descriptors are taken over, and live on in no child") {
    const Left left;
    ::fcntl(left.lock, F_SETFD, 0);
    wire::EstateBuilder builder;
    builder.add(kLock, left.lock);
    const auto estate = receive(builder.finish(left.table, left.witness));
    REQUIRE(estate);
    CHECK(estate->old_table().header.successions == 5);
    CHECK(estate->witness.get() == left.witness);
    REQUIRE(estate->items.size() == 1);
    CHECK(estate->items.front().key == kLock);
    CHECK(estate->items.front().fd.get() == left.lock);
    CHECK((::fcntl(left.lock, F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("keeper/estate: what is not open, or named twice, is refused") {
    const Left left;
    for (const int number : {9999, left.table, left.witness}) {
        CAPTURE(number);
        wire::EstateBuilder builder;
        builder.add(kLock, number);
        const auto estate = receive(builder.finish(left.table, left.witness));
        REQUIRE_FALSE(estate);
        CHECK(estate.error() == Error{Op::estate, EBADF});
    }
}

TEST_CASE("keeper/estate: a table of another version, and no table, are refused") {
    const Left other(wire::kTableVersion + 1);
    wire::EstateBuilder builder;
    auto estate = receive(builder.finish(other.table, other.witness));
    REQUIRE_FALSE(estate);
    CHECK(estate.error() == Error{Op::estate, EPROTO});
    const Left none;
    wire::EstateBuilder without;
    estate = receive(without.finish(none.lock, none.witness));
    CHECK_FALSE(estate);
}

TEST_CASE("keeper/estate: no estate is refused") {
    CHECK_FALSE(receive({}));
    CHECK_FALSE(receive(std::string(64, '\0')));
    CHECK_FALSE(receive(std::string(61, '\0')));
    CHECK_FALSE(keeper::receive_estate(sys::open_read_write("/dev/null")->get()));
}

TEST_CASE("keeper/estate: who can succeed knows the versions up to the slash") {
    CHECK(keeper::can_succeed(wire::succession_versions()));
    CHECK(keeper::can_succeed(wire::succession_versions() + "/99"));
    CHECK_FALSE(keeper::can_succeed(""));
    CHECK_FALSE(keeper::can_succeed("/2"));
    CHECK_FALSE(keeper::can_succeed("0.0.0/2"));
}
