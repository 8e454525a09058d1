#include "store/attach.hpp"

#include <thread>

#include "store_fixture.hpp"
#include "support/scratch.hpp"
#include "sys/packet_socket.hpp"
#include "sys/process.hpp"
#include "sys/shared_memory.hpp"
#include "sys/socket.hpp"

namespace cluster::store::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A daemon that answers one connection with these bytes and descriptors.
class OneAnswer {
public:
    OneAnswer(const std::string& path, std::span<const std::byte> packet, std::vector<int> fds)
        : listener_(*sys::listen_packets(path, sys::current_uid(), sys::current_gid(), 4)),
          packet_(packet.begin(), packet.end()),
          fds_(std::move(fds)),
          thread_([this] { serve(); }) {}
    ~OneAnswer() { thread_.join(); }

private:
    void serve() {
        REQUIRE(sys::wait_readable(listener_.get(), seconds{20}));
        const auto peer = sys::accept_connection(listener_.get());
        REQUIRE(peer);
        if (!packet_.empty()) REQUIRE(sys::send_packet(peer->get(), packet_, fds_));
    }

    sys::UniqueFd listener_;
    std::vector<std::byte> packet_;
    std::vector<int> fds_;
    std::thread thread_;
};

Result<FetchedStore> answered_with(const AttachAnswer& answer, std::vector<int> fds) {
    const cluster::test::Scratch scratch;
    std::array<std::byte, kMaxAttachBytes> packet{};
    const std::size_t size = encode_attach(answer, packet);
    const OneAnswer daemon{scratch.path() + "/a.sock", std::span{packet}.first(size),
                           std::move(fds)};
    return fetch_store(scratch.path() + "/a.sock", seconds{20});
}

TEST_CASE("store/attach: the text of an address round-trips, and nothing else is one") {
    const StoreAddress address{.fd = 5, .inode = 1044, .generation = 18446744073709551615U};
    CHECK(format_store_address(address) == "v1:5:1044:18446744073709551615");
    CHECK(parse_store_address(format_store_address(address)) == address);
    CHECK(parse_store_address("v1:0:0:0") == StoreAddress{.fd = 0, .inode = 0, .generation = 0});
    for (const char* bad :
         {"", "v1", "v1:", "v1:5", "v1:5:6", "v1:5:6:", "v1:5:6:7:8", "v1:5:6:7 ", " v1:5:6:7",
          "v2:5:6:7", "v1:-5:6:7", "v1:+5:6:7", "v1:05:6:7", "v1:5:0x6:7", "v1::6:7",
          "v1:2147483648:6:7", "v1:5:6:18446744073709551616", "V1:5:6:7"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_store_address(bad));
    }
}

TEST_CASE("store/attach: an answer has the bytes of ATTACH.md") {
    AttachAnswer answer;
    answer.add({.kind = AttachKind::store, .inode = 0x0102, .generation = 0x0304});
    std::array<std::byte, kMaxAttachBytes> packet{};
    REQUIRE(encode_attach(answer, packet) == 48);
    const auto at = [&packet](std::size_t i) { return std::to_integer<int>(packet[i]); };
    CHECK(std::memcmp(packet.data(), "1CTA", 4) == 0);
    CHECK(at(4) == 1);    // version
    CHECK(at(6) == 0);    // code
    CHECK(at(8) == 1);    // items
    CHECK(at(10) == 32);  // bytes of an item
    CHECK(at(16) == 1);   // kind
    CHECK(at(24) == 0x02);
    CHECK(at(25) == 0x01);
    CHECK(at(32) == 0x04);
    CHECK(at(33) == 0x03);
}

