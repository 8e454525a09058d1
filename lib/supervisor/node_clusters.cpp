// Runs and actions; node_sockets.cpp has the opening of sockets.
#include "supervisor/node_clusters.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <variant>

#include "core/node_launch.hpp"
#include "core/selector.hpp"
#include "supervisor/log.hpp"
#include "supervisor/wording.hpp"
#include "sys/clock.hpp"
#include "sys/socket.hpp"

namespace cluster::supervisor {
namespace {

using nodecluster::HandleId;
namespace action = nodecluster::action;
namespace note = nodecluster::note;

/// Of one socket in one turn, so that a flood of clients delays nobody.
constexpr int kAcceptsPerTurn = 64;
/// While everybody is busy (Primary::is_busy), what comes within so long is accepted together, and
/// the answers to it are read together. Why: to be woken costs the daemon as much as a connection,
/// and who is not accepted yet would wait for a process instead. It takes a process of Node.js no
/// less than that to get through what it has.
constexpr Duration kGather = std::chrono::microseconds{400};
/// Without a descriptor left; then it is tried again.
constexpr Duration kAcceptPause = std::chrono::milliseconds{100};

// What a queued line carries is one number: sockets are even, connections are odd.
std::uint64_t number_of(HandleId handle) {
    return handle.value << 1U;
}
std::uint64_t number_of(nodecluster::ConnectionId connection) {
    return connection.value << 1U | 1U;
}

/// Numbers of this process begin behind those of its predecessors.
std::uint64_t first_number(const KeeperLink& keeper) {
    return keeper.hello().supervisor_starts << 32U;
}

}  // namespace

NodeClusters::NodeClusters(ev::Loop& loop, KeeperLink& keeper, const core::Fleet& fleet,
                           Channels& channels)
    : loop_(loop),
      keeper_(keeper),
      fleet_(fleet),
      channels_(channels),
      primary_(first_number(keeper)),
      last_connection_(first_number(keeper)) {
    channels_.set_node_peer(*this);
}

std::string NodeClusters::name_of(Run run) const {
    const core::Place* place = fleet_.find(run.slot);
    if (place == nullptr) return fmt::format("slot {}", run.slot.value);
    return core::instance_id(fleet_.worker(place->worker)->spec.name, place->number);
}

// --- runs

nodecluster::Member NodeClusters::member_of(const core::Place& place, const core::WorkerSpec& spec,
                                            Run run) {
    nodecluster::Member member;
    member.run = run;
    member.app = fleet_.worker(place.worker)->spec.name;
    member.is_round_robin = spec.launch.node.schedule == core::NodeSchedule::round_robin;
    member.drains = spec.launch.node.drain;
    const channel::Record* const record = channels_.record_of(run);
    if (record == nullptr) return member;
    member.notes = record->cluster_notes;
    for (const channel::ClusterPlace& entry : record->cluster_places) {
        if (entry.is_used == 0) continue;
        member.held.push_back({HandleId{entry.handle}, entry.sequence, entry.is_used == 2});
    }
    return member;
}

void NodeClusters::add(const core::Place& place, const core::WorkerSpec& spec, Instant now) {
    if (!spec.launch.node.cluster) return;
    const auto wrapper = core::node_wrapper(spec.launch);
    if (wrapper && warned_.insert(spec.name).second) {
        log::warn(fmt::format("{}: {}", spec.name, wrapper_text(*wrapper)));
    }
    const Run run{place.slot, place.instance.generation};
    primary_.add(member_of(place, spec, run), now);
    execute();
}

bool NodeClusters::stop(Run run, Duration grace, Instant now) {
    const bool is_told = primary_.stop(run, grace, now);
    execute();
    return is_told;
}

void NodeClusters::withdraw(Run run) {
    primary_.withdraw(run);
    execute();
}

/// Whoever has drained has said by itself what is left.
void NodeClusters::say_what_is_cut(Run run) {
    const auto facts = primary_.facts(run);
    if (!facts || !primary_.is_ending(run) || (facts->notes & note::kDrained) != 0) return;
    if (!cut_.insert(run).second) return;
    log::warn(fmt::format("{}: what its clients have open did not end in time, and is cut",
                          name_of(run)));
}

bool NodeClusters::is_cut_off(Run run) const {
    const core::Place* const place = fleet_.find(run);
    if (place == nullptr || !fleet_.spec_of(*place).launch.node.cluster) return false;
    const auto channel = channels_.facts(run);
    if (!channel || !channel->is_cut_off) return false;
    // Without a record it may have said so: nobody could hear it.
    return channel->record == nullptr || (channel->record->cluster_notes & note::kOnline) != 0;
}

bool NodeClusters::on_node_message(Run run, std::string_view line, Instant now) {
    now_ = now;
    const bool makes_sense = primary_.on_message(run, line, now);
    execute();
    return makes_sense;
}

void NodeClusters::on_channel_closed(Run run) {
    now_ = std::max(now_, sys::monotonic_now());
    primary_.on_channel_closed(run, now_);
    execute();
}

void NodeClusters::on_run_closed(Run run) {
    now_ = std::max(now_, sys::monotonic_now());
    primary_.remove(run, now_);
    problems_.erase(run);
    cut_.erase(run);
    execute();
}

int NodeClusters::descriptor_of(std::uint64_t number) const {
    if ((number & 1U) == 0) {
        const auto socket = sockets_.find(HandleId{number >> 1U});
        return socket == sockets_.end() ? -1 : socket->second.fd.get();
    }
    const auto connection = connections_.find(number >> 1U);
    return connection == connections_.end() ? -1 : connection->second.get();
}

void NodeClusters::on_time(Instant now) {
    now_ = now;
    primary_.on_time(now);
    execute();
    if (!accepts_again_ || now < *accepts_again_) return;
    accepts_again_.reset();
    for (auto& [id, socket] : sockets_) watch(socket);
}

std::optional<Instant> NodeClusters::next_deadline() const {
    return earliest(primary_.next_deadline(), accepts_again_);
}

/// What belongs to an app of which nothing runs, and nothing is wanted up, as a cluster.
void NodeClusters::follow() {
    if (sockets_.empty()) return;
    std::set<std::string> wanted;
    for (const core::Place* place : fleet_.places()) {
        const bool is_wanted = place->instance.desired == core::Desired::up ||
                               core::is_occupied(place->instance.state);
        if (!is_wanted || !fleet_.spec_of(*place).launch.node.cluster) continue;
        wanted.insert(fleet_.worker(place->worker)->spec.name);
    }
    std::set<std::string> forgotten;
    for (const auto& [id, socket] : sockets_) {
        if (wanted.count(socket.kept.app) == 0) forgotten.insert(socket.kept.app);
    }
    for (const std::string& app : forgotten) primary_.forget(app);
    execute();
}

std::optional<NodeClusters::Facts> NodeClusters::facts(Run run) const {
    auto state = primary_.facts(run);
    if (!state) return std::nullopt;
    Facts facts{std::move(*state), {}, {}};
    for (const auto& seen : facts.state.held) {
        const auto socket = sockets_.find(seen.handle);
        facts.addresses.push_back(socket == sockets_.end() ? seen.key : address_text(socket->second));
    }
    if (const auto problem = problems_.find(run); problem != problems_.end()) {
        facts.problem = problem->second;
    }
    return facts;
}

// --- actions

/// What one does may bring about more.
void NodeClusters::execute() {
    if (is_executing_) return;
    is_executing_ = true;
    for (auto actions = primary_.take_actions(); !actions.empty();
         actions = primary_.take_actions()) {
        for (const nodecluster::Action& each : actions) {
            std::visit([this](const auto& known) { execute(known); }, each);
        }
    }
    is_executing_ = false;
}

void NodeClusters::execute(const action::Send& action) {
    channels_.send_internal(action.run, action.line);
}

void NodeClusters::execute(const action::SendSocket& action) {
    channels_.send_internal(action.run, action.line, number_of(action.handle));
}

void NodeClusters::execute(const action::SendConnection& action) {
    if (channels_.send_now(action.run, action.line, number_of(action.connection))) return;
    primary_.on_refused(action.run, action.sequence, now_);
}

void NodeClusters::execute(const action::Drop& action) {
    connections_.erase(action.connection.value);
}

void NodeClusters::execute(const action::Hold& action) {
    channel::Record* const record = channels_.record_of(action.run);
    if (record == nullptr) return;
    channel::ClusterPlace* free = nullptr;
    for (channel::ClusterPlace& entry : record->cluster_places) {
        const bool is_it = entry.is_used != 0 && entry.handle == action.held.handle.value;
        if (is_it) channel::publish(entry.is_used, 0);
        if (entry.is_used == 0 && free == nullptr) free = &entry;
    }
    if (!action.is_held || free == nullptr) return;
    free->handle = action.held.handle.value;
    free->sequence = action.held.sequence;
    channel::publish(free->is_used, action.held.is_round_robin ? 2 : 1);
}

void NodeClusters::execute(const action::Note& action) {
    if (channel::Record* const record = channels_.record_of(action.run)) {
        channel::publish(record->cluster_notes, action.notes);
    }
}

void NodeClusters::execute(const action::Listening& action) {
    ready_.push_back(action.run);
}

void NodeClusters::execute(const action::Signal& action) {
    say_what_is_cut(action.run);
    signals_.push_back(action.run);
}

void NodeClusters::execute(const action::Left& action) {
    const auto& [requests, upgraded, other] = action.what;
    log::warn(fmt::format("{}: what did not end in time is cut: {} answers, {} upgraded "
                          "connections, {} others",
                          name_of(action.run), requests, upgraded, other));
}

void NodeClusters::execute(const action::Refuse& action) {
    const core::Place* place = fleet_.find(action.run.slot);
    if (place == nullptr) return;
    complain(action.run, fleet_.worker(place->worker)->spec.name, action.key,
             refusal_text(action.key, action.error));
}

// --- connections

void NodeClusters::execute(const action::Accept& action) {
    const auto found = sockets_.find(action.handle);
    if (found == sockets_.end()) return;
    found->second.is_accepting = action.is_wanted;
    watch(found->second);
}

void NodeClusters::watch(Socket& socket) {
    const bool is_wanted = socket.is_accepting && !accepts_again_ && !socket.is_gathering;
    if (is_wanted == socket.watch.is_set()) return;
    if (!is_wanted) return loop_.remove(std::exchange(socket.watch, {}));
    const HandleId id = socket.kept.id;
    auto added =
        loop_.add(socket.fd.get(), {}, [this, id](const ev::Ready&) { on_connections(id); });
    if (added) {
        socket.watch = *added;
    } else {
        accepts_again_ = now_ + kAcceptPause;
    }
}

void NodeClusters::on_connections(HandleId id) {
    const bool is_busy = primary_.is_busy(id);
    const int count = accept_connections(id);
    const auto found = sockets_.find(id);
    if (found == sockets_.end()) return;
    Socket& socket = found->second;
    // Where nobody comes, or gets any further, there is nothing to look for again and again.
    socket.is_gathering = is_busy && count > 0;
    watch(socket);
    if (!socket.is_gathering) return;
    channels_.rest(kGather);
    for (const Run run : primary_.unanswered(id)) channels_.rest(run, kGather);
}

void NodeClusters::on_rested() {
    std::vector<HandleId> gathering;
    for (const auto& [id, socket] : sockets_) {
        if (socket.is_gathering) gathering.push_back(id);
    }
    for (const HandleId id : gathering) on_connections(id);
}

/// How many there were.
int NodeClusters::accept_connections(HandleId id) {
    now_ = sys::monotonic_now();
    int count = 0;
    for (int i = 0; i < kAcceptsPerTurn; ++i) {
        const auto found = sockets_.find(id);
        const bool is_wanted = found != sockets_.end() && found->second.is_accepting;
        if (!is_wanted || accepts_again_) break;
        auto connection = sys::accept_connection(found->second.fd.get());
        if (!connection && connection.error().code == ECONNABORTED) continue;
        if (!connection && connection.error().code == EAGAIN) break;
        if (!connection) {
            log::warn(fmt::format("{}: no connection can be accepted: {}", found->second.kept.app,
                                  std::strerror(connection.error().code)));
            accepts_again_ = now_ + kAcceptPause;
            break;
        }
        const nodecluster::ConnectionId number{++last_connection_};
        connections_[number.value] = std::move(*connection);
        primary_.on_connection(id, number);
        execute();
        ++count;
    }
    return count;
}

}  // namespace cluster::supervisor
