// Runs of Node.js clusters that come, ask, accept, refuse, die and are told to end in any order,
// with a primary that is killed now and then. Whatever happens: no run is sent what would end it,
// no connection is lost by a primary that lives, or given to two, no socket leaks.

#include <doctest/doctest.h>

#include <set>

#include "property/property.hpp"
#include "unit/nodecluster/world.hpp"

namespace cluster::nodecluster {
namespace {

using namespace std::chrono_literals;

struct Move {
    std::uint64_t kind;
    std::uint32_t slot;
    std::uint64_t value;
};

constexpr std::uint32_t kSlots = 6;
constexpr std::uint64_t kKinds = 14;

Move make_move(Prng& prng) {
    return {prng.next() % kKinds, static_cast<std::uint32_t>(prng.next() % kSlots), prng.next()};
}

class Play {
public:
    std::string run(const std::vector<Move>& moves) {
        for (const Move& move : moves) {
            step(move);
            if (!world_.violation.empty()) return world_.violation;
            if (std::string wrong = check(); !wrong.empty()) return wrong;
        }
        return wind_down();
    }

private:
    Run run_in(std::uint32_t slot) const { return World::run_of(slot, generations_[slot]); }

    void answer_one(Run run, std::uint64_t which, bool is_accepted) {
        const auto found = world_.runs.find(run);
        if (found == world_.runs.end() || found->second.unanswered.empty()) return;
        auto& unanswered = found->second.unanswered;
        const auto at = std::next(unanswered.begin(),
                                  static_cast<long>(which % unanswered.size()));
        const std::uint64_t sequence = *at;
        unanswered.erase(at);
        world_.say(run, answer_line(sequence, is_accepted));
    }

    void step(const Move& move) {
        const Run run = run_in(move.slot);
        const bool is_there = world_.runs.count(run) > 0 && world_.runs[run].has_channel;
        const int port = 8000 + static_cast<int>(move.value % 4);
        const std::string app = move.slot < kSlots / 2 ? "a" : "b";
        const std::string key = "127.0.0.1:" + std::to_string(port) + ":4";
        switch (move.kind) {
            case 0:
                ++generations_[move.slot];
                return world_.add(run_in(move.slot), app, move.value % 2 == 0, move.value % 3 != 0);
            case 1:
                return world_.end(run);
            case 2:
                if (is_there) world_.close_channel(run);
                return;
            case 3:
                if (is_there) world_.say(run, move.value % 2 == 0 ? kOnline : kHello);
                return;
            case 4:
            case 5:
                world_.open_error = move.value % 7 == 0 ? 98 : 0;
                if (is_there) world_.say(run, query_line(++questions_, port));
                return;
            case 6:
                if (is_there) {
                    world_.say(run, R"({"cmd":"NODE_CLUSTER","act":"close","key":")" + key + "\"}");
                }
                return;
            case 7:
            case 8:
                for (const auto& [id, kept] : world_.sockets) {
                    if (id.value % 3 == move.value % 3 && world_.connect(id)) return;
                }
                return;
            case 9:
                return answer_one(run, move.value, move.value % 3 != 0);
            case 10:
                if (world_.stop(run, 3s)) stopped_.insert(run);
                return;
            case 11:
                if (is_there) world_.say(run, kDrained);
                return;
            case 12:
                return world_.pass(std::chrono::milliseconds{move.value % 3000});
            default:
                if (move.value % 4 == 0) return world_.restart();
                if (move.value % 4 == 1) return clog(run);
                return world_.clogged.clear();
        }
    }

    void clog(Run run) { world_.clogged.insert(run); }

    /// What a run holds by its memory is what the primary believes.
    std::string check() {
        for (const auto& [run, memory] : world_.runs) {
            const auto facts = world_.primary.facts(run);
            if (!facts) continue;
            if (facts->held.size() != memory.member.held.size()) return "memory and primary differ";
            if (facts->unanswered > kWindow) return "more on the way than the window";
        }
        return check_open_doors();
    }

    /// Where a run waits for connections and has room, they are accepted.
    std::string check_open_doors() {
        if (!world_.clogged.empty()) return "";
        world_.pass(kBackOff);
        for (const auto& [run, memory] : world_.runs) {
            const bool is_leaving =
                (memory.member.notes & (note::kDrainAsked | note::kDisconnected)) != 0;
            const auto facts = world_.primary.facts(run);
            if (!memory.has_channel || is_leaving || !facts || stopped_.count(run) > 0) continue;
            if (facts->unanswered >= kWindow) continue;
            for (const Held& held : memory.member.held) {
                const bool is_open = world_.accepting.count(held.handle) > 0;
                if (held.is_round_robin && !is_open) return "nobody accepts for one who waits";
            }
        }
        return "";
    }

    /// Everybody leaves: nothing may be left.
    std::string wind_down() {
        world_.clogged.clear();
        while (!world_.runs.empty()) world_.end(world_.runs.begin()->first);
        world_.pass(kLinger);
        if (!world_.violation.empty()) return world_.violation;
        if (!world_.sockets.empty()) return "a socket is left";
        if (!world_.connections.empty()) return "a connection is left";
        if (world_.primary.next_deadline()) return "something is still waited for";
        return "";
    }

    World world_;
    std::set<Run> stopped_;
    std::uint64_t generations_[kSlots] = {};
    std::uint64_t questions_ = 0;
};

TEST_CASE("nodecluster/property: whatever workers do, none is harmed and nothing leaks") {
    const std::string failure = test::for_all(
        400, 400, make_move, [](const std::vector<Move>& moves) { return Play{}.run(moves); },
        [](const Move& move) {
            return std::to_string(move.kind) + " slot " + std::to_string(move.slot) + " value " +
                   std::to_string(move.value);
        });
    CHECK_MESSAGE(failure.empty(), failure);
}

}  // namespace
}  // namespace cluster::nodecluster
