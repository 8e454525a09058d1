// What a keeper leaves to the next one: a memfd that names every descriptor which goes over, by its
// number, and says what it is.
//
// The successor inherits the descriptors under those numbers, through exec: the keeper executes
// another binary in its own place (an upgrade), or the supervisor of a keeper that is dead starts a
// new one with its duplicates. All else is in the table, which is one of the descriptors. Byte
// tables: PROTOCOL.md, section 7.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/result.hpp"
#include "wire/message.hpp"
#include "wire/table.hpp"

namespace cluster::wire {

inline constexpr std::uint64_t kEstateMagic = 0x31455441545345FF;
inline constexpr std::uint32_t kEstateVersion = 1;

struct EstateHeader {
    std::uint64_t magic = kEstateMagic;
    std::uint32_t version = kEstateVersion;
    std::uint32_t header_bytes = 64;
    std::uint32_t entry_bytes = 24;
    std::uint32_t entry_count = 0;
    std::int32_t table = -1;    // the predecessor's table
    std::int32_t witness = -1;  // a SEQPACKET socket: who waits there for `succeeded`
    std::uint8_t reserved[32] = {};
};
static_assert(sizeof(EstateHeader) == 64 && std::is_trivially_copyable_v<EstateHeader>);

struct EstateEntry {
    HeldKey key;  // HeldKind::process: a pidfd of the run; else as in custody
    std::int32_t fd = -1;
    std::uint32_t reserved = 0;
};
static_assert(sizeof(EstateEntry) == 24 && std::is_trivially_copyable_v<EstateEntry>);

/// Everything held, and a pidfd for each run.
inline constexpr std::uint32_t kMaxEstateEntries = kMaxHeld + kMaxSlots;
inline constexpr std::size_t kMaxEstateBytes =
    sizeof(EstateHeader) + std::size_t{kMaxEstateEntries} * sizeof(EstateEntry);

/// "ESTATE.TABLE.PROTOCOL": the versions of everything that two keepers, and the supervisor between
/// them, have to understand alike.
[[nodiscard]] std::string succession_versions();

/// Collects what goes over.
class EstateBuilder {
public:
    EstateBuilder() : bytes_(sizeof(EstateHeader), '\0') {}
    void add(const HeldKey& key, int fd);
    /// The file's bytes, which stay here. To be called once, at the end.
    [[nodiscard]] std::string_view finish(int table, int witness);
    /// Every descriptor that it names: those that must survive exec.
    [[nodiscard]] const std::vector<int>& descriptors() const { return descriptors_; }

private:
    std::string bytes_;
    std::vector<int> descriptors_;
};

struct EstateView {
    const EstateHeader* header = nullptr;
    std::span<const EstateEntry> entries;
};
/// Checks form and bounds: sizes, numbers of descriptors (3 and above), kinds. Whether the
/// descriptors are open is for the kernel to say. Requires: `bytes` is aligned to 8.
/// Errors: {estate, EPROTO} of another version; {estate, EINVAL} malformed.
[[nodiscard]] Result<EstateView> check_estate(std::span<const std::byte> bytes);

}  // namespace cluster::wire
