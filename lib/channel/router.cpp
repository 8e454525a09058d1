#include "channel/router.hpp"

#include <algorithm>
#include <cerrno>
#include <variant>

#include "core/selector.hpp"

namespace cluster::channel {
namespace {

bool is_pattern(std::string_view topic) {
    return topic.find_first_of("*?[") != std::string_view::npos;
}

std::string name_of(const Member& member) {
    return core::instance_id(member.worker, member.number);
}

template <class Value>
void erase_value(std::vector<Value>& values, const Value& value) {
    values.erase(std::remove(values.begin(), values.end(), value), values.end());
}

template <class Map>
void erase_from(Map& map, const std::string& key, Run run) {
    const auto found = map.find(key);
    if (found == map.end()) return;
    erase_value(found->second, run);
    if (found->second.empty()) map.erase(found);
}

}  // namespace

// --- who

void Router::add(Member added) {
    Member& member = members_[added.run.slot] = std::move(added);
    by_name_[name_of(member)].push_back(member.run);
    by_name_[member.worker].push_back(member.run);
    if (member.record != nullptr) resume(member);
}

/// What the record says of it.
void Router::resume(const Member& member) {
    for (const Subscription& entry : member.record->subscriptions) {
        if (entry.is_used != 0) index(member, entry.view());
    }
    resume_pending(member);
}

void Router::set_record(Run run, Record& record) {
    Member* const found = member(run);
    if (found == nullptr) return;
    found->record = &record;
    resume(*found);
}

void Router::set_group(Run run, std::string group) {
    if (Member* const found = member(run)) found->group = std::move(group);
}

void Router::remove(Run run) {
    Member* const leaving = member(run);
    if (leaving == nullptr) return;
    if (leaving->record != nullptr) {
        for (const Subscription& entry : leaving->record->subscriptions) {
            if (entry.is_used != 0) unindex(*leaving, entry.view());
        }
    }
    erase_from(by_name_, name_of(*leaving), run);
    erase_from(by_name_, leaving->worker, run);
    const std::string name = name_of(*leaving);
    members_.erase(run.slot);
    end_requests_of(run, name);
}

const Member* Router::find(Run run) const {
    const auto found = members_.find(run.slot);
    return found != members_.end() && found->second.run == run ? &found->second : nullptr;
}

Member* Router::member(Run run) {
    const auto found = members_.find(run.slot);
    return found != members_.end() && found->second.run == run ? &found->second : nullptr;
}

void Router::index(const Member& member, std::string_view pattern) {
    if (is_pattern(pattern)) {
        patterns_.emplace_back(pattern, member.run);
    } else {
        topics_[std::string{pattern}].push_back(member.run);
    }
}

void Router::unindex(const Member& member, std::string_view pattern) {
    if (is_pattern(pattern)) {
        erase_value(patterns_, std::pair{std::string{pattern}, member.run});
    } else {
        erase_from(topics_, std::string{pattern}, member.run);
    }
}

bool Router::takes_part(const Member& member) const {
    return member.is_node || (member.record != nullptr && member.record->has_spoken != 0);
}

/// Who is named himself always; of many only those who take part, and not the sender.
std::vector<Run> Router::select(std::string_view selector, Run except) const {
    std::vector<Run> runs;
    const auto add_if_part = [&](Run run) {
        const Member* const candidate = find(run);
        if (run != except && candidate != nullptr && takes_part(*candidate)) runs.push_back(run);
    };
    if (const auto named = by_name_.find(std::string{selector}); named != by_name_.end()) {
        if (selector.find('.') != std::string_view::npos) return named->second;
        for (const Run run : named->second) add_if_part(run);
        return runs;
    }
    for (const auto& [slot, candidate] : members_) {
        if (core::selects(selector, candidate.worker, candidate.number, candidate.group)) {
            add_if_part(candidate.run);
        }
    }
    std::sort(runs.begin(), runs.end());
    return runs;
}

std::vector<Run> Router::subscribers(std::string_view topic) const {
    std::vector<Run> runs;
    if (const auto exact = topics_.find(std::string{topic}); exact != topics_.end()) {
        runs = exact->second;
    }
    const bool is_reserved = is_reserved_topic(topic);
    for (const auto& [pattern, run] : patterns_) {
        if (is_reserved && !is_reserved_topic(pattern)) continue;
        if (core::matches_glob(pattern, topic)) runs.push_back(run);
    }
    std::sort(runs.begin(), runs.end());
    runs.erase(std::unique(runs.begin(), runs.end()), runs.end());
    return runs;
}

std::size_t Router::deliver_all(const std::vector<Run>& receivers, std::string_view line) {
    std::size_t count = 0;
    for (const Run run : receivers) count += world_.deliver(run, line) ? 1 : 0;
    return count;
}

// --- what

void Router::on_line(Run from, std::string_view line, Instant now) {
    apply(read(from, line), line, now);
}

Router::Reading Router::read(Run from, std::string_view line) {
    Member* const sender = member(from);
    if (sender == nullptr || sender->record == nullptr) return {};
    if (sender->record->has_spoken == 0) channel::publish(sender->record->has_spoken, 1);
    if (const Json* const known = repeated_.find(line)) return {.from = sender, .known = known};
    Reading reading{.from = sender, .incoming = parse_line(json_, line)};
    if (reading.is_application()) repeated_.remember(line);
    return reading;
}

void Router::apply(const Reading& reading, std::string_view line, Instant now) {
    if (reading.from == nullptr) return;
    Member& sender = *reading.from;
    if (reading.known != nullptr) return take(sender, *reading.known);
    if (!reading.incoming) {
        ++sender.record->counts.malformed;
        return;
    }
    line_ = line;
    std::visit([&](const auto& message) { handle(sender, message, now); }, *reading.incoming);
}

void Router::complete(Run from, std::string_view line) {
    Member* const sender = member(from);
    const auto incoming = parse_line(json_, line);
    if (sender == nullptr || sender->record == nullptr || !incoming) return;
    const Instant now{};
    if (std::holds_alternative<in::Handle>(*incoming)) {
        world_.deliver(from, handle_ack_line());
    } else if (const auto* count = std::get_if<in::SocketCount>(&*incoming)) {
        handle(*sender, *count, now);
    } else if (const auto* close = std::get_if<in::SocketClose>(&*incoming)) {
        handle(*sender, *close, now);
    } else if (std::holds_alternative<in::Internal>(*incoming)) {
        // Whoever serves these knows what it has done already.
        world_.on_internal(from, line);
    }
}

void Router::handle(Member& from, const in::Application&, Instant) {
    take(from, json_);
}

/// A message of an application.
void Router::take(const Member& from, const Json& json) {
    if (world_.is_observed()) {
        const std::string name = name_of(from);
        world_.observe({.from = name, .topic = {}, .data = json.root().text});
    }
    apply_rules(from, json);
}

/// The socket is closed; Node is told at once, or it would keep back everything that it has to say
/// after it.
void Router::handle(Member& from, const in::Handle& message, Instant) {
    world_.deliver(from.run, handle_ack_line());
    if (message.message && is_application(inner_, message.message->text)) take(from, inner_);
}

void Router::handle(Member& from, const in::SocketCount& message, Instant) {
    world_.deliver(from.run, socket_count_line(message.key));
}

void Router::handle(Member& from, const in::SocketClose& message, Instant) {
    world_.deliver(from.run, sockets_closed_line(message.key));
}

void Router::handle(Member& from, const in::Internal&, Instant) {
    world_.on_internal(from.run, line_);
}

void Router::handle(Member& from, const in::Ready&, Instant) {
    world_.on_ready(from.run);
}

void Router::handle(Member& from, const in::Heartbeat&, Instant) {
    world_.on_heartbeat(from.run);
}

void Router::handle(Member& from, const in::Status& message, Instant) {
    world_.on_status(from.run, message.text);
}

void Router::handle(Member& from, const in::Send& message, Instant) {
    if (message.is_raw && !is_application(inner_, message.data.text)) {
        return refuse(from, message.id, "\"data\" is not a message of an application");
    }
    const std::string name = name_of(from);
    const std::string line =
        message.is_raw ? raw_line(message.data.text) : message_line({name, {}}, message.data.text);
    const std::size_t count = deliver_all(select(message.to, from.run), line);
    reply(from, message.id, {{"delivered", std::to_string(count)}});
}

void Router::handle(Member& from, const in::Publish& message, Instant) {
    if (message.is_raw && !is_application(inner_, message.data.text)) {
        return refuse(from, message.id, "\"data\" is not a message of an application");
    }
    const std::string name = name_of(from);
    if (world_.is_observed()) world_.observe({name, message.topic, message.data.text});
    const std::string line = message.is_raw
                                 ? raw_line(message.data.text)
                                 : message_line({name, message.topic}, message.data.text);
    const std::size_t count = deliver_all(subscribers(message.topic), line);
    reply(from, message.id, {{"delivered", std::to_string(count)}});
}

void Router::handle(Member& from, const in::Subscribe& message, Instant) {
    Subscription* free = nullptr;
    for (Subscription& entry : from.record->subscriptions) {
        if (entry.is_used == 0) {
            if (free == nullptr) free = &entry;
        } else if (entry.view() == message.topic) {
            if (!message.is_on) {
                unindex(from, message.topic);
                __atomic_store_n(&entry.is_used, std::uint8_t{0}, __ATOMIC_RELEASE);
            }
            return reply(from, message.id, {{"value", "true"}});
        }
    }
    if (message.is_on) {
        if (free == nullptr) return refuse(from, message.id, "too many subscriptions");
        free->size = static_cast<std::uint8_t>(message.topic.size());
        std::copy(message.topic.begin(), message.topic.end(), free->pattern);
        __atomic_store_n(&free->is_used, std::uint8_t{1}, __ATOMIC_RELEASE);
        index(from, message.topic);
    }
    reply(from, message.id, {{"value", message.is_on ? "true" : "false"}});
}

void Router::handle(Member& from, const in::Invalid& message, Instant) {
    refuse(from, message.id, message.reason);
}

void Router::reply(const Member& to, MessageId id, std::initializer_list<ReplyMember> members) {
    if (!id.empty()) world_.deliver(to.run, reply_line(id, members));
}

void Router::refuse(const Member& to, MessageId id, std::string_view reason) {
    ++to.record->counts.malformed;
    if (!id.empty()) world_.deliver(to.run, error_line(id, reason));
}

// --- the store

void Router::handle(Member& from, const in::Store& command, Instant) {
    using Verb = in::Store::Verb;
    StoreDoor* const store = world_.store_of(from.run);
    if (store == nullptr) return fail(from, command.id, "this worker has no store");
    const auto refuse_with = [&](const Error& error) {
        fail(from, command.id, store_refusal(error.code));
    };
    const auto number = [&](const Result<std::int64_t>& result) {
        if (!result) return refuse_with(result.error());
        reply(from, command.id, {{"value", std::to_string(*result)}});
    };
    const auto token = [&](const Result<std::uint64_t>& result) {
        if (!result) return refuse_with(result.error());
        reply(from, command.id, {{"token", '"' + std::to_string(*result) + '"'}});
    };
    switch (command.verb) {
        case Verb::get:
            return answer_get(from, command.id, store->get(command.key));
        case Verb::set:
            return token(store->set(command.key, command.value, command.ttl));
        case Verb::cas:
            return token(
                store->compare_and_set(command.key, command.token, command.value, command.ttl));
        case Verb::incr:
            return number(store->increment(command.key, command.by));
        case Verb::counter:
            return number(store->count(command.key, command.by));
        case Verb::del:
            break;
    }
    if (const auto removed = store->remove(command.key); !removed) {
        return refuse_with(removed.error());
    }
    reply(from, command.id, {{"value", "true"}});
}

void Router::answer_get(const Member& to, MessageId id, const Result<StoreDoor::Found>& found) {
    if (!found && found.error().code == ENOENT) return reply(to, id, {{"value", "null"}});
    if (!found) return fail(to, id, store_refusal(found.error().code));
    std::string_view rest = found->value;
    while (!rest.empty()) {
        const std::size_t length = utf8_length(rest);
        if (length == 0) return fail(to, id, "the value is no text");
        rest.remove_prefix(length);
    }
    std::string value;
    append_string(value, found->value);
    reply(to, id, {{"value", value}, {"token", '"' + std::to_string(found->token) + '"'}});
}

/// The command was right; that it failed is no fault of the worker's.
void Router::fail(const Member& to, MessageId id, std::string_view reason) {
    if (!id.empty()) world_.deliver(to.run, error_line(id, reason));
}

// --- rules

void Router::apply_rules(const Member& from, const Json& json) {
    for (std::size_t number = 0; number < spec_.rules.size(); ++number) {
        const core::ChannelRule& rule = spec_.rules[number];
        if (!matches(rule, json)) continue;
        if (const std::string_view field = missing_field(rule, json); !field.empty()) {
            ++from.record->counts.unmatched;
            fail_rule(from, number,
                      "the message has no \"" + std::string{field} + "\" that it can take");
        } else {
            apply(from, number, json);
        }
    }
}

void Router::apply(const Member& from, std::size_t number, const Json& json) {
    const core::ChannelRule& rule = spec_.rules[number];
    const std::string_view message = json.root().text;
    if (rule.log) return world_.on_logged(from.run, message);
    if (!rule.forward.empty()) {
        deliver_all(select(rule.forward, from.run), raw_line(message));
        return;
    }
    if (!rule.publish.empty()) {
        const std::string name = name_of(from);
        if (world_.is_observed()) world_.observe({name, rule.publish, message});
        deliver_all(subscribers(rule.publish), message_line({name, rule.publish}, message));
        return;
    }
    StoreDoor* const store = world_.store_of(from.run);
    if (store == nullptr) return fail_rule(from, number, "the worker has no store");
    if (!rule.incr.empty()) {
        const auto value = store->increment(rule.incr, amount_of(rule, json).value_or(0));
        if (!value) return fail_rule(from, number, store_refusal(value.error().code));
        if (!rule.broadcast.empty()) broadcast(rule.broadcast, std::to_string(*value));
        return;
    }
    const JsonValue& value = *json.find(rule.value);
    const std::string text = string_of(value).value_or(std::string{value.text});
    if (const auto stored = store->set(rule.set, text, Duration{0}); !stored) {
        return fail_rule(from, number, store_refusal(stored.error().code));
    }
    if (!rule.broadcast.empty()) broadcast(rule.broadcast, value.text);
}

void Router::broadcast(std::string_view type, std::string_view value) {
    deliver_all(select("all", Run{Slot{kOutside}, Generation{0}}), broadcast_line(type, value));
}

void Router::fail_rule(const Member& from, std::size_t number, std::string_view reason) {
    if (!failed_rules_.emplace(from.worker, number).second) return;
    world_.on_rule_failed(from.run, number, reason);
}

}  // namespace cluster::channel
