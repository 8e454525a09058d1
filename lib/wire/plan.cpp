#include "wire/plan.hpp"

#include <cerrno>
#include <cstring>

namespace cluster::wire {

// PROTOCOL.md has the byte tables.
static_assert(offsetof(PlanHeader, op_count) == 16 && offsetof(PlanHeader, string_bytes) == 28);
static_assert(offsetof(PlanOperation, offset) == 4 && offsetof(PlanOperation, wide_a) == 16);

namespace {

// "4294967295" and a NUL: the widest pid that env_pid could ever write.
constexpr std::uint32_t kPidRoom = 11;
// NGROUPS_MAX of Linux. Source: setgroups(2).
constexpr std::uint32_t kMaxGroups = 65536;
// RLIM_NLIMITS of Linux. Source: getrlimit(2); asm-generic/resource.h.
constexpr std::uint32_t kResourceCount = 16;
constexpr std::uint32_t kMaxUmask = 0777;
constexpr std::size_t kOperationAlignment = 8;

std::uint64_t expected_bytes(const PlanHeader& header) {
    const std::uint64_t pointers = std::uint64_t{header.argv_count} + header.envp_count;
    return sizeof(PlanHeader) + std::uint64_t{header.op_count} * sizeof(PlanOperation) +
           pointers * sizeof(std::uint32_t) + header.string_bytes;
}

bool is_header_sound(const PlanHeader& header, std::size_t size) {
    if (header.magic != kPlanMagic || header.version != kPlanVersion) return false;
    if (header.op_count == 0 || header.op_count > kMaxPlanOps) return false;
    if (header.argv_count == 0 || header.argv_count > kMaxPlanPointers) return false;
    if (header.envp_count > kMaxPlanPointers) return false;
    // Two terminators are added when the pointers are made.
    if (header.argv_count + header.envp_count + 2 > kMaxPlanPointers) return false;
    if (header.string_bytes == 0 || header.string_bytes > kMaxPlanBytes) return false;
    return header.total_bytes == size && expected_bytes(header) == size;
}

bool is_operation_sound(const PlanOperation& operation, std::uint32_t string_bytes,
                        std::size_t fd_count) {
    switch (operation.op) {
        case PlanOp::session:
        case PlanOp::nice:
        case PlanOp::set_gid:
        case PlanOp::set_uid:
        case PlanOp::oom_score:
            return true;
        case PlanOp::dup:
            return operation.a < fd_count && operation.b < std::uint32_t{kMaxTargetFd};
        case PlanOp::limit:
            return operation.a < kResourceCount;
        case PlanOp::umask:
            return operation.a <= kMaxUmask;
        case PlanOp::groups: {
            if (operation.a > kMaxGroups || operation.offset % alignof(std::uint32_t) != 0) {
                return false;
            }
            const std::uint64_t end = std::uint64_t{operation.offset} +
                                      std::uint64_t{operation.a} * sizeof(std::uint32_t);
            return end <= string_bytes;
        }
        case PlanOp::env_pid:
            return std::uint64_t{operation.offset} + kPidRoom <= string_bytes;
        case PlanOp::chdir:
        case PlanOp::exec:
            return operation.offset < string_bytes;
    }
    return false;  // a number from the other process that names nothing
}

bool are_offsets_inside(std::span<const std::uint32_t> offsets, std::uint32_t string_bytes) {
    for (const std::uint32_t offset : offsets) {
        if (offset >= string_bytes) return false;
    }
    return true;
}

template <class T>
void append(std::vector<std::byte>& bytes, const T* values, std::size_t count) {
    const auto* begin = reinterpret_cast<const std::byte*>(values);
    bytes.insert(bytes.end(), begin, begin + count * sizeof(T));
}

}  // namespace

Result<PlanView> check_plan(std::span<std::byte> bytes, std::size_t fd_count) {
    const auto refused = fail(Op::plan, EINVAL);
    if (bytes.size() < sizeof(PlanHeader) || bytes.size() > kMaxPlanBytes) return refused;
    if (reinterpret_cast<std::uintptr_t>(bytes.data()) % kOperationAlignment != 0) return refused;
    PlanHeader header;
    std::memcpy(&header, bytes.data(), sizeof header);
    if (!is_header_sound(header, bytes.size())) return refused;

    // From here on every part lies inside `bytes`: the counts add up to its size exactly.
    std::byte* cursor = bytes.data() + sizeof(PlanHeader);
    PlanView view;
    view.ops = {reinterpret_cast<const PlanOperation*>(cursor), header.op_count};
    cursor += header.op_count * sizeof(PlanOperation);
    view.argv = {reinterpret_cast<const std::uint32_t*>(cursor), header.argv_count};
    cursor += header.argv_count * sizeof(std::uint32_t);
    view.envp = {reinterpret_cast<const std::uint32_t*>(cursor), header.envp_count};
    cursor += header.envp_count * sizeof(std::uint32_t);
    view.strings = {reinterpret_cast<char*>(cursor), header.string_bytes};

    if (view.strings.back() != '\0') return refused;
    if (!are_offsets_inside(view.argv, header.string_bytes)) return refused;
    if (!are_offsets_inside(view.envp, header.string_bytes)) return refused;
    for (std::size_t i = 0; i < view.ops.size(); ++i) {
        const bool is_last = i + 1 == view.ops.size();
        if ((view.ops[i].op == PlanOp::exec) != is_last) return refused;
        if (!is_operation_sound(view.ops[i], header.string_bytes, fd_count)) return refused;
    }
    return view;
}

void PlanBuilder::add_operation(PlanOp op, std::uint32_t offset, std::uint32_t a, std::uint32_t b) {
    ops_.push_back({.op = op, .offset = offset, .a = a, .b = b, .wide_a = 0, .wide_b = 0});
}

void PlanBuilder::session() {
    add_operation(PlanOp::session, 0, 0, 0);
}

void PlanBuilder::dup(std::uint32_t attached_index, std::uint32_t target_fd) {
    add_operation(PlanOp::dup, 0, attached_index, target_fd);
}

void PlanBuilder::limit(std::uint32_t resource, std::uint64_t soft, std::uint64_t hard) {
    add_operation(PlanOp::limit, 0, resource, 0);
    ops_.back().wide_a = soft;
    ops_.back().wide_b = hard;
}

void PlanBuilder::umask(std::uint32_t mask) {
    add_operation(PlanOp::umask, 0, mask, 0);
}

void PlanBuilder::nice(int value) {
    add_operation(PlanOp::nice, 0, static_cast<std::uint32_t>(value), 0);
}

void PlanBuilder::groups(std::span<const std::uint32_t> gids) {
    // The block starts at a multiple of 4 in the file, so an aligned offset is an aligned address.
    while (strings_.size() % alignof(std::uint32_t) != 0) strings_.push_back('\0');
    const auto offset = static_cast<std::uint32_t>(strings_.size());
    const auto* begin = reinterpret_cast<const char*>(gids.data());
    strings_.insert(strings_.end(), begin, begin + gids.size_bytes());
    add_operation(PlanOp::groups, offset, static_cast<std::uint32_t>(gids.size()), 0);
}

void PlanBuilder::set_gid(std::uint32_t gid) {
    add_operation(PlanOp::set_gid, 0, gid, 0);
}

void PlanBuilder::set_uid(std::uint32_t uid) {
    add_operation(PlanOp::set_uid, 0, uid, 0);
}

void PlanBuilder::chdir(std::string_view path) {
    add_operation(PlanOp::chdir, add_string(path), 0, 0);
}

void PlanBuilder::oom_score(int value) {
    add_operation(PlanOp::oom_score, 0, static_cast<std::uint32_t>(value), 0);
}

void PlanBuilder::add_argument(std::string_view argument) {
    argv_.push_back(add_string(argument));
}

void PlanBuilder::add_environment(std::string_view name, std::string_view value) {
    envp_.push_back(static_cast<std::uint32_t>(strings_.size()));
    strings_.insert(strings_.end(), name.begin(), name.end());
    strings_.push_back('=');
    add_string(value);
}

void PlanBuilder::add_environment_pid(std::string_view name) {
    envp_.push_back(static_cast<std::uint32_t>(strings_.size()));
    strings_.insert(strings_.end(), name.begin(), name.end());
    strings_.push_back('=');
    const auto offset = static_cast<std::uint32_t>(strings_.size());
    strings_.insert(strings_.end(), kPidRoom, '\0');
    add_operation(PlanOp::env_pid, offset, 0, 0);
}

void PlanBuilder::exec(std::string_view path) {
    add_operation(PlanOp::exec, add_string(path), 0, 0);
}

std::uint32_t PlanBuilder::add_string(std::string_view text) {
    const auto offset = static_cast<std::uint32_t>(strings_.size());
    strings_.insert(strings_.end(), text.begin(), text.end());
    strings_.push_back('\0');
    return offset;
}

Result<std::vector<std::byte>> PlanBuilder::finish() const {
    if (ops_.size() > kMaxPlanOps || argv_.size() + envp_.size() + 2 > kMaxPlanPointers) {
        return fail(Op::plan, E2BIG);
    }
    // A group list may have come last; the block must end with a NUL all the same.
    std::vector<char> strings = strings_;
    if (strings.empty() || strings.back() != '\0') strings.push_back('\0');
    const std::size_t total = sizeof(PlanHeader) + ops_.size() * sizeof(PlanOperation) +
                              (argv_.size() + envp_.size()) * sizeof(std::uint32_t) +
                              strings.size();
    if (total > kMaxPlanBytes) return fail(Op::plan, E2BIG);

    const PlanHeader header{.magic = kPlanMagic,
                            .version = kPlanVersion,
                            .total_bytes = static_cast<std::uint32_t>(total),
                            .op_count = static_cast<std::uint32_t>(ops_.size()),
                            .argv_count = static_cast<std::uint32_t>(argv_.size()),
                            .envp_count = static_cast<std::uint32_t>(envp_.size()),
                            .string_bytes = static_cast<std::uint32_t>(strings.size())};
    std::vector<std::byte> bytes;
    bytes.reserve(total);
    append(bytes, &header, 1);
    append(bytes, ops_.data(), ops_.size());
    append(bytes, argv_.data(), argv_.size());
    append(bytes, envp_.data(), envp_.size());
    append(bytes, strings.data(), strings.size());
    return bytes;
}

}  // namespace cluster::wire
