// How a process gets a segment: the text of CLUSTER_STORE, and the answer of an attach socket.
//
// ATTACH.md has both byte by byte. What comes from an environment or a socket is refused unless it
// is exactly that; whether a descriptor really is the segment, Segment::attach and its inode tell.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/time.hpp"
#include "store/layout.hpp"
#include "sys/fd.hpp"

namespace cluster::store {

/// What CLUSTER_STORE says.
struct StoreAddress {
    int fd = -1;
    u64 inode = 0;
    u64 generation = 0;

    friend bool operator==(const StoreAddress&, const StoreAddress&) = default;
};
/// "v1:<fd>:<inode>:<generation>".
[[nodiscard]] std::string format_store_address(const StoreAddress& address);
/// Nothing for any other text.
[[nodiscard]] std::optional<StoreAddress> parse_store_address(std::string_view text);

// --- the attach socket --------------------------------------------------------------------------

inline constexpr u32 kAttachMagic = 0x4154'4331U;  // "1CTA" in memory
inline constexpr u16 kAttachVersion = 1;
inline constexpr std::size_t kMaxAttachItems = 16;
inline constexpr std::size_t kMaxAttachBytes = 1024;

/// What the abstract address of a client begins with that wants the channel.
inline constexpr std::string_view kChannelClient = "clusterd.channel.";

enum class AttachKind : u16 { store = 1, channel = 2 };

struct AttachItem {
    AttachKind kind = AttachKind::store;
    std::array<u16, 3> reserved{};
    u64 inode = 0;
    u64 generation = 0;
    u64 reserved_end = 0;
};
static_assert(sizeof(AttachItem) == 32 && std::is_trivially_copyable_v<AttachItem>);

struct AttachHeader {
    u32 magic = kAttachMagic;
    u16 version = kAttachVersion;
    u16 code = 0;  // errno of a refusal
    u16 items = 0;
    u16 item_bytes = sizeof(AttachItem);
    u32 reserved = 0;
};
static_assert(sizeof(AttachHeader) == 16 && std::is_trivially_copyable_v<AttachHeader>);

struct AttachAnswer {
    u16 code = 0;
    std::array<AttachItem, kMaxAttachItems> items{};
    std::size_t count = 0;

    /// Bounds: kMaxAttachItems.
    void add(const AttachItem& item) { items[count++] = item; }
};

/// Writes the packet; returns its size.
std::size_t encode_attach(const AttachAnswer& answer, std::span<std::byte, kMaxAttachBytes> packet);
/// Errors: {message, EPROTO} for anything else than an answer of this version with so many
/// descriptors.
[[nodiscard]] Result<AttachAnswer> decode_attach(std::span<const std::byte> packet,
                                                 std::size_t descriptors);

struct FetchedStore {
    sys::UniqueFd fd;  // close-on-exec
    u64 inode = 0;
    u64 generation = 0;
};
/// Asks an attach socket for the store. Waits until the patience ends. Errors: {connect, errno}
/// ENOENT or ECONNREFUSED when the instance is gone; {receive, ETIMEDOUT}; {receive, ECONNRESET} no
/// answer, worth another try; {message, EPROTO}; {store, EACCES} not a process of the worker;
/// {store, ENOENT} the worker has no store.
[[nodiscard]] Result<FetchedStore> fetch_store(const std::string& socket_path, Duration patience);

/// Asks for the message channel, of which the worker has a new one then. Close-on-exec. Errors: as
/// above; {store, ENOENT} the worker has no channel.
[[nodiscard]] Result<sys::UniqueFd> fetch_channel(const std::string& socket_path,
                                                  Duration patience);

/// True for the address of one who asks for the channel too.
[[nodiscard]] bool asks_for_channel(std::string_view peer_name);

}  // namespace cluster::store
