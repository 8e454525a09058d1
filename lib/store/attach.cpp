#include "store/attach.hpp"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <limits>

#include "sys/packet_socket.hpp"
#include "sys/socket.hpp"

namespace cluster::store {
namespace {

constexpr std::string_view kPrefix = "v1:";

/// A decimal number without sign or leading zeros, up to the separator or the end.
std::optional<u64> take_number(std::string_view& text, bool is_last) {
    const std::size_t end = is_last ? text.size() : text.find(':');
    if (end == std::string_view::npos || end == 0) return std::nullopt;
    const std::string_view digits = text.substr(0, end);
    if (digits.size() > 1 && digits.front() == '0') return std::nullopt;
    u64 number = 0;
    const auto [stop, error] = std::from_chars(digits.data(), digits.data() + end, number);
    if (error != std::errc{} || stop != digits.data() + end) return std::nullopt;
    text.remove_prefix(is_last ? end : end + 1);
    return number;
}

template <class Record>
Record read_record(std::span<const std::byte> bytes, std::size_t at) {
    Record record;
    std::memcpy(&record, bytes.data() + at, sizeof record);
    return record;
}

}  // namespace

std::string format_store_address(const StoreAddress& address) {
    return std::string{kPrefix} + std::to_string(address.fd) + ":" + std::to_string(address.inode) +
           ":" + std::to_string(address.generation);
}

std::optional<StoreAddress> parse_store_address(std::string_view text) {
    if (text.substr(0, kPrefix.size()) != kPrefix) return std::nullopt;
    text.remove_prefix(kPrefix.size());
    const auto fd = take_number(text, false);
    if (!fd || *fd > u64{std::numeric_limits<int>::max()}) return std::nullopt;
    const auto inode = take_number(text, false);
    if (!inode) return std::nullopt;
    const auto generation = take_number(text, true);
    if (!generation) return std::nullopt;
    return StoreAddress{.fd = static_cast<int>(*fd), .inode = *inode, .generation = *generation};
}

std::size_t encode_attach(const AttachAnswer& answer,
                          std::span<std::byte, kMaxAttachBytes> packet) {
    const AttachHeader header{.code = answer.code, .items = static_cast<u16>(answer.count)};
    std::memcpy(packet.data(), &header, sizeof header);
    std::memcpy(packet.data() + sizeof header, answer.items.data(),
                answer.count * sizeof(AttachItem));
    return sizeof header + answer.count * sizeof(AttachItem);
}

Result<AttachAnswer> decode_attach(std::span<const std::byte> packet, std::size_t descriptors) {
    if (packet.size() < sizeof(AttachHeader)) return fail(Op::message, EPROTO);
    const auto header = read_record<AttachHeader>(packet, 0);
    const bool is_sound =
        header.magic == kAttachMagic && header.version == kAttachVersion &&
        header.items <= kMaxAttachItems && header.items == descriptors &&
        header.item_bytes >= sizeof(AttachItem) &&
        packet.size() == sizeof(AttachHeader) + std::size_t{header.items} * header.item_bytes;
    if (!is_sound) return fail(Op::message, EPROTO);
    AttachAnswer answer;
    answer.code = header.code;
    for (std::size_t i = 0; i < header.items; ++i) {
        answer.add(read_record<AttachItem>(packet, sizeof header + i * header.item_bytes));
    }
    return answer;
}

namespace {

struct Fetched {
    AttachItem item;
    sys::UniqueFd fd;
};

/// The item of that kind in the answer to this connection.
Result<Fetched> fetch(const sys::UniqueFd& socket, AttachKind wanted, Duration patience) {
    if (const auto ready = sys::wait_readable(socket.get(), patience); !ready) {
        return fail(Op::receive, ready.error().code);
    }
    std::array<std::byte, kMaxAttachBytes> bytes;
    sys::Packet packet;
    if (const auto got = sys::receive_packet(socket.get(), bytes, packet); !got) {
        return tl::unexpected<Error>(got.error());
    }
    if (packet.bytes == 0) return fail(Op::receive, ECONNRESET);
    if (packet.is_truncated) return fail(Op::message, EPROTO);
    const auto answer =
        decode_attach(std::span<const std::byte>{bytes}.first(packet.bytes), packet.fd_count);
    if (!answer) return tl::unexpected<Error>(answer.error());
    if (answer->code != 0) return fail(Op::store, answer->code);
    for (std::size_t i = 0; i < answer->count; ++i) {
        if (answer->items[i].kind != wanted) continue;
        return Fetched{.item = answer->items[i], .fd = std::move(packet.fds[i])};
    }
    return fail(Op::store, ENOENT);
}

}  // namespace

Result<FetchedStore> fetch_store(const std::string& socket_path, Duration patience) {
    const auto socket = sys::connect_packets(socket_path, patience);
    if (!socket) return tl::unexpected<Error>(socket.error());
    auto fetched = fetch(*socket, AttachKind::store, patience);
    if (!fetched) return tl::unexpected<Error>(fetched.error());
    return FetchedStore{.fd = std::move(fetched->fd),
                        .inode = fetched->item.inode,
                        .generation = fetched->item.generation};
}

Result<sys::UniqueFd> fetch_channel(const std::string& socket_path, Duration patience) {
    const auto socket = sys::connect_packets(socket_path, patience, kChannelClient);
    if (!socket) return tl::unexpected<Error>(socket.error());
    auto fetched = fetch(*socket, AttachKind::channel, patience);
    if (!fetched) return tl::unexpected<Error>(fetched.error());
    return std::move(fetched->fd);
}

bool asks_for_channel(std::string_view peer_name) {
    return peer_name.substr(0, kChannelClient.size()) == kChannelClient;
}

}  // namespace cluster::store
