#include "wire/estate.hpp"

#include <cerrno>
#include <cstring>

namespace cluster::wire {

// PROTOCOL.md has the byte tables.
static_assert(offsetof(EstateHeader, version) == 8 && offsetof(EstateHeader, entry_count) == 20);
static_assert(offsetof(EstateHeader, table) == 24 && offsetof(EstateHeader, witness) == 28);
static_assert(offsetof(EstateEntry, fd) == 16);

namespace {

/// The standard descriptors are nobody's to leave.
constexpr std::int32_t kFirstDescriptor = 3;

}  // namespace

std::string succession_versions() {
    return std::to_string(kEstateVersion) + "." + std::to_string(kTableVersion) + "." +
           std::to_string(kProtocolVersion);
}

void EstateBuilder::add(const HeldKey& key, int fd) {
    const EstateEntry entry{.key = key, .fd = fd};
    bytes_.append(reinterpret_cast<const char*>(&entry), sizeof entry);
    descriptors_.push_back(fd);
}

std::string_view EstateBuilder::finish(int table, int witness) {
    EstateHeader header;
    header.entry_count = static_cast<std::uint32_t>(descriptors_.size());
    header.table = table;
    header.witness = witness;
    std::memcpy(bytes_.data(), &header, sizeof header);
    descriptors_.push_back(table);
    descriptors_.push_back(witness);
    return bytes_;
}

Result<EstateView> check_estate(std::span<const std::byte> bytes) {
    if (bytes.size() < sizeof(EstateHeader)) return fail(Op::estate, EINVAL);
    const auto* header = reinterpret_cast<const EstateHeader*>(bytes.data());
    const bool is_ours = header->magic == kEstateMagic && header->version == kEstateVersion &&
                         header->header_bytes == sizeof(EstateHeader) &&
                         header->entry_bytes == sizeof(EstateEntry);
    if (!is_ours) return fail(Op::estate, EPROTO);
    const std::size_t expected =
        sizeof(EstateHeader) + std::size_t{header->entry_count} * sizeof(EstateEntry);
    if (header->entry_count > kMaxEstateEntries || bytes.size() != expected ||
        header->table < kFirstDescriptor || header->witness < kFirstDescriptor) {
        return fail(Op::estate, EINVAL);
    }
    const std::span entries(
        reinterpret_cast<const EstateEntry*>(bytes.data() + sizeof(EstateHeader)),
        header->entry_count);
    for (const EstateEntry& entry : entries) {
        if (entry.key.kind == HeldKind::none || entry.fd < kFirstDescriptor) {
            return fail(Op::estate, EINVAL);
        }
    }
    return EstateView{.header = header, .entries = entries};
}

}  // namespace cluster::wire
