// Who gets what: the lines of workers in, lines to workers out. Pure: the shell owns the channels,
// the store and the instances, and does what World asks of it.
//
// Order is kept per pair of sender and receiver, for a line is applied whole before the next one is
// looked at. Delivery is at most once: what finds no receiver, or no room in its queue, is gone and
// counted. What has to outlive this process (subscriptions, requests that wait) lives in the
// records of the channels; the maps here are made of them again.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "channel/envelope.hpp"
#include "channel/intake.hpp"
#include "channel/record.hpp"
#include "channel/repeated.hpp"
#include "channel/rules.hpp"
#include "channel/store_door.hpp"
#include "core/spec.hpp"

namespace cluster::channel {

/// A worker's instance whose channel is open.
struct Member {
    Run run;
    std::string worker;
    std::uint32_t number = 0;
    std::string group;
    /// Node reads its channel always; a json worker may not know that it has one. Until that has
    /// said something, what is meant for many leaves it out.
    bool is_node = false;
    Record* record = nullptr;  // outlives the member; null until a byte has moved
};

/// A message that an observer may want to see.
struct Observed {
    std::string_view from;   // "api.0"; empty: from outside
    std::string_view topic;  // empty: it was not published
    std::string_view data;   // JSON
};

/// A reply to a request that came from outside.
struct OutsideReply {
    std::uint64_t request = 0;
    std::string from;
    std::string data;   // JSON
    std::string error;  // not empty: instead of data
};

/// What the router cannot do itself.
class World {
public:
    virtual ~World() = default;
    /// Queues a line. False: it was thrown away. The channel may be gone afterwards, but the member
    /// is removed only later.
    virtual bool deliver(Run to, std::string_view line) = 0;
    virtual void on_ready(Run run) = 0;
    virtual void on_status(Run run, std::string_view text) = 0;
    virtual void on_heartbeat(Run run) = 0;
    /// A message of Node's cluster module.
    virtual void on_internal(Run run, std::string_view line) = 0;
    /// For the daemon's log.
    virtual void on_logged(Run run, std::string_view message) = 0;
    virtual void on_rule_failed(Run run, std::size_t rule, std::string_view reason) = 0;
    /// Nothing where the worker has no store.
    [[nodiscard]] virtual StoreDoor* store_of(Run run) = 0;
    [[nodiscard]] virtual bool is_observed() const = 0;
    virtual void observe(const Observed& message) = 0;
    virtual void answer(OutsideReply reply) = 0;
};

class Router {
public:
    /// Both outlive it. The rules may change between two calls.
    Router(const core::ChannelSpec& spec, World& world) : spec_(spec), world_(world) {}

    void add(Member member);
    /// Its first byte is about to move. The record is new, or as a predecessor left it.
    void set_record(Run run, Record& record);
    void set_group(Run run, std::string group);
    /// Who waits for a reply of it hears that there will be none.
    void remove(Run run);
    [[nodiscard]] const Member* find(Run run) const;

    void on_line(Run from, std::string_view line, Instant now);
    /// All lines that have come; of those whose only effect is a number that is added to a key, as
    /// many in a row as can be are added up and stored at once. How many there were.
    std::size_t on_lines(Run from, Intake& intake, Instant now);
    /// A sum of a predecessor's that a kill has cut off is settled. Requires: nobody has settled
    /// the predecessor's places in the stores.
    void settle_sum(Run from, Intake& intake);
    /// A line whose effect a kill may have cut off: only what its sender would wait for without end
    /// is made good.
    void complete(Run from, std::string_view line);

    void on_time(Instant now);
    [[nodiscard]] std::optional<Instant> next_deadline() const;

    // --- from outside
    /// To everybody whom the selector names, as it is. How many got it; nothing: it is no
    /// application message.
    [[nodiscard]] std::optional<std::size_t> send(std::string_view selector, std::string_view data);
    [[nodiscard]] std::size_t publish(std::string_view topic, std::string_view data);
    /// To one of them; the reply, or why there is none, comes to World::answer. Its number.
    [[nodiscard]] std::uint64_t request(std::string_view selector, std::string_view data,
                                        Duration timeout, Instant now);
    /// To this one, if it has subscribed to "cluster.stopping".
    void tell_stopping(Run run, Duration grace);

private:
    struct Waiting {
        Run requester;  // slot kOutside: from outside
        Run target;
    };
    using Key = std::pair<Instant, std::uint64_t>;  // deadline, id that the target sees
    static constexpr std::uint32_t kOutside = 0xFFFFFFFF;

