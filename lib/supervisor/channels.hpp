// The message channels of the runs: sockets and memory for the pure room `channel`.
//
// The keeper holds our end of each socket and, as soon as a byte moves, the memory with its record
// and its rings; so a channel outlives this process, and nothing that was received or queued is
// lost with it (lib/channel/CHANNEL.md). What is queued within a turn is sent at its end, several
// lines with one call. A worker that does not read has its own bounded queue, and nobody waits for
// it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "channel/intake.hpp"
#include "channel/outlet.hpp"
#include "channel/router.hpp"
#include "core/fleet.hpp"
#include "ev/loop.hpp"
#include "supervisor/inheritance.hpp"
#include "supervisor/keeper_link.hpp"
#include "supervisor/message_watch.hpp"
#include "sys/memory.hpp"

namespace cluster::supervisor {

/// As a worker with this spec has it: never automatic.
[[nodiscard]] core::ChannelMode channel_mode(const core::Launch& launch);

/// Who speaks for the daemon in what Node.js keeps to itself.
class NodePeer {
public:
    virtual ~NodePeer() = default;
    /// A line of Node.js' cluster module. False: it makes no sense.
    virtual bool on_node_message(Run run, std::string_view line, Instant now) = 0;
    virtual void on_channel_closed(Run run) = 0;
    virtual void on_run_closed(Run run) = 0;
    /// What Channels::rest() has put off is due.
    virtual void on_rested() = 0;
    /// What a queued line carries, still the peer's; -1: it is gone, and the line is of no use.
    [[nodiscard]] virtual int descriptor_of(std::uint64_t number) const = 0;
};

class Channels final : private channel::World {
public:
    /// What a worker's channel says at `describe`.
    struct Facts {
        bool is_node = false;
        std::string state;                        // "open", or why it is not
        bool is_cut_off = false;                  // we have closed it, and not its worker
        const channel::Record* record = nullptr;  // null: nothing has moved yet
        std::uint64_t queued_bytes = 0;
    };

    /// The store that a run reaches by message; null: it has none.
    using StoreOf = std::function<channel::StoreDoor*(Run)>;

    /// Outlives it.
    void set_node_peer(NodePeer& peer) { peer_ = &peer; }
    /// Queues a line of Node.js' own, and with it what the peer knows by that number (0: nothing).
    /// False: it has no channel any more, or does not read what it has asked for and loses it.
    bool send_internal(Run run, std::string_view line, std::uint64_t descriptor = 0);
    /// The same, at once: false if anything is in its way, and then nothing is queued.
    [[nodiscard]] bool send_now(Run run, std::string_view line, std::uint64_t descriptor);
    /// What is remembered of the channel; null: it is closed, or nothing has moved.
    [[nodiscard]] channel::Record* record_of(Run run);
    [[nodiscard]] bool is_open(Run run);
    /// The run is heard again after that time at the latest, and not as soon as it says something.
    void rest(Run run, Duration time);
    /// NodePeer::on_rested() is called after that time at the latest, behind what runs that rested
    /// have said.
    void rest(Duration time);

    Channels(ev::Loop& loop, KeeperLink& keeper, const core::Fleet& fleet,
             const core::ChannelSpec& spec, StoreOf store_of)
        : loop_(loop),
          keeper_(keeper),
          fleet_(fleet),
          spec_(spec),
          store_of_(std::move(store_of)),
          router_(spec, *this) {}

    /// Before a spawn. Errors: {socket, errno}; {epoll, ENOMEM}.
    [[nodiscard]] Status prepare(const core::Place& place, const core::WorkerSpec& spec,
                                 Inheritance& inheritance);
    /// Takes the channels out of what a predecessor held.
    void resume(std::vector<HeldDescriptor>& held);
    /// Everything that came before this process lived is applied: call when the fleet is complete.
    void begin(Instant now);
    /// The run never came to be, or is over.
    void close(Run run);
    /// A channel instead of the one whose end the run's process has lost: the other end of it. What
    /// the old one still holds is read; what waits for a reader is gone, and so are subscriptions
    /// and requests. Errors: {socket, ENOENT} the run has none by its table; {socket, errno};
    /// {epoll, ENOMEM}.
    [[nodiscard]] Result<sys::UniqueFd> renew(Run run);
    /// Reads now what the run has sent so far, before its exit is told.
    void drain(Run run);

    /// Ends what is due, then sends what was queued.
    void on_time(Instant now);
    void flush();
    [[nodiscard]] std::optional<Instant> next_deadline() const;

