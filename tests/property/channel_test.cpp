// The router under random moves: every line whole, order kept per pair, nobody served twice,
// exactly one reply to each request, and the same with a successor in between.

#include <doctest/doctest.h>

#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "core/selector.hpp"
#include "property/property.hpp"
#include "unit/channel/world.hpp"

namespace cluster::channel {
namespace {

constexpr std::uint32_t kWorkers = 4;
constexpr std::array<const char*, 6> kTargets{"api.0", "api.2", "api", "@site", "all", "a*.1"};
constexpr std::array<const char*, 3> kTopics{"a.x", "a.y", "b"};
constexpr std::array<const char*, 5> kPatterns{"a.x", "a.*", "*", "b", "[ab]*"};

struct Move {
    enum class Kind : std::uint8_t {
        send,
        publish,
        subscribe,
        unsubscribe,
        request,
        reply,
        rubbish,
        leave,
        join,
        wait,
        takeover,
        last
    };
    Kind kind = Kind::send;
    std::uint32_t slot = 0;
    std::uint64_t choice = 0;
};

Move make_move(Prng& prng) {
    return {static_cast<Move::Kind>(prng.below(static_cast<std::uint64_t>(Move::Kind::last))),
            static_cast<std::uint32_t>(prng.below(kWorkers)), prng.next()};
}

std::string show_move(const Move& move) {
    std::ostringstream text;
    text << "kind " << static_cast<int>(move.kind) << " slot " << move.slot << " choice "
         << move.choice;
    return text.str();
}

/// Plays moves against the router, and against maps that are read from end to end.
class Play {
public:
    Play() {
        for (std::uint32_t slot = 0; slot < kWorkers; ++slot) join(slot);
    }

    std::string play(const Move& move) {
        now_ += std::chrono::milliseconds{1};
        const bool is_member = members_.contains(move.slot);
        if (move.kind == Move::Kind::join) {
            if (!is_member) join(move.slot);
        } else if (move.kind == Move::Kind::leave) {
            if (is_member) leave(move.slot);
        } else if (move.kind == Move::Kind::wait) {
            now_ += std::chrono::milliseconds{move.choice % 40};
            router_->on_time(now_);
        } else if (move.kind == Move::Kind::takeover) {
            take_over();
        } else if (is_member) {
            speak(move);
        }
        return check();
    }

    /// At the end nobody may wait.
    std::string finish() {
        now_ += std::chrono::hours{1};
        router_->on_time(now_);
        if (const std::string broken = check(); !broken.empty()) return broken;
        return open_requests_.empty() ? "" : "a request has no reply after its deadline";
    }

private:
    static Run run(std::uint32_t slot) { return {Slot{slot}, Generation{1}}; }

    void join(std::uint32_t slot) {
        auto& record = records_[slot];
        record = std::make_unique<Record>();
        members_.insert(slot);
        subscriptions_[slot].clear();
        add(slot);
    }
    void add(std::uint32_t slot) {
        router_->add({.run = run(slot),
                      .worker = "api",
                      .number = slot,
                      .group = "site",
                      .is_node = true,
                      .record = records_[slot].get()});
    }
    void leave(std::uint32_t slot) {
        router_->remove(run(slot));
        members_.erase(slot);
        asked_[slot].clear();
        for (auto at = open_requests_.begin(); at != open_requests_.end();) {
            at = at->first == slot ? open_requests_.erase(at) : std::next(at);
        }
    }
    /// The router is killed; its successor has the records and nothing else.
    void take_over() {
        router_.emplace(spec_, world_);
        for (const std::uint32_t slot : members_) add(slot);
    }

