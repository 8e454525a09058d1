// Runs and sockets; connections.cpp has the rest.
#include "nodecluster/primary.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/assert.hpp"

namespace cluster::nodecluster {
namespace {

template <class Value>
void erase_value(std::vector<Value>& values, const Value& value) {
    values.erase(std::remove(values.begin(), values.end(), value), values.end());
}

}  // namespace

Primary::Entry* Primary::find(Run run) {
    const auto found = entries_.find(run.slot);
    return found != entries_.end() && found->second.member.run == run ? &found->second : nullptr;
}

Primary::Handle* Primary::find(HandleId handle) {
    const auto found = handles_.find(handle);
    return found == handles_.end() ? nullptr : &found->second;
}

Primary::Handle* Primary::find(std::string_view app, std::string_view key) {
    for (auto& [id, handle] : handles_) {
        if (handle.kept.key == key && handle.kept.app == app) return &handle;
    }
    return nullptr;
}

void Primary::note(Entry& entry, std::uint32_t bit) {
    if ((entry.member.notes & bit) != 0) return;
    entry.member.notes |= bit;
    actions_.push_back(action::Note{entry.member.run, entry.member.notes});
}

std::vector<Action> Primary::take_actions() {
    return std::exchange(actions_, {});
}

// --- runs

void Primary::add(Member member, Instant now) {
    const Run run = member.run;
    if (const auto other = entries_.find(run.slot); other != entries_.end()) {
        remove(other->second.member.run, now);
    }
    Entry& entry = entries_[run.slot] = Entry{};
    entry.member = std::move(member);
    entry.is_stopping = (entry.member.notes & (note::kDrainAsked | note::kDisconnected)) != 0;
    for (const Held& held : std::exchange(entry.member.held, {})) {
        Handle* const handle = find(held.handle);
        if (handle == nullptr || handle->kept.app != entry.member.app) {
            actions_.push_back(action::Hold{run, held, false});
            continue;
        }
        entry.member.held.push_back(held);
        handle->holders.push_back(run);
        handle->closes_at.reset();
        if (held.is_round_robin && !entry.is_stopping) handle->turns.push_back(run);
    }
    hand_out_all(entry);
}

bool Primary::stop(Run run, Duration grace, Instant now) {
    Entry* const entry = find(run);
    const bool is_member = entry != nullptr && (entry->member.notes & note::kOnline) != 0;
    if (!is_member || !entry->has_channel) return false;
    entry->is_stopping = true;
    take_out_of_turns(*entry);
    grace = std::max(grace, Duration{0});
    entry->kill_at = now + grace;
    entry->before_kill = std::min(kBeforeKill, grace / 4);
    const std::uint32_t notes = entry->member.notes;
    if ((notes & note::kDisconnected) != 0) return true;
    const bool can_drain = entry->member.drains && (notes & note::kCanDrain) != 0;
    if (!can_drain || (notes & note::kDrained) != 0) {
        disconnect(*entry);
        return true;
    }
    const Duration drain = std::max(grace - kAfterDrain - kDrainLate, grace / 2);
    if ((notes & note::kDrainAsked) == 0) {
        // In this order: over a kill it may be asked twice, and never not at all.
        actions_.push_back(action::Send{run, drain_line(drain)});
        note(*entry, note::kDrainAsked);
    }
    entry->drains_until = now + std::min(drain + kDrainLate, grace);
    return true;
}

void Primary::extend(Run run, Duration grace, Instant now) {
    Entry* const entry = find(run);
    if (entry == nullptr || !entry->kill_at) return;
    entry->kill_at = std::max(*entry->kill_at, now + grace);
}

void Primary::withdraw(Run run) {
    if (Entry* const entry = find(run)) take_out_of_turns(*entry);
}

void Primary::disconnect(Entry& entry) {
    entry.drains_until.reset();
    if ((entry.member.notes & note::kDisconnected) != 0) return;
    actions_.push_back(action::Send{entry.member.run, disconnect_line(next_sequence())});
    note(entry, note::kDisconnected);
}

void Primary::on_channel_closed(Run run, Instant now) {
    Entry* const entry = find(run);
    if (entry == nullptr || !entry->has_channel) return;
    entry->has_channel = false;
    entry->channel_closed_at = now;
    entry->drains_until.reset();
    take_out_of_turns(*entry);
    take_back(*entry);
}

void Primary::remove(Run run, Instant now) {
    Entry* const entry = find(run);
    if (entry == nullptr) return;
    take_out_of_turns(*entry);
    take_back(*entry);
    while (!entry->member.held.empty()) leave(*entry, entry->member.held.back().handle, now);
    entries_.erase(run.slot);
}

bool Primary::is_ending(Run run) const {
    const auto found = entries_.find(run.slot);
    return found != entries_.end() && found->second.member.run == run &&
           found->second.is_stopping && found->second.has_channel;
}

std::optional<Primary::Facts> Primary::facts(Run run) const {
    const auto found = entries_.find(run.slot);
    if (found == entries_.end() || found->second.member.run != run) return std::nullopt;
    const Entry& entry = found->second;
    Facts facts{entry.member.notes, {}, entry.on_the_way.size()};
    for (const Held& held : entry.member.held) {
        const auto handle = handles_.find(held.handle);
        if (handle == handles_.end()) continue;
        const auto count = entry.handed_over.find(held.handle);
        facts.held.push_back({held.handle, handle->second.kept.key, held.is_round_robin,
                              count == entry.handed_over.end() ? 0 : count->second});
    }
    return facts;
}

// --- messages

bool Primary::on_message(Run from, std::string_view line, Instant now) {
    Entry* const entry = find(from);
    if (entry == nullptr) return true;
    const auto message = parse_message(json_, line);
    if (!message) return false;
    std::visit([&](const auto& each) { handle(*entry, each, now); }, *message);
    return true;
}

void Primary::handle(Entry& from, const in::Online&, Instant) {
    note(from, note::kOnline);
}

void Primary::handle(Entry& from, const in::Listening&, Instant) {
    const bool is_first = (from.member.notes & note::kListening) == 0;
    note(from, note::kListening);
    if (is_first) actions_.push_back(action::Listening{from.member.run});
}

void Primary::handle(Entry& from, const in::Hello&, Instant) {
    note(from, note::kCanDrain);
}

void Primary::handle(Entry& from, const in::Drained& message, Instant) {
    note(from, note::kDrained);
    if ((from.member.notes & note::kDrainAsked) == 0) return;
    const bool is_empty = message.requests == 0 && message.upgraded == 0 && message.other == 0;
    if (!is_empty) actions_.push_back(action::Left{from.member.run, message});
    disconnect(from);
}

void Primary::handle(Entry& from, const in::Leaving& message, Instant) {
    note(from, note::kDisconnected);
    take_out_of_turns(from);
    actions_.push_back(
        action::Send{from.member.run, leaving_reply_line(message.sequence, next_sequence())});
}

void Primary::handle(Entry& from, const in::Close& message, Instant now) {
    if (Handle* const closed = find(from.member.app, message.key)) {
        leave(from, closed->kept.id, now);
    }
}

void Primary::handle(Entry&, const in::Other&, Instant) {}

void Primary::handle(Entry& from, const in::Query& query, Instant) {
    if (query.error != 0) return refuse(from, query, query.error);
    const Question question{from.member.run, query.sequence, query.data};
    Handle* known = find(from.member.app, query.key);
    if (known != nullptr) {
        const auto& held = from.member.held;
        const auto mine = std::find_if(held.begin(), held.end(), [&](const Held& each) {
            return each.handle == known->kept.id;
        });
        // The very question again: who had heard it did not live to answer.
        const bool is_again = mine != held.end() && mine->sequence == query.sequence;
        if (mine != held.end() && !is_again) return refuse(from, query, -EADDRINUSE);
        for (const Question& waiting : known->questions) {
            if (waiting.run == question.run) return refuse(from, query, -EADDRINUSE);
        }
    }
    const bool is_new = known == nullptr || known->questions.empty();
    if (is_new && from.member.held.size() >= kMaxHeld) return refuse(from, query, -EMFILE);
    if (known == nullptr) {
        if (const int error = make_room(from.member.app)) return refuse(from, query, error);
        const HandleId id{++last_handle_};
        known = &handles_[id];
        known->kept = {id, from.member.app, query.key, query.address, query.data};
        known->questions.push_back(question);
        actions_.push_back(action::Open{known->kept, from.member.run});
        return;
    }
    if (known->kept.data == "null" && query.data != "null") {
        known->kept.data = query.data;
        if (known->is_open) actions_.push_back(action::Keep{known->kept});
    }
    if (!known->is_open) {
        known->questions.push_back(question);
        return;
    }
    answer(*known, question);
    hand_out(*known);
}

void Primary::refuse(Entry& to, const in::Query& query, int error) {
    const Reply reply{query.sequence, next_sequence(), query.key, query.data};
    actions_.push_back(action::Refuse{to.member.run, query.key, error});
    actions_.push_back(action::Send{to.member.run, error_reply_line(reply, error)});
}

void Primary::answer(Handle& handle, const Question& question) {
    Entry* const entry = find(question.run);
    if (entry == nullptr || !entry->has_channel) return;
    const Address::Kind kind = handle.kept.address.kind;
    const Held held{handle.kept.id, question.sequence,
                    entry->member.is_round_robin && kind != Address::Kind::udp};
    auto& all = entry->member.held;
    if (std::find(all.begin(), all.end(), held) == all.end()) {
        all.push_back(held);
        handle.holders.push_back(question.run);
        if (held.is_round_robin && !entry->is_stopping) handle.turns.push_back(question.run);
        actions_.push_back(action::Hold{question.run, held, true});
    }
    handle.closes_at.reset();
    const Reply reply{question.sequence, next_sequence(), handle.kept.key, handle.kept.data};
    if (held.is_round_robin) {
        actions_.push_back(
            action::Send{question.run, round_robin_reply_line(reply, handle.bound)});
    } else {
        actions_.push_back(action::SendSocket{question.run, shared_reply_line(reply, kind),
                                              handle.kept.id});
    }
}

// --- sockets

/// 0, or why there is none: a negative number.
int Primary::make_room(std::string_view app) {
    std::size_t count = 0;
    const Handle* oldest = nullptr;
    for (const auto& [id, handle] : handles_) {
        if (handle.kept.app != app) continue;
        ++count;
        if (!handle.closes_at) continue;
        if (oldest == nullptr || *handle.closes_at < *oldest->closes_at) oldest = &handle;
    }
    if (count < kMaxHandles) return 0;
    if (oldest == nullptr) return -ENFILE;
    close(oldest->kept.id);
    return 0;
}

void Primary::resume(Kept kept, Bound bound, Instant now) {
    last_handle_ = std::max(last_handle_, kept.id.value);
    Handle& handle = handles_[kept.id];
    handle.kept = std::move(kept);
    handle.is_open = true;
    handle.bound = std::move(bound);
    handle.closes_at = now + kLinger;
}

void Primary::on_opened(HandleId id, Bound bound, Instant now) {
    Handle* const handle = find(id);
    if (handle == nullptr || handle->is_open) return;
    handle->is_open = true;
    handle->bound = std::move(bound);
    for (const Question& question : std::exchange(handle->questions, {})) {
        answer(*handle, question);
    }
    if (handle->holders.empty()) linger(*handle, now);
    hand_out(*handle);
}

void Primary::on_failed(HandleId id, int error) {
    CLUSTER_ASSERT(error < 0);
    Handle* const handle = find(id);
    if (handle == nullptr || handle->is_open) return;
    for (const Question& question : handle->questions) {
        const Reply reply{question.sequence, next_sequence(), handle->kept.key, question.data};
        actions_.push_back(action::Send{question.run, error_reply_line(reply, error)});
    }
    handles_.erase(id);
}

void Primary::leave(Entry& entry, HandleId id, Instant now) {
    auto& held = entry.member.held;
    const auto mine = std::find_if(held.begin(), held.end(),
                                   [&](const Held& each) { return each.handle == id; });
    if (mine == held.end()) return;
    actions_.push_back(action::Hold{entry.member.run, *mine, false});
    held.erase(mine);
    Handle* const handle = find(id);
    if (handle == nullptr) return;
    erase_value(handle->holders, entry.member.run);
    erase_value(handle->turns, entry.member.run);
    if (handle->holders.empty()) linger(*handle, now);
    hand_out(*handle);
}

void Primary::linger(Handle& handle, Instant now) {
    handle.closes_at = now + kLinger;
}

void Primary::close(HandleId id) {
    Handle* const handle = find(id);
    if (handle == nullptr) return;
    for (const ConnectionId connection : handle->waiting) {
        actions_.push_back(action::Drop{connection});
    }
    actions_.push_back(action::Close{id});
    handles_.erase(id);
}

void Primary::forget(std::string_view app) {
    std::vector<HandleId> unused;
    for (const auto& [id, handle] : handles_) {
        if (handle.kept.app == app && handle.is_open && handle.holders.empty()) {
            unused.push_back(id);
        }
    }
    for (const HandleId id : unused) close(id);
}

}  // namespace cluster::nodecluster
