// The primary of Node.js clusters in the world: sockets, connections and channels for the pure room
// `nodecluster`.
//
// The keeper holds each socket, with a text that says which one it is; what a run has been told
// stands in the record of its channel. So a successor goes on where this process was killed, and
// no worker notices (lib/nodecluster/NODECLUSTER.md). Connections that were accepted and not yet
// handed over are this process' alone: at most one at a time.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/fleet.hpp"
#include "ev/loop.hpp"
#include "nodecluster/primary.hpp"
#include "supervisor/channels.hpp"
#include "supervisor/keeper_link.hpp"
#include "sys/fd.hpp"

namespace cluster::supervisor {

class NodeClusters final : public NodePeer {
public:
    NodeClusters(ev::Loop& loop, KeeperLink& keeper, const core::Fleet& fleet, Channels& channels);

    /// Takes what a predecessor held, and the runs that it had. Call it when the fleet and the
    /// channels are complete, and before Channels::begin().
    void resume(std::vector<HeldDescriptor>& held, Instant now);
    /// Before a spawn, when its channel is there.
    void add(const core::Place& place, const core::WorkerSpec& spec, Instant now);

    /// Asks a run to end by messages. False: that is no way to reach it.
    [[nodiscard]] bool stop(Run run, Duration grace, Instant now);
    /// A run that was asked to end is killed later than was said then.
    void extend(Run run, Duration grace, Instant now) { primary_.extend(run, grace, now); }
    /// It was asked to end in another way: it is handed no more connections.
    void withdraw(Run run);
    /// It is killed: says what is lost, if that was not said before.
    void on_killed(Run run) { say_what_is_cut(run); }
    /// We have closed its channel, and a worker of a cluster ends with that as if all were well.
    [[nodiscard]] bool is_cut_off(Run run) const;

    void on_time(Instant now);
    [[nodiscard]] std::optional<Instant> next_deadline() const;
    /// Closes what nobody will ask for soon.
    void follow();
    /// Runs that listen, since the last call.
    [[nodiscard]] std::vector<Run> take_ready() { return std::exchange(ready_, {}); }
    /// Runs that are to get their stop signal.
    [[nodiscard]] std::vector<Run> take_signals() { return std::exchange(signals_, {}); }
    /// Removes the files of UNIX sockets: nobody listens to them any more.
    void remove_files();

    /// What `describe` says of a run.
    struct Facts {
        nodecluster::Primary::Facts state;
        std::vector<std::string> addresses;  // where its sockets are bound, as state.held
        std::string problem;                 // why something that it asked for is not open
    };
    [[nodiscard]] std::optional<Facts> facts(Run run) const;

private:
    struct Socket {
        nodecluster::Kept kept;
        sys::UniqueFd fd;
        std::uint64_t inode = 0;  // of the file of a UNIX socket
        ev::Watch watch;
        bool is_accepting = false;  // connections are wanted
        bool is_gathering = false;  // those of the next moment are accepted together
    };

    // --- NodePeer
    bool on_node_message(Run run, std::string_view line, Instant now) override;
    void on_channel_closed(Run run) override;
    void on_run_closed(Run run) override;
    void on_rested() override;
    [[nodiscard]] int descriptor_of(std::uint64_t number) const override;

    // --- actions
    void execute();
    void execute(const nodecluster::action::Send& action);
    void execute(const nodecluster::action::SendSocket& action);
    void execute(const nodecluster::action::SendConnection& action);
    void execute(const nodecluster::action::Open& action);
    void execute(const nodecluster::action::Keep& action);
    void execute(const nodecluster::action::Close& action);
    void execute(const nodecluster::action::Accept& action);
    void execute(const nodecluster::action::Drop& action);
    void execute(const nodecluster::action::Hold& action);
    void execute(const nodecluster::action::Note& action);
    void execute(const nodecluster::action::Listening& action);
    void execute(const nodecluster::action::Signal& action);
    void execute(const nodecluster::action::Left& action);
    void execute(const nodecluster::action::Refuse& action);

    [[nodiscard]] Result<Socket> open(const nodecluster::action::Open& action) const;
    [[nodiscard]] std::string reason(const nodecluster::Kept& kept, const Error& error) const;
    void complain(Run run, const std::string& app, const std::string& key, std::string problem);
    void hold(const Socket& socket);
    void hold_text(const Socket& socket);
    void remove_file(const Socket& socket) const;
    void watch(Socket& socket);
    [[nodiscard]] static std::string address_text(const Socket& socket);
    [[nodiscard]] static std::string refusal_text(const std::string& key, int error);
    void on_connections(nodecluster::HandleId handle);
    int accept_connections(nodecluster::HandleId handle);
    void say_what_is_cut(Run run);
    [[nodiscard]] nodecluster::Member member_of(const core::Place& place,
                                                const core::WorkerSpec& spec, Run run);
    [[nodiscard]] std::string name_of(Run run) const;

    ev::Loop& loop_;
    KeeperLink& keeper_;
    const core::Fleet& fleet_;
    Channels& channels_;
    nodecluster::Primary primary_;
    std::map<nodecluster::HandleId, Socket> sockets_;
    std::unordered_map<std::uint64_t, sys::UniqueFd> connections_;
    std::uint64_t last_connection_;
    std::map<std::pair<std::string, std::string>, std::string> complaints_;  // by app and key
    std::unordered_map<Run, std::string> problems_;  // the last one of each run that has one
    std::set<Run> cut_;             // runs whose connections were said to be cut
    std::set<std::string> warned_;  // workers that are started through a wrapper: said once
    std::vector<Run> ready_;
    std::vector<Run> signals_;
    std::optional<Instant> accepts_again_;  // there was no descriptor left
    bool is_executing_ = false;
    Instant now_{};
};

}  // namespace cluster::supervisor
