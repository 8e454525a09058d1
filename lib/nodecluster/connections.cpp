// Connections that are handed out by turns, and time.
#include <algorithm>
#include <utility>

#include "nodecluster/primary.hpp"

namespace cluster::nodecluster {

bool Primary::has_room(Run run) const {
    const auto found = entries_.find(run.slot);
    if (found == entries_.end() || found->second.member.run != run) return false;
    const Entry& entry = found->second;
    return entry.has_channel && !entry.backs_off_until && entry.on_the_way.size() < kWindow;
}

/// Whose turn it is among those who have room.
std::optional<Run> Primary::choose(Handle& handle) {
    for (std::size_t i = 0; i < handle.turns.size(); ++i) {
        const std::size_t place = (handle.next_turn + i) % handle.turns.size();
        if (!has_room(handle.turns[place])) continue;
        handle.next_turn = (place + 1) % handle.turns.size();
        return handle.turns[place];
    }
    return std::nullopt;
}

/// Gives out what waits, and says whether more is wanted.
void Primary::hand_out(Handle& handle) {
    while (!handle.waiting.empty()) {
        const auto run = choose(handle);
        if (!run) break;
        const ConnectionId connection = handle.waiting.front();
        handle.waiting.pop_front();
        const std::uint64_t sequence = next_sequence();
        find(*run)->on_the_way[sequence] = {connection, handle.kept.id};
        actions_.push_back(action::SendConnection{
            *run, connection_line(handle.kept.key, sequence), connection, sequence});
    }
    const bool is_wanted =
        handle.is_open && handle.waiting.empty() &&
        std::any_of(handle.turns.begin(), handle.turns.end(), [this](Run run) { return has_room(run); });
    if (is_wanted == handle.is_accepting) return;
    handle.is_accepting = is_wanted;
    actions_.push_back(action::Accept{handle.kept.id, is_wanted});
}

/// Of every address of the run: it has room again, or none any more.
void Primary::hand_out_all(const Entry& entry) {
    for (const Held& held : entry.member.held) {
        Handle* const handle = held.is_round_robin ? find(held.handle) : nullptr;
        if (handle != nullptr) hand_out(*handle);
    }
}

bool Primary::is_busy(HandleId id) const {
    const auto handle = handles_.find(id);
    if (handle == handles_.end()) return false;
    bool is_anybody_there = false;
    for (const Run run : handle->second.turns) {
        const auto found = entries_.find(run.slot);
        if (found == entries_.end() || found->second.backs_off_until) continue;
        if (found->second.on_the_way.size() < kBusy) return false;
        is_anybody_there = true;
    }
    return is_anybody_there;
}

std::vector<Run> Primary::unanswered(HandleId id) const {
    std::vector<Run> runs;
    const auto handle = handles_.find(id);
    if (handle == handles_.end()) return runs;
    for (const Run run : handle->second.turns) {
        const auto found = entries_.find(run.slot);
        const bool is_it = found != entries_.end() && !found->second.on_the_way.empty();
        if (is_it) runs.push_back(run);
    }
    return runs;
}

void Primary::on_connection(HandleId id, ConnectionId connection) {
    Handle* const handle = find(id);
    if (handle == nullptr) {
        actions_.push_back(action::Drop{connection});
        return;
    }
    handle->waiting.push_back(connection);
    hand_out(*handle);
}

void Primary::handle(Entry& from, const in::Answer& message, Instant now) {
    const auto found = from.on_the_way.find(message.acknowledged);
    if (found == from.on_the_way.end()) return;
    const OnTheWay sent = found->second;
    from.on_the_way.erase(found);
    Handle* const handle = find(sent.handle);
    if (message.is_accepted || handle == nullptr) {
        if (message.is_accepted) ++from.handed_over[sent.handle];
        actions_.push_back(action::Drop{sent.connection});
    } else {
        // It is closing, or has as many as it takes.
        from.backs_off_until = now + kBackOff;
        handle->waiting.push_front(sent.connection);
        hand_out(*handle);
    }
    hand_out_all(from);
}

void Primary::on_refused(Run run, std::uint64_t sequence, Instant now) {
    if (Entry* const entry = find(run)) handle(*entry, in::Answer{sequence, false}, now);
}

void Primary::take_out_of_turns(Entry& entry) {
    for (const Held& held : entry.member.held) {
        Handle* const handle = find(held.handle);
        if (handle == nullptr) continue;
        auto& turns = handle->turns;
        turns.erase(std::remove(turns.begin(), turns.end(), entry.member.run), turns.end());
        hand_out(*handle);
    }
}

/// What it was handed and has not answered for: it answers before it touches a connection.
void Primary::take_back(Entry& entry) {
    const auto on_the_way = std::exchange(entry.on_the_way, {});
    for (auto sent = on_the_way.rbegin(); sent != on_the_way.rend(); ++sent) {
        const auto& [connection, handle_id] = sent->second;
        if (Handle* const handle = find(handle_id)) {
            handle->waiting.push_front(connection);
        } else {
            actions_.push_back(action::Drop{connection});
        }
    }
    for (const auto& [sequence, sent] : on_the_way) {
        if (Handle* const handle = find(sent.handle)) hand_out(*handle);
    }
}

// --- time

/// When a run that was told to end gets its stop signal, if it is still there: once.
std::optional<Instant> Primary::signal_at(const Entry& entry) {
    if (!entry.is_stopping || entry.is_signalled) return std::nullopt;
    std::optional<Instant> at;
    if (entry.channel_closed_at) at = *entry.channel_closed_at + kAfterChannel;
    if (entry.kill_at) at = earliest(at, *entry.kill_at - entry.before_kill);
    return at;
}

void Primary::on_time(Instant now) {
    for (auto& [slot, entry] : entries_) {
        if (entry.drains_until && now >= *entry.drains_until) disconnect(entry);
        if (const auto due = signal_at(entry); due && now >= *due) {
            entry.is_signalled = true;
            actions_.push_back(action::Signal{entry.member.run});
        }
        if (entry.backs_off_until && now >= *entry.backs_off_until) {
            entry.backs_off_until.reset();
            hand_out_all(entry);
        }
    }
    std::vector<HandleId> due;
    for (const auto& [id, handle] : handles_) {
        if (handle.closes_at && now >= *handle.closes_at) due.push_back(id);
    }
    for (const HandleId id : due) close(id);
}

std::optional<Instant> Primary::next_deadline() const {
    std::optional<Instant> next;
    for (const auto& [slot, entry] : entries_) {
        next = earliest(next, entry.drains_until);
        next = earliest(next, signal_at(entry));
        next = earliest(next, entry.backs_off_until);
    }
    for (const auto& [id, handle] : handles_) next = earliest(next, handle.closes_at);
    return next;
}

}  // namespace cluster::nodecluster
