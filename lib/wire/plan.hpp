// A spawn plan: an array of fixed 32-byte operations and a block of strings, in a memfd sealed
// against writing.
//
// The supervisor compiles policy into a plan (PlanBuilder); the keeper checks bounds (check_plan)
// and the child runs the operations in order. No text is parsed and no choice is made on the way.
// What every run gets without being asked: signal dispositions and mask reset, and every descriptor
// closed that no operation placed. Byte tables: PROTOCOL.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/result.hpp"

namespace cluster::wire {

inline constexpr std::uint64_t kPlanMagic = 0x314E414C504C43FF;
inline constexpr std::uint32_t kPlanVersion = 1;
/// The keeper reads a plan into memory that it took at its start. The kernel's own bound for
/// arguments and environment is 128 KiB a string and a quarter of the stack limit (2 MiB) in all.
inline constexpr std::size_t kMaxPlanBytes = 1U << 20U;
inline constexpr std::uint32_t kMaxPlanOps = 128;
inline constexpr std::uint32_t kMaxPlanPointers = 16384;  // argv + envp, terminators included
/// Targets of dup operations: 0 … kMaxTargetFd - 1.
inline constexpr std::int32_t kMaxTargetFd = 64;

enum class PlanOp : std::uint32_t {
    session = 1,     // setsid
    dup = 2,         // a: index of an attached descriptor (fds[1 + a] of the message), b: target
    limit = 3,       // a: RLIMIT_*, wide_a: soft, wide_b: hard
    umask = 4,       // a: mask
    nice = 5,        // a: value as an int
    groups = 6,      // offset: array of uint32 gids in the string block, a: their count
    set_gid = 7,     // a: gid
    set_uid = 8,     // a: uid
    chdir = 9,       // offset: path
    env_pid = 10,    // offset: place inside an environment string with room for 10 digits and NUL:
                     // decimal pid of the child
    oom_score = 11,  // a: oom_score_adj as an int
    exec = 12,       // offset: path; last operation
};

struct PlanOperation {
    PlanOp op;
    std::uint32_t offset;  // into the string block
    std::uint32_t a;
    std::uint32_t b;
    std::uint64_t wide_a;
    std::uint64_t wide_b;
};
static_assert(sizeof(PlanOperation) == 32 && std::is_trivially_copyable_v<PlanOperation>);

/// Layout of the file: header, operations, argv offsets, envp offsets (uint32 each), string block.
struct PlanHeader {
    std::uint64_t magic;
    std::uint32_t version;
    std::uint32_t total_bytes;  // of the file
    std::uint32_t op_count;
    std::uint32_t argv_count;
    std::uint32_t envp_count;
    std::uint32_t string_bytes;  // the block ends with a NUL
};
static_assert(sizeof(PlanHeader) == 32 && std::is_trivially_copyable_v<PlanHeader>);

/// A checked plan, pointing into the caller's bytes.
struct PlanView {
    std::span<const PlanOperation> ops;
    std::span<const std::uint32_t> argv;  // offsets into strings
    std::span<const std::uint32_t> envp;
    std::span<char> strings;
};

/// Checks every count, offset and bound of a plan that came from another process. `fd_count`
/// descriptors are attached besides the plan. Requires: bytes aligned to 8. Errors: {plan, EINVAL}.
[[nodiscard]] Result<PlanView> check_plan(std::span<std::byte> bytes, std::size_t fd_count);

class PlanBuilder {
public:
    void session();
    void dup(std::uint32_t attached_index, std::uint32_t target_fd);
    void limit(std::uint32_t resource, std::uint64_t soft, std::uint64_t hard);
    void umask(std::uint32_t mask);
    void nice(int value);
    void groups(std::span<const std::uint32_t> gids);
    void set_gid(std::uint32_t gid);
    void set_uid(std::uint32_t uid);
    void chdir(std::string_view path);
    void oom_score(int value);
    void add_argument(std::string_view argument);
    void add_environment(std::string_view name, std::string_view value);
    /// NAME=<decimal pid of the child>, filled in by the child.
    void add_environment_pid(std::string_view name);
    void exec(std::string_view path);

    /// The finished file. Errors: {plan, E2BIG} when a bound of this header is exceeded.
    [[nodiscard]] Result<std::vector<std::byte>> finish() const;

private:
    void add_operation(PlanOp op, std::uint32_t offset, std::uint32_t a, std::uint32_t b);
    std::uint32_t add_string(std::string_view text);
    std::vector<PlanOperation> ops_;
    std::vector<std::uint32_t> argv_;
    std::vector<std::uint32_t> envp_;
    std::vector<char> strings_;
};

}  // namespace cluster::wire