TEST_CASE("store/attach: whatever is no answer is refused") {
    AttachAnswer answer;
    answer.add({.kind = AttachKind::store, .inode = 1, .generation = 2});
    std::array<std::byte, kMaxAttachBytes> packet{};
    const std::size_t size = encode_attach(answer, packet);
    const auto decode = [&packet](std::size_t bytes, std::size_t fds) {
        return decode_attach(std::span<const std::byte>{packet}.first(bytes), fds);
    };
    REQUIRE(decode(size, 1));
    CHECK(decode(size, 1)->items[0].generation == 2);
    for (std::size_t bytes = 0; bytes < size; ++bytes) CHECK_FALSE(decode(bytes, 1));
    CHECK_FALSE(decode(size + 1, 1));
    CHECK_FALSE(decode(size, 0));
    CHECK_FALSE(decode(size, 2));
    for (const std::size_t at : {std::size_t{0}, std::size_t{4}, std::size_t{8}, std::size_t{10}}) {
        CAPTURE(at);
        const std::byte before = packet[at];
        packet[at] = static_cast<std::byte>(17);  // more than kMaxAttachItems too
        CHECK_FALSE(decode(size, 1));
        packet[at] = before;
    }
}

TEST_CASE("store/attach: larger items of a later version are stepped over") {
    std::array<std::byte, kMaxAttachBytes> packet{};
    const AttachHeader header{.items = 2, .item_bytes = 40};
    std::memcpy(packet.data(), &header, sizeof header);
    const AttachItem second{.kind = AttachKind::channel, .inode = 0, .generation = 9};
    std::memcpy(packet.data() + 16 + 40, &second, sizeof second);
    const auto answer = decode_attach(std::span<const std::byte>{packet}.first(16 + 80), 2);
    REQUIRE(answer);
    CHECK(answer->count == 2);
    CHECK(answer->items[1].kind == AttachKind::channel);
    CHECK(answer->items[1].generation == 9);
}

TEST_CASE("store/attach: the store arrives whole beside descriptors of other kinds") {
    const Place place;
    const sys::UniqueFd other = *sys::open_memory_file("other", 1);
    AttachAnswer answer;
    answer.add({.kind = AttachKind::channel});
    answer.add({.kind = AttachKind::store,
                .inode = place.segment->inode(),
                .generation = place.segment->generation()});
    const auto store = answered_with(answer, {other.get(), place.file.get()});
    REQUIRE(store);
    CHECK(store->inode == place.segment->inode());
    const auto segment = Segment::attach(store->fd.get(), Access::read_write);
    REQUIRE(segment);
    CHECK(segment->generation() == store->generation);
}

TEST_CASE("store/attach: each way not to get the store has its own error") {
    CHECK(answered_with({.code = EACCES}, {}).error() == Error{Op::store, EACCES});
    CHECK(answered_with({}, {}).error() == Error{Op::store, ENOENT});

    const cluster::test::Scratch scratch;
    const std::string path = scratch.path() + "/a.sock";
    CHECK(fetch_store(path, seconds{1}).error() == Error{Op::connect, ENOENT});
    CHECK(fetch_store(std::string(200, 'x'), seconds{1}).error() ==
          Error{Op::connect, ENAMETOOLONG});
    {
        const OneAnswer silent{path, {}, {}};
        CHECK(fetch_store(path, seconds{20}).error() == Error{Op::receive, ECONNRESET});
    }
    CHECK(fetch_store(path, seconds{1}).error() == Error{Op::connect, ECONNREFUSED});
    {
        const std::string nonsense = "hello";
        const OneAnswer stranger{path, std::as_bytes(std::span{nonsense}), {}};
        CHECK(fetch_store(path, seconds{20}).error() == Error{Op::message, EPROTO});
    }
}

TEST_CASE("store/attach: a daemon that does not answer is waited for so long and no longer") {
    const cluster::test::Scratch scratch;
    const std::string path = scratch.path() + "/a.sock";
    const auto listener = sys::listen_packets(path, sys::current_uid(), sys::current_gid(), 0);
    REQUIRE(listener);
    CHECK(fetch_store(path, milliseconds{30}).error() == Error{Op::receive, ETIMEDOUT});
    // Nobody accepts: the connection above still fills the queue.
    const auto waiting = sys::connect_packets(path, seconds{1});
    CHECK((waiting || waiting.error() == Error{Op::connect, ETIMEDOUT}));
    CHECK(sys::connect_packets(path, milliseconds{30}).error() == Error{Op::connect, ETIMEDOUT});
}

}  // namespace
}  // namespace cluster::store::test
