// Requests and their replies, and what comes from outside.
//
// The id under which a target sees a request says where the request is noted: the slot of the
// requester plus one, the place in its table, and a number that no request at that place had for a
// long time. It fits the whole numbers of JavaScript.

#include <algorithm>

#include "channel/router.hpp"
#include "core/selector.hpp"

namespace cluster::channel {
namespace {

constexpr unsigned kSequenceBits = 31;
constexpr unsigned kIndexBits = 8;
static_assert(kMaxPending == std::size_t{1} << kIndexBits);
constexpr std::uint64_t kSequenceMask = (std::uint64_t{1} << kSequenceBits) - 1;

std::uint64_t make_id(Slot slot, std::size_t index, std::uint32_t sequence) {
    const std::uint64_t place = (std::uint64_t{slot.value} + 1) << kIndexBits | index;
    return place << kSequenceBits | sequence;
}

}  // namespace

Pending* Router::pending_of(const Member& member, std::uint64_t id) {
    const std::size_t index = (id >> kSequenceBits) & (kMaxPending - 1);
    Pending& entry = member.record->pending[index];
    const bool is_it = entry.is_used != 0 && make_id(member.run.slot, index, entry.sequence) == id;
    return is_it ? &entry : nullptr;
}

/// Those that were under way when a predecessor was killed.
void Router::resume_pending(const Member& member) {
    if (member.record->next_sequence == 0) return;
    for (std::size_t i = 0; i < kMaxPending; ++i) {
        const Pending& entry = member.record->pending[i];
        if (entry.is_used == 0) continue;
        const Instant deadline = from_ns(entry.deadline_ns);
        const std::uint64_t id = make_id(member.run.slot, i, entry.sequence);
        const Run target{Slot{entry.target_slot}, Generation{entry.target_generation}};
        waiting_[{deadline, id}] = {member.run, target};
        deadlines_[id] = deadline;
    }
}

/// Requests to somebody go to one that takes part; if it is to many, they take turns.
std::optional<Run> Router::choose(std::string_view selector, Run except) {
    const std::vector<Run> runs = select(selector, except);
    if (runs.empty()) return std::nullopt;
    // Of an instance that is being reloaded the newer run.
    if (selector.find('.') != std::string_view::npos && by_name_.contains(std::string{selector})) {
        return runs.back();
    }
    return runs[turn_++ % runs.size()];
}

std::optional<std::uint64_t> Router::note_pending(const Member& from, const in::Request& request,
                                                  Run target, Instant deadline) {
    Record& record = *from.record;
    for (std::size_t i = 0; i < kMaxPending; ++i) {
        Pending& entry = record.pending[i];
        if (entry.is_used != 0) continue;
        entry.sequence = record.next_sequence++ & kSequenceMask;
        entry.deadline_ns = to_ns(deadline);
        entry.target_slot = target.slot.value;
        entry.target_generation = target.generation.value;
        entry.id_size = static_cast<std::uint8_t>(request.id.size());
        std::copy(request.id.begin(), request.id.end(), entry.id);
        channel::publish(entry.is_used, 1);
        const std::uint64_t id = make_id(from.run.slot, i, entry.sequence);
        waiting_[{deadline, id}] = {from.run, target};
        deadlines_[id] = deadline;
        return id;
    }
    return std::nullopt;
}

void Router::handle(Member& from, const in::Request& request, Instant now) {
    const auto target = choose(request.to, from.run);
    if (!target) return fail(from, request.id, "nobody there");
    const Instant deadline = now + request.timeout.value_or(spec_.request_timeout);
    const auto id = note_pending(from, request, *target, deadline);
    if (!id) return fail(from, request.id, "too many requests");
    const std::string line =
        request_line(*id, core::instance_id(from.worker, from.number), request.data.text);
    if (world_.deliver(*target, line)) return;
    const auto waiting = waiting_.find({deadline, *id});
    if (waiting != waiting_.end()) settle(waiting, {}, refusal("its queue is full"));
}

void Router::handle(Member& from, const in::Reply& reply, Instant) {
    const auto deadline = deadlines_.find(reply.id);
    const auto waiting =
        deadline == deadlines_.end() ? waiting_.end() : waiting_.find({deadline->second, reply.id});
    if (waiting == waiting_.end() || waiting->second.target != from.run) {
        ++from.record->counts.unanswered;
        return;
    }
    settle(waiting, core::instance_id(from.worker, from.number), reply);
}

in::Reply Router::refusal(std::string_view reason) {
    return {.id = 0, .data = {JsonType::null, "null"}, .error = std::string{reason}};
}

/// Gives the reply to who waits for it.
void Router::settle(std::map<Key, Waiting>::iterator waiting, std::string_view from,
                    const in::Reply& reply) {
    const std::uint64_t id = waiting->first.second;
    const Run requester = waiting->second.requester;
    waiting_.erase(waiting);
    deadlines_.erase(id);
    if (requester.slot.value == kOutside) {
        world_.answer({.request = id,
                       .from = std::string{from},
                       .data = reply.error ? "null" : std::string{reply.data.text},
                       .error = reply.error.value_or("")});
        return;
    }
    const Member* const member = find(requester);
    Pending* const entry =
        member == nullptr || member->record == nullptr ? nullptr : pending_of(*member, id);
    if (entry == nullptr) return;
    const std::string own_id{entry->view()};
    channel::publish(entry->is_used, 0);
    std::string name;
    std::string value;
    append_string(name, from);
    append_string(value, reply.error.value_or(""));
    const ReplyMember result =
        reply.error ? ReplyMember{"error", value} : ReplyMember{"data", reply.data.text};
    world_.deliver(requester, from.empty() ? reply_line(own_id, {result})
                                           : reply_line(own_id, {{"from", name}, result}));
}

/// Of one that has left: its own requests are forgotten, those to it will have no reply.
void Router::end_requests_of(Run run, const std::string& name) {
    std::vector<Key> keys;
    for (const auto& [key, waiting] : waiting_) {
        if (waiting.target == run || waiting.requester == run) keys.push_back(key);
    }
    for (const Key& key : keys) {
        const auto waiting = waiting_.find(key);
        if (waiting == waiting_.end()) continue;
        if (waiting->second.requester == run) {
            deadlines_.erase(key.second);
            waiting_.erase(waiting);
        } else {
            settle(waiting, name, refusal("it has left"));
        }
    }
}

void Router::on_time(Instant now) {
    while (!waiting_.empty() && waiting_.begin()->first.first <= now) {
        settle(waiting_.begin(), {}, refusal("timeout"));
    }
}

std::optional<Instant> Router::next_deadline() const {
    if (waiting_.empty()) return std::nullopt;
    return waiting_.begin()->first.first;
}

// --- from outside

std::optional<std::size_t> Router::send(std::string_view selector, std::string_view data) {
    if (!is_application(inner_, data)) return std::nullopt;
    return deliver_all(select(selector, Run{Slot{kOutside}, Generation{0}}), raw_line(data));
}

std::size_t Router::publish(std::string_view topic, std::string_view data) {
    if (world_.is_observed()) world_.observe({{}, topic, data});
    return deliver_all(subscribers(topic), message_line({{}, topic}, data));
}

std::uint64_t Router::request(std::string_view selector, std::string_view data, Duration timeout,
                              Instant now) {
    const Run outside{Slot{kOutside}, Generation{0}};
    const std::uint64_t id =
        ++next_outside_ & ((std::uint64_t{1} << (kSequenceBits + kIndexBits)) - 1);
    const auto target = choose(selector, outside);
    if (!target) {
        world_.answer({.request = id, .from = {}, .data = "null", .error = "nobody there"});
        return id;
    }
    const Instant deadline = now + timeout;
    waiting_[{deadline, id}] = {outside, *target};
    deadlines_[id] = deadline;
    if (!world_.deliver(*target, request_line(id, {}, data))) {
        const auto waiting = waiting_.find({deadline, id});
        if (waiting != waiting_.end()) settle(waiting, {}, refusal("its queue is full"));
    }
    return id;
}

void Router::tell_stopping(Run run, Duration grace) {
    const std::vector<Run> runs = subscribers("cluster.stopping");
    if (std::find(runs.begin(), runs.end(), run) == runs.end()) return;
    world_.deliver(run, stopping_line(to_ms(grace)));
}

}  // namespace cluster::channel
