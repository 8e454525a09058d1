#include "wire/message.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cerrno>
#include <cstring>

using cluster::Generation;
using cluster::Op;
using cluster::Run;
using cluster::Slot;
namespace wire = cluster::wire;

namespace {

Run run_of(std::uint32_t slot, std::uint64_t generation) {
    return Run{.slot = Slot{slot}, .generation = Generation{generation}};
}

bool is_refused(const wire::Message& message, std::size_t size = sizeof(wire::Message),
                std::size_t fds = 0) {
    std::array<std::byte, 2 * sizeof(wire::Message)> bytes{};
    std::memcpy(bytes.data(), &message, sizeof message);
    const auto decoded = wire::decode(bytes.data(), size, fds);
    return !decoded && decoded.error().op == Op::message && decoded.error().code == EPROTO;
}

}  // namespace

TEST_CASE("wire/message: a message comes back as it was made") {
    wire::Message message = wire::make_message(wire::Kind::spawn, run_of(7, 41));
    message.sequence = 99;
    message.fd_count = 3;
    message.payload.spawn.epoch = 12;
    const auto decoded = wire::decode(&message, sizeof message, 3);
    REQUIRE(decoded);
    CHECK(decoded->kind == wire::Kind::spawn);
    CHECK(decoded->sequence == 99);
    CHECK(decoded->slot == 7);
    CHECK(decoded->generation == 41);
    CHECK(decoded->payload.spawn.epoch == 12);
}

TEST_CASE("wire/message: a message that concerns no slot says so") {
    CHECK(wire::make_message(wire::Kind::changed).slot == wire::kNoSlot);
}

TEST_CASE("wire/message: any other size is refused") {
    const wire::Message message = wire::make_message(wire::Kind::hello);
    CHECK(is_refused(message, 0));
    CHECK(is_refused(message, sizeof message - 1));
    CHECK(is_refused(message, sizeof message + 1));
    CHECK_FALSE(is_refused(message));
}

TEST_CASE("wire/message: foreign magic, version and kind are refused") {
    wire::Message message = wire::make_message(wire::Kind::hello);
    message.magic ^= 1U;
    CHECK(is_refused(message));
    message = wire::make_message(wire::Kind::hello);
    message.version = wire::kProtocolVersion + 1;
    CHECK(is_refused(message));
    for (const int kind : {0, 2, 15, 24, 31, 40, 65535}) {
        message = wire::make_message(static_cast<wire::Kind>(kind));
        CHECK(is_refused(message));
    }
}

TEST_CASE("wire/message: descriptors that do not match the count are refused") {
    wire::Message message = wire::make_message(wire::Kind::hold);
    message.fd_count = 2;
    CHECK(is_refused(message, sizeof message, 1));
    CHECK(is_refused(message, sizeof message, 3));
    CHECK_FALSE(is_refused(message, sizeof message, 2));
    message.fd_count = wire::kMaxFdsPerMessage + 1;
    CHECK(is_refused(message, sizeof message, wire::kMaxFdsPerMessage + 1));
}