    /// Runs that have said that they are ready, since the last call.
    [[nodiscard]] std::vector<Run> take_ready() { return std::exchange(ready_, {}); }
    /// The state of these slots was stored.
    void follow(const std::vector<Slot>& slots);
    /// A worker has another group.
    void update_groups();

    /// True when the run is to end by this message, once.
    [[nodiscard]] bool send_shutdown(Run run);
    void tell_stopping(Run run, Duration grace) { router_.tell_stopping(run, grace); }

    [[nodiscard]] std::optional<Facts> facts(Run run) const;
    [[nodiscard]] channel::Router& router() { return router_; }
    [[nodiscard]] MessageWatch& watch() { return watch_; }

private:
    /// Memory with what reads and writes it.
    struct Opened {
        sys::UniqueFd file;
        sys::Mapping mapping;
        channel::Memory memory;
        channel::Intake intake;
        channel::Outlet outlet;
    };
    struct Entry {
        Run run;
        sys::UniqueFd socket;
        ev::Watch watch;
        bool is_node = false;
        bool wants_room = false;  // the socket was full
        bool is_resting = false;  // it is read again a moment later
        ev::Interest interest;    // as it is watched now
        bool is_wide = false;     // its rings have used more than they keep
        bool is_dirty = false;    // something is queued that was not tried to be sent
        std::string ended;        // why it is closed; "": it is not
        bool is_cut_off = false;  // by us
        std::unique_ptr<Opened> opened;
    };

    // --- channel::World
    bool deliver(Run to, std::string_view line) override;
    void on_ready(Run run) override;
    void on_status(Run run, std::string_view text) override;
    void on_heartbeat(Run run) override;
    void on_internal(Run run, std::string_view line) override;
    void on_logged(Run run, std::string_view message) override;
    void on_rule_failed(Run run, std::size_t rule, std::string_view reason) override;
    [[nodiscard]] channel::StoreDoor* store_of(Run run) override;
    [[nodiscard]] bool is_observed() const override { return watch_.is_watched(now_); }
    void observe(const channel::Observed& message) override { watch_.add(message, now_); }
    void answer(channel::OutsideReply reply) override { watch_.answer(std::move(reply)); }

    [[nodiscard]] static wire::HeldKey key_of(wire::HeldKind kind, Run run);
    [[nodiscard]] int descriptor_of(std::uint64_t number) const;
    [[nodiscard]] Entry* find(Run run);
    [[nodiscard]] std::string name_of(Run run) const;
    void add(const core::Place& place, Run run, sys::UniqueFd socket);
    [[nodiscard]] bool map_memory(Entry& entry, sys::UniqueFd file);
    void attach(Entry& entry, sys::UniqueFd file);
    [[nodiscard]] bool resume_cut_off(Run run, sys::UniqueFd file);
    [[nodiscard]] bool open_memory(Entry& entry);
    [[nodiscard]] Status watch_socket(Entry& entry);
    void on_ready_socket(Slot slot, const ev::Ready& ready);
    [[nodiscard]] bool has_spoken(Entry& entry);
    [[nodiscard]] bool read(Entry& entry);
    /// How many there were.
    std::size_t apply_lines(Entry& entry);
    void rest(Entry& entry, Duration time);
    void end_rest();
    void update_watch(Entry& entry);
    void send(Entry& entry);
    void end(Entry& entry, std::string reason);
    void cut_off(Entry& entry, channel::CutOff why);
    void note_memory(Entry& entry);
    void trim(Entry& entry);
    void trim_wide();

    ev::Loop& loop_;
    KeeperLink& keeper_;
    const core::Fleet& fleet_;
    const core::ChannelSpec& spec_;
    StoreOf store_of_;
    channel::Router router_;
    NodePeer* peer_ = nullptr;
    MessageWatch watch_;
    std::unordered_map<Slot, Entry> entries_;
    std::vector<Run> dirty_;
    std::vector<Run> wide_;
    std::optional<Instant> trim_at_;  // all of them
    std::vector<Run> resting_;
    std::optional<Instant> rest_until_;  // of all of them
    struct Doomed {
        Run run;
        channel::CutOff why = channel::CutOff::none;
    };
    std::vector<Doomed> doomed_;  // to be ended when nobody stands in the router
    std::vector<Run> ready_;
    Instant now_{};
};

}  // namespace cluster::supervisor
