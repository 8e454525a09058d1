// The stores of the daemon: one segment of shared memory each, made when it is first needed and
// kept by the keeper, so that it stays the same one for every successor of this supervisor.
//
// A segment is input from an enemy: nothing in it is read but by settling, which checks what it
// reads and changes at most four blocks per dead participant, and by sweeping (store_sweep.hpp).
// What the daemon has to know of a segment (sizes, generation, inode) it knows from its own records
// and from the kernel.
//
// Owns: our duplicates of the segments, and a mapping of each.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "core/spec.hpp"
#include "ctl/protocol.hpp"
#include "store/segment.hpp"
#include "supervisor/jobs.hpp"
#include "supervisor/records.hpp"

namespace cluster::supervisor {

/// For conf::LoadContext.
[[nodiscard]] std::uint64_t minimum_store_size(const core::StoreSpec& spec);

/// The store that a worker gets by its table and its user, as far as that can be told; nothing:
/// none. Who runs as another user than the daemon gets only one that is named.
[[nodiscard]] std::optional<std::string> store_of(const core::Launch& launch);

struct StoreHandle {
    std::uint16_t index = 0;  // in DaemonRecord::stores
    int fd = -1;              // stays open as long as the daemon runs
    std::uint64_t inode = 0;
    std::uint64_t generation = 0;
};

class Stores {
public:
    /// Slots of a segment that one turn looks at for processes that are gone: each may take a look
    /// at /proc, about 10 µs.
    static constexpr std::uint32_t kSlotsPerTurn = 64;
    /// How often a store is looked at for how much of it is in use: a call of a microsecond.
    static constexpr Duration kUseInterval = std::chrono::seconds{1};
    /// By so much it must have grown before that is put into huge pages, and by an eighth.
    static constexpr std::uint64_t kLeastGrowth = std::uint64_t{2} << 20U;

    /// Between two such rounds. What a dead process leaves harms nobody; it is only memory.
    static constexpr Duration kRoundInterval = std::chrono::seconds{1};

    Stores(KeeperLink& keeper, Jobs& jobs, Records& records)
        : keeper_(keeper), jobs_(jobs), records_(records) {}

    /// The segment of a store, made if there is none. Errors: {store, ENOENT} nobody described it;
    /// else those of memory.
    [[nodiscard]] Result<StoreHandle> open(const std::string& name);
    /// One that was made before. Nothing: there is none of that index.
    [[nodiscard]] std::optional<StoreHandle> find(std::uint16_t index) const;
    /// Takes the segments out of what a predecessor held.
    void resume(std::vector<HeldDescriptor>& held);

    /// Whether a file may describe these stores beside those that there are: nothing, or why not.
    [[nodiscard]] std::optional<std::string> mistake_in(
        const std::vector<core::StoreSpec>& described) const;
    /// Takes over what a file says. Requires: mistake_in gave nothing.
    void describe(const std::vector<core::StoreSpec>& described);
    /// Names that a worker may give, [store.NAME] only.
    [[nodiscard]] std::vector<std::string> names() const;
    [[nodiscard]] bool is_described(const std::string& name) const;
    /// Why is_described is false, and what to do.
    [[nodiscard]] std::string unknown_text(const std::string& name) const;
    [[nodiscard]] std::vector<ctl::StoreStatus> status() const;
    /// Those that can be reached now; they stay where they are as long as this does.
    [[nodiscard]] std::vector<store::Segment*> segments();
    /// For a client. Not open: there is none, or no descriptor is left.
    [[nodiscard]] sys::UniqueFd duplicate_of(const std::string& name) const;

    /// A process of a worker is dead: gives back what it had in its hands, and looks for others
    /// that died with it.
    void on_exit(std::int32_t pid, std::uint64_t start_ticks);

    void on_time(Instant now);
    [[nodiscard]] std::optional<Instant> next_deadline() const;

private:
    /// Of a store whose used parts are put into huge pages.
    struct HugeUse {
        Instant next_look_at{};
        std::uint64_t put_bytes = 0;  // what had memory when that was last done
        bool is_running = false;
        bool is_refused = false;  // this kernel has none
    };
    struct Made {
        sys::UniqueFd fd;
        StoreHandle handle;
        std::optional<store::Segment> segment;  // none: it cannot be mapped now
        HugeUse huge;
    };
    struct Round {
        std::uint16_t store = 0;
        std::uint32_t slot = 0;
    };

    [[nodiscard]] std::optional<std::uint16_t> index_of(const std::string& name) const;
    [[nodiscard]] Result<StoreHandle> make(std::uint16_t index);
    void add(std::uint16_t index, sys::UniqueFd fd, std::uint64_t generation,
             std::optional<store::Segment> segment);
    void take_memory(const Made& made);
    [[nodiscard]] bool start_job(const Made& made, const char* what, Jobs::Done done);
    void use_huge_pages(std::uint16_t index, Made& made, Instant now);
    void start_huge_pages(std::uint16_t index, Made& made);
    [[nodiscard]] bool look_on(Round& round);

    KeeperLink& keeper_;
    Jobs& jobs_;
    Records& records_;
    std::map<std::uint16_t, Made> made_;  // by index
    bool is_round_wanted_ = false;
    std::optional<Round> round_;
    std::optional<Instant> next_round_at_;
};

}  // namespace cluster::supervisor
