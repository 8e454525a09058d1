// What the primary of a Node.js cluster stands in, in a test: sockets and connections as numbers,
// runs as lists of the lines that they were sent, and a memory that outlives the primary. What no
// primary may do is noted as a violation.
#pragma once

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "nodecluster/primary.hpp"

namespace cluster::nodecluster {

inline std::string to_text(std::uint64_t number) {
    return std::to_string(number);
}

struct World {
    struct RunMemory {
        Member member;  // notes and held as they were given out to be remembered
        bool has_channel = true;
        std::vector<std::string> lines;
        std::set<std::uint64_t> unanswered;  // connections
    };

    Primary primary{0};
    Instant now{};
    std::map<HandleId, Kept> sockets;
    std::map<Run, RunMemory> runs;
    std::map<ConnectionId, int> connections;  // how many runs may believe that it is theirs
    std::set<HandleId> accepting;
    std::vector<std::string> events;
    std::string violation;
    int open_error = 0;             // of the next sockets, as errno
    std::set<Run> clogged;          // whose channel takes nothing now
    std::uint64_t last_connection = 0;
    std::uint64_t starts = 0;

    static Run run_of(std::uint32_t slot, std::uint64_t generation = 1) {
        return {Slot{slot}, Generation{generation}};
    }
    static std::string name(Run run) {
        return "run " + to_text(run.slot.value) + "/" + to_text(run.generation.value);
    }

    void add(Run run, const std::string& app, bool is_round_robin, bool drains = true) {
        for (auto other = runs.begin(); other != runs.end();) {
            other = other->first.slot == run.slot ? runs.erase(other) : std::next(other);
        }
        Member member;
        member.run = run;
        member.app = app;
        member.is_round_robin = is_round_robin;
        member.drains = drains;
        runs[run].member = member;
        primary.add(member, now);
        settle();
    }
    bool say(Run run, std::string_view line) {
        const bool makes_sense = primary.on_message(run, line, now);
        settle();
        return makes_sense;
    }
    void close_channel(Run run) {
        if (const auto found = runs.find(run); found != runs.end()) {
            found->second.has_channel = false;
            found->second.unanswered.clear();
        }
        primary.on_channel_closed(run, now);
        settle();
    }
    void end(Run run) {
        close_channel(run);
        runs.erase(run);
        primary.remove(run, now);
        settle();
    }
    bool stop(Run run, Duration grace) {
        const bool is_told = primary.stop(run, grace, now);
        settle();
        return is_told;
    }
    void pass(Duration time) {
        now += time;
        primary.on_time(now);
        settle();
    }
    /// A client connects, if anybody accepts there.
    bool connect(HandleId handle) {
        if (accepting.count(handle) == 0) return false;
        const ConnectionId id{++last_connection};
        connections[id] = 0;
        primary.on_connection(handle, id);
        settle();
        return true;
    }
    /// The process dies, with its connections, and another one comes.
    void restart() {
        primary = Primary{++starts << 32U};
        connections.clear();
        accepting.clear();
        for (const auto& [id, kept] : sockets) primary.resume(kept, {"127.0.0.1", false, 80}, now);
        for (auto& [run, memory] : runs) {
            memory.unanswered.clear();
            if (memory.has_channel) {
                primary.add(memory.member, now);
            } else {
                memory.member.held.clear();  // nobody knows of them any more
            }
        }
        settle();
    }
    std::vector<std::string> take_lines(Run run) { return std::exchange(runs[run].lines, {}); }