    // --- who
    [[nodiscard]] Member* member(Run run);
    [[nodiscard]] std::vector<Run> select(std::string_view selector, Run except) const;
    [[nodiscard]] std::vector<Run> subscribers(std::string_view topic) const;
    [[nodiscard]] bool takes_part(const Member& member) const;
    std::size_t deliver_all(const std::vector<Run>& receivers, std::string_view line);
    void index(const Member& member, std::string_view pattern);
    void unindex(const Member& member, std::string_view pattern);

    // --- what
    void handle(Member& from, const in::Application& message, Instant now);
    void handle(Member& from, const in::Handle& message, Instant now);
    void handle(Member& from, const in::SocketCount& message, Instant now);
    void handle(Member& from, const in::SocketClose& message, Instant now);
    void handle(Member& from, const in::Internal& message, Instant now);
    void handle(Member& from, const in::Ready& message, Instant now);
    void handle(Member& from, const in::Heartbeat& message, Instant now);
    void handle(Member& from, const in::Status& message, Instant now);
    void handle(Member& from, const in::Send& message, Instant now);
    void handle(Member& from, const in::Request& message, Instant now);
    void handle(Member& from, const in::Reply& message, Instant now);
    void handle(Member& from, const in::Publish& message, Instant now);
    void handle(Member& from, const in::Subscribe& message, Instant now);
    void handle(Member& from, const in::Store& message, Instant now);
    void handle(Member& from, const in::Invalid& message, Instant now);

    /// What a line says, until the next read.
    struct Reading {
        Member* from = nullptr;       // null: nobody we know
        const Json* known = nullptr;  // an application's, as before
        std::optional<Incoming> incoming{};

        /// One that was not known.
        [[nodiscard]] bool is_application() const {
            return incoming && std::holds_alternative<in::Application>(*incoming);
        }
    };
    [[nodiscard]] Reading read(Run from, std::string_view line);
    void apply(const Reading& reading, std::string_view line, Instant now);
    [[nodiscard]] std::optional<Addition> addition_of(const Reading& reading) const;
    void store_sum(Run from, Intake& intake, const Addition& sum, Instant now);

    void take(const Member& from, const Json& json);
    void apply_rules(const Member& from, const Json& json);
    void apply(const Member& from, std::size_t number, const Json& json);
    void broadcast(std::string_view type, std::string_view value);
    void fail_rule(const Member& from, std::size_t number, std::string_view reason);
    void answer_get(const Member& to, MessageId id, const Result<StoreDoor::Found>& found);
    void fail(const Member& to, MessageId id, std::string_view reason);
    void reply(const Member& to, MessageId id, std::initializer_list<ReplyMember> members);
    void refuse(const Member& to, MessageId id, std::string_view reason);

    // --- requests
    [[nodiscard]] std::optional<Run> choose(std::string_view selector, Run except);
    [[nodiscard]] std::optional<std::uint64_t> note_pending(const Member& from,
                                                            const in::Request& request, Run target,
                                                            Instant deadline);
    [[nodiscard]] static Pending* pending_of(const Member& member, std::uint64_t id);
    void settle(std::map<Key, Waiting>::iterator waiting, std::string_view from,
                const in::Reply& reply);
    [[nodiscard]] static in::Reply refusal(std::string_view reason);
    void resume(const Member& member);
    void resume_pending(const Member& member);
    void end_requests_of(Run run, const std::string& name);

    const core::ChannelSpec& spec_;
    World& world_;
    Json json_;
    Json inner_;
    RepeatedLine repeated_;
    std::string_view line_;  // the one that is being applied
    std::unordered_map<Slot, Member> members_;
    std::unordered_map<std::string, std::vector<Run>> by_name_;  // "api.0", and "api"
    std::unordered_map<std::string, std::vector<Run>> topics_;   // without a wildcard
    std::vector<std::pair<std::string, Run>> patterns_;
    std::map<Key, Waiting> waiting_;
    std::unordered_map<std::uint64_t, Instant> deadlines_;  // of what waits, by its id
    std::uint64_t next_outside_ = 0;
    std::size_t turn_ = 0;                                        // of those that share requests
    std::set<std::pair<std::string, std::size_t>> failed_rules_;  // worker, rule: said already
};

}  // namespace cluster::channel