    void speak(const Move& move) {
        const std::uint32_t from = move.slot;
        const std::string number = std::to_string(++number_);
        switch (move.kind) {
            case Move::Kind::send: {
                const std::string to = kTargets[move.choice % kTargets.size()];
                expect(from, to);
                return say(from,
                           R"({"cluster":"send","to":")" + to + R"(","data":)" + number + "}");
            }
            case Move::Kind::publish: {
                const std::string topic = kTopics[move.choice % kTopics.size()];
                for (const auto& [slot, patterns] : subscriptions_) {
                    bool is_wanted = false;
                    for (const std::string& pattern : patterns) {
                        is_wanted = is_wanted || core::matches_glob(pattern, topic);
                    }
                    if (is_wanted && members_.contains(slot)) ++expected_[slot];
                }
                return say(from, R"({"cluster":"publish","topic":")" + topic + R"(","data":)" +
                                     number + "}");
            }
            case Move::Kind::subscribe:
            case Move::Kind::unsubscribe: {
                const bool is_on = move.kind == Move::Kind::subscribe;
                const std::string pattern = kPatterns[move.choice % kPatterns.size()];
                if (is_on) subscriptions_[from].insert(pattern);
                if (!is_on) subscriptions_[from].erase(pattern);
                return say(from, std::string{R"({"cluster":")"} +
                                     (is_on ? "subscribe" : "unsubscribe") + R"(","topic":")" +
                                     pattern + "\"}");
            }
            case Move::Kind::request:
                open_requests_.insert({from, number_});
                return say(from, R"({"cluster":"request","to":"api","timeout_ms":)" +
                                     std::to_string(1 + move.choice % 60) + R"(,"data":)" + number +
                                     R"(,"id":)" + number + "}");
            case Move::Kind::reply: {
                auto& asked = asked_[from];
                if (asked.empty()) return;
                const std::uint64_t id = asked[move.choice % asked.size()];
                return say(from, R"({"cluster":"reply","data":0,"id":)" + std::to_string(id) + "}");
            }
            case Move::Kind::rubbish:
                return say(from, move.choice % 2 == 0 ? R"({"cluster":)" : R"({"cluster":"x"})");
            case Move::Kind::leave:
            case Move::Kind::join:
            case Move::Kind::wait:
            case Move::Kind::takeover:
            case Move::Kind::last:
                return;
        }
    }
    void say(std::uint32_t from, const std::string& line) {
        router_->on_line(run(from), line, now_);
    }

    void expect(std::uint32_t from, const std::string& to) {
        for (const std::uint32_t slot : members_) {
            const bool is_named = to == "api." + std::to_string(slot);
            if (is_named || (slot != from && core::selects(to, "api", slot, "site"))) {
                ++expected_[slot];
            }
        }
    }

    std::string check() {
        for (std::uint32_t slot = 0; slot < kWorkers; ++slot) {
            for (const std::string& line : world_.take(slot)) {
                if (const std::string broken = check_line(slot, line); !broken.empty()) {
                    return broken + ": " + line;
                }
            }
            if (std::exchange(expected_[slot], 0) != std::exchange(received_[slot], 0)) {
                return "another number of messages than meant for api." + std::to_string(slot);
            }
        }
        return "";
    }

    std::string check_line(std::uint32_t slot, const std::string& line) {
        const auto json = nlohmann::json::parse(line, nullptr, false);
        if (json.is_discarded() || line.find('\n') != std::string::npos) return "no line of JSON";
        if (!members_.contains(slot)) return "delivered to one that has left";
        const std::string kind = json["cluster"];
        if (kind == "reply") {
            const bool was_open = open_requests_.erase({slot, json["id"]}) == 1;
            return was_open ? "" : "a reply that nobody waits for";
        }
        const std::uint64_t number = json["data"];
        std::uint64_t& last = last_[{json["from"], slot}];
        if (number <= last) return "out of order, or twice";
        last = number;
        if (kind == "request") asked_[slot].push_back(json["id"]);
        if (kind == "message") ++received_[slot];
        return "";
    }

    core::ChannelSpec spec_;
    TestWorld world_;
    std::map<std::uint32_t, std::unique_ptr<Record>> records_;
    std::optional<Router> router_{std::in_place, spec_, world_};
    Instant now_ = from_ns(1);
    std::uint64_t number_ = 0;
    std::set<std::uint32_t> members_;
    std::map<std::uint32_t, std::set<std::string>> subscriptions_;
    std::map<std::uint32_t, std::vector<std::uint64_t>> asked_;
    std::set<std::pair<std::uint32_t, std::uint64_t>> open_requests_;
    std::map<std::pair<std::string, std::uint32_t>, std::uint64_t> last_;
    std::array<int, kWorkers> expected_{};
    std::array<int, kWorkers> received_{};
};

std::string broken_rule(const std::vector<Move>& moves) {
    Play play;
    for (const Move& move : moves) {
        if (const std::string broken = play.play(move); !broken.empty()) return broken;
    }
    return play.finish();
}

TEST_CASE(
    "channel/router: no list of moves loses, doubles or reorders a line, or leaves one waiting") {
    const std::string report = test::for_all(400, 150, make_move, broken_rule, show_move);
    CHECK_MESSAGE(report.empty(), report);
}

}  // namespace
}  // namespace cluster::channel