    void settle() {
        for (auto actions = primary.take_actions(); !actions.empty();
             actions = primary.take_actions()) {
            for (const Action& action : actions) {
                std::visit([this](const auto& each) { execute(each); }, action);
            }
        }
    }

private:
    void complain(const std::string& text) {
        if (violation.empty()) violation = text;
    }
    RunMemory* receive(Run run, const std::string& line) {
        channel::Json json;
        const bool is_line = !line.empty() && line.find('\n') == line.size() - 1 &&
                             json.parse(std::string_view{line}.substr(0, line.size() - 1));
        if (!is_line) complain("no line of JSON: " + line);
        const auto found = runs.find(run);
        if (found == runs.end() || !found->second.has_channel) {
            complain("a line to nobody: " + line);
            return nullptr;
        }
        found->second.lines.push_back(line.substr(0, line.size() - 1));
        return &found->second;
    }
    void execute(const action::Send& action) {
        receive(action.run, action.line);
        events.push_back("to " + name(action.run) + " " + action.line);
    }
    void execute(const action::SendSocket& action) {
        if (sockets.count(action.handle) == 0) complain("a socket that is not open is sent");
        if (action.line.size() > (std::size_t{32} << 10U)) complain("a descriptor on a long line");
        receive(action.run, action.line);
        events.push_back("to " + name(action.run) + " with socket " +
                         to_text(action.handle.value) + " " + action.line);
    }
    void execute(const action::SendConnection& action) {
        if (clogged.count(action.run) > 0) {
            events.push_back(name(action.run) + " takes nothing now");
            return primary.on_refused(action.run, action.sequence, now);
        }
        const auto found = connections.find(action.connection);
        if (found == connections.end()) return complain("a connection that is gone is sent");
        RunMemory* const run = receive(action.run, action.line);
        if (run == nullptr) return;
        run->unanswered.insert(action.sequence);
        if (run->unanswered.size() > kWindow) complain("more connections than the window");
        events.push_back("to " + name(action.run) + " with connection " +
                         to_text(action.connection.value) + " " + action.line);
    }
    void execute(const action::Open& action) {
        events.push_back("open " + to_text(action.handle.id.value) + " " + action.handle.key);
        if (open_error != 0) return primary.on_failed(action.handle.id, -open_error);
        if (!sockets.emplace(action.handle.id, action.handle).second) {
            complain("a socket is opened twice");
        }
        primary.on_opened(action.handle.id, {"127.0.0.1", false, 80}, now);
    }
    void execute(const action::Keep& action) {
        if (sockets.count(action.handle.id) == 0) complain("a socket that is not open is kept");
        sockets[action.handle.id] = action.handle;
        events.push_back("keep " + to_text(action.handle.id.value));
    }
    void execute(const action::Close& action) {
        if (sockets.erase(action.handle) == 0) complain("a socket is closed twice");
        for (const auto& [run, memory] : runs) {
            for (const Held& held : memory.member.held) {
                if (held.handle == action.handle) complain("a socket is closed that is in use");
            }
        }
        accepting.erase(action.handle);
        events.push_back("close " + to_text(action.handle.value));
    }
    void execute(const action::Accept& action) {
        if (sockets.count(action.handle) == 0) complain("accept without a socket");
        if (action.is_wanted) {
            accepting.insert(action.handle);
        } else {
            accepting.erase(action.handle);
        }
        events.push_back((action.is_wanted ? "accept at " : "do not accept at ") +
                         to_text(action.handle.value));
    }
    void execute(const action::Drop& action) {
        if (connections.erase(action.connection) == 0) complain("a connection is dropped twice");
        events.push_back("drop connection " + to_text(action.connection.value));
    }
    void execute(const action::Hold& action) {
        events.push_back(name(action.run) + (action.is_held ? " holds " : " leaves ") +
                         to_text(action.held.handle.value));
        const auto found = runs.find(action.run);
        if (found == runs.end()) return;
        auto& held = found->second.member.held;
        const auto mine = std::find_if(held.begin(), held.end(), [&](const Held& each) {
            return each.handle == action.held.handle;
        });
        if (action.is_held) {
            if (mine != held.end()) complain("an address is given twice to " + name(action.run));
            held.push_back(action.held);
        } else if (mine != held.end()) {
            held.erase(mine);
        }
    }
    void execute(const action::Note& action) {
        if (const auto found = runs.find(action.run); found != runs.end()) {
            found->second.member.notes = action.notes;
        }
        events.push_back(name(action.run) + " notes " + to_text(action.notes));
    }
    void execute(const action::Listening& action) {
        events.push_back(name(action.run) + " listens");
    }
    void execute(const action::Signal& action) {
        events.push_back("signal " + name(action.run));
    }
    void execute(const action::Left& action) {
        events.push_back(name(action.run) + " is cut: " + to_text(action.what.requests) + " " +
                         to_text(action.what.upgraded) + " " + to_text(action.what.other));
    }
    void execute(const action::Refuse& action) {
        events.push_back(name(action.run) + " is refused " + action.key + ": " +
                         std::to_string(action.error));
    }
};

// --- what workers say

inline std::string query_line(std::uint64_t sequence, int port, const std::string& data = "null",
                              int index = 0) {
    return R"({"cmd":"NODE_CLUSTER","act":"queryServer","seq":)" + to_text(sequence) +
           R"(,"address":"127.0.0.1","port":)" + std::to_string(port) +
           R"(,"addressType":4,"backlog":511,"index":)" + std::to_string(index) + R"(,"data":)" +
           data + "}";
}
inline std::string answer_line(std::uint64_t sequence, bool is_accepted) {
    return R"({"cmd":"NODE_CLUSTER","ack":)" + to_text(sequence) +
           (is_accepted ? R"(,"accepted":true})" : R"(,"accepted":false})");
}
inline const std::string kOnline = R"({"cmd":"NODE_CLUSTER","act":"online","seq":0})";
inline const std::string kHello = R"({"cmd":"NODE_CLUSTERD_HELLO","drain":true,"node":"v20.20.2"})";
inline const std::string kDrained =
    R"({"cmd":"NODE_CLUSTERD_DRAINED","left":{"requests":0,"upgraded":0,"other":0}})";

}  // namespace cluster::nodecluster
