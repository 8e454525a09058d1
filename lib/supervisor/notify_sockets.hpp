// The notify sockets of the runs whose readiness is "notify" or that have a watchdog: sd_notify(3)
// from the side of the manager.
//
// A run has a socket of its own under <runtime>/notify/, owned by its user, so that nobody else can
// speak for it. Who speaks is judged by the credentials of the kernel, never by what is said: the
// run's own session and whoever descends from it or from its main process, and what has left all
// of them but still carries the name of the run's socket in its environment. A sender that is gone already (systemd-notify in
// a script) cannot be looked up any more and is taken for one of the run, as its user alone could
// have opened the socket.
//
// A datagram that changes the state of an instance stays in the socket until that state is stored
// (confirm), so none is lost with a supervisor that is killed; the keeper holds the sockets. A
// socket that has more to say than kMaxPerWindow is left alone for the rest of the window: a worker
// that shouts waits, and nobody else does.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "core/instance.hpp"
#include "ev/loop.hpp"
#include "ready/notification.hpp"
#include "supervisor/keeper_link.hpp"
#include "supervisor/main_processes.hpp"
#include "sys/datagram.hpp"

namespace cluster::supervisor {

[[nodiscard]] wire::HeldKey notify_key(Run run);
/// Index of what else is held of a run under that kind: a memfd with the interval of its watchdog.
inline constexpr std::uint16_t kHeldInterval = 1;

class NotifySockets {
public:
    /// So many datagrams of one socket are read within a window; the rest waits for the next one.
    static constexpr int kMaxPerWindow = 64;
    static constexpr Duration kWindow = std::chrono::milliseconds{10};

    /// What a run said of itself and no state machine needs.
    struct Said {
        std::string status;         // "": nothing
        std::uint64_t refused = 0;  // datagrams of others, or that are no notification
    };
    /// Of its watchdog.
    struct SignOfLife {
        Run run;
        std::optional<Duration> interval;  // that it asks for from now on
    };
    struct Heard {
        Run run;
        core::Event event;
    };

    /// What came with FDSTORE=1 or asks for FDSTOREREMOVE=1: it has to be kept, or dropped, before
    /// this returns, since the datagram is not there any more then. Returns what could not be done,
    /// in words; "": nothing.
    using Store =
        std::function<std::string(Run, const ready::Notification&, std::span<sys::UniqueFd> fds)>;

    /// `directory`: "<runtime>/notify"; made when the first socket is.
    NotifySockets(ev::Loop& loop, KeeperLink& keeper, MainProcesses& mains, std::string directory,
                  Store store)
        : loop_(loop),
          keeper_(keeper),
          mains_(mains),
          directory_(std::move(directory)),
          store_(std::move(store)) {}

    /// A socket for a run that is about to be spawned; returns its path, for NOTIFY_SOCKET.
    /// Errors: {notify_socket, errno}.
    [[nodiscard]] Result<std::string> open(Run run, const std::string& instance_id,
                                           std::uint32_t uid, std::uint32_t gid);
    /// The socket of a run that a predecessor opened.
    void resume(Run run, const std::string& instance_id, sys::UniqueFd socket);
    /// Nothing more is to be heard of the run.
    void close(Run run);
    /// Reads now what the run has said so far, before its exit is told. Nothing of it is read
    /// again: who has ended is not asked what a successor would make of its words.
    void drain(Run run);

    /// Reads what the run has said even if that is more than it may say in a window: a silence
    /// shall not be one of ours. Bounds: kMaxCaughtUp datagrams.
    void catch_up(Run run);
    static constexpr int kMaxCaughtUp = 1024;
    /// There is more to read when the state is stored.
    [[nodiscard]] bool is_unconfirmed(Run run) const;

    /// In order per run; one that asks for no interval comes once.
    [[nodiscard]] std::vector<SignOfLife> take_signs();
    /// Runs of whose instances no restart so far counts any more.
    [[nodiscard]] std::vector<Run> take_forgiven() { return std::exchange(forgiven_, {}); }
    /// What was heard since the last call, in order per run.
    [[nodiscard]] std::vector<Heard> take_heard();
    /// What take_heard gave has been stored: it may be forgotten.
    void confirm();
    [[nodiscard]] const Said* said(Run run) const;
    /// The run that has a socket in this slot.
    [[nodiscard]] std::optional<Run> run_of(Slot slot) const;

    void on_time(Instant now);
    [[nodiscard]] std::optional<Instant> next_deadline() const {
        return has_paused_ ? window_end_ : std::nullopt;
    }

private:
    struct Entry {
        Run run;
        std::string path;
        sys::UniqueFd socket;
        ev::Watch watch;
        Said said;
        bool is_unconfirmed = false;  // the next datagram was heard and is not yet to be read on
        bool is_paused = false;
        bool has_named_stranger = false;  // as its main process; said once
        bool has_stored_too_much = false;  // said once
        int read_in_window = 0;
    };

    [[nodiscard]] std::string path_of(const std::string& instance_id) const;
    [[nodiscard]] Status watch(Entry& entry);
    void add(Run run, std::string path, sys::UniqueFd socket);
    void read(Slot slot);
    [[nodiscard]] bool read_one(Entry& entry);
    [[nodiscard]] bool is_of_run(const Entry& entry, std::int32_t pid) const;
    void forget_first(const Entry& entry);
    void hear_main_process(Entry& entry, const ready::Notification& notification,
                           sys::Datagram& datagram);
    [[nodiscard]] std::int32_t leader_of(Run run) const;
    void refuse(Entry& entry, const sys::Datagram& datagram);
    [[nodiscard]] bool hear(Entry& entry, const ready::Notification& notification,
                            sys::Datagram& datagram);
    void pause(Entry& entry);

    ev::Loop& loop_;
    KeeperLink& keeper_;
    MainProcesses& mains_;
    std::string directory_;
    Store store_;
    std::unordered_map<Slot, Entry> entries_;
    std::vector<SignOfLife> signs_;
    std::vector<Heard> heard_;
    std::vector<Run> forgiven_;
    std::vector<Slot> unconfirmed_;
    std::vector<Slot> active_;  // that were read from in this window
    std::optional<Instant> window_end_;
    bool has_paused_ = false;
};

}  // namespace cluster::supervisor
