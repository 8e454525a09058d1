// The attach sockets of the runs: they hand the descriptors that a run was given again to those of
// its processes whose wrapper closed them, and nothing else. Protocol: lib/store/ATTACH.md.
//
// A run has a socket of its own under <runtime>/attach/, owned by its user. Who asks is told by the
// kernel (SO_PEERCRED) and must belong to the run. A client sends nothing, so there is nothing to
// wait for: a connection is accepted, answered and closed in one go. The keeper holds the sockets,
// so that a connection made while no supervisor runs waits for the next one.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "ev/loop.hpp"
#include "supervisor/keeper_link.hpp"
#include "supervisor/stores.hpp"

namespace cluster::supervisor {

class AttachSockets {
public:
    /// Of one socket in one turn; the rest waits for the next one.
    static constexpr int kMaxPerTurn = 16;
    static constexpr int kBacklog = 64;
    /// When descriptors have run out, accepting is tried again after this long.
    static constexpr Duration kRetry = std::chrono::milliseconds{100};

    /// A new channel for a run, to be given to who asks. Errors: there is none for it.
    using ChannelFor = std::function<Result<sys::UniqueFd>(Run)>;

    /// `directory`: "<runtime>/attach"; made when the first socket is.
    AttachSockets(ev::Loop& loop, KeeperLink& keeper, std::string directory, ChannelFor channel_for)
        : loop_(loop),
          keeper_(keeper),
          directory_(std::move(directory)),
          channel_for_(std::move(channel_for)) {}

    /// A socket for a run that is about to be spawned; returns its path, for CLUSTER_SOCKET.
    /// Errors: of make_directory and listen_packets.
    [[nodiscard]] Result<std::string> open(Run run, const std::string& instance_id,
                                           std::uint32_t uid, std::uint32_t gid,
                                           const std::optional<StoreHandle>& store);
    /// The socket of a run that a predecessor opened.
    void resume(const wire::HeldKey& key, const std::string& instance_id, sys::UniqueFd socket,
                const std::optional<StoreHandle>& store);
    /// The run is over, or never came to be.
    void close(Run run);
    /// The run that has a socket in this slot.
    [[nodiscard]] std::optional<Run> run_of(Slot slot) const;

    /// Which store the key of a held socket names.
    [[nodiscard]] static std::uint16_t store_index(const wire::HeldKey& key) { return key.index; }

    void on_time(Instant now);
    [[nodiscard]] std::optional<Instant> next_deadline() const { return retry_at_; }

private:
    /// Instances that have a socket, and how many each: two during a reload, at one path.
    using Sharing = std::unordered_map<std::string, int>;
    struct Entry {
        Run run;
        const std::string* instance_id = nullptr;  // in sharing_
        sys::UniqueFd socket;
        ev::Watch watch;
        std::uint16_t store_index = 0;  // of its key
        std::optional<StoreHandle> store;
    };

    void add(const wire::HeldKey& key, const std::string& instance_id, sys::UniqueFd socket,
             const std::optional<StoreHandle>& store);
    [[nodiscard]] std::string path_of(const std::string& instance_id) const;
    [[nodiscard]] Status watch(Entry& entry);
    void answer_waiting(Slot slot);
    void answer(const Entry& entry, int peer) const;
    [[nodiscard]] const Entry* entry_for(const Entry& asked, std::int32_t pid) const;
    [[nodiscard]] bool is_of_run(Run run, std::int32_t pid) const;

    ev::Loop& loop_;
    KeeperLink& keeper_;
    std::string directory_;
    ChannelFor channel_for_;
    std::unordered_map<Slot, Entry> entries_;
    Sharing sharing_;
    std::vector<Slot> unwatched_;  // until descriptors are there again
    std::optional<Instant> retry_at_;
};

}  // namespace cluster::supervisor
