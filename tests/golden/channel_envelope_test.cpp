// Every line of a worker and what is answered to it, as a text that is reviewed. CHANNEL.md tells
// the same in words.

#include <doctest/doctest.h>

#include <sstream>

#include "support/golden.hpp"
#include "unit/channel/world.hpp"

namespace cluster::channel {
namespace {

constexpr const char* kLines[] = {
    R"("ready")",
    R"({"cluster":"ready"})",
    R"({"cluster":"heartbeat"})",
    R"({"cluster":"status","text":"warming up"})",
    R"({"cluster":"status"})",
    R"({"type":"anything","of":["the","application"]})",
    R"("a bare string")",
    R"(42)",
    R"({"cluster":"subscribe","topic":"jobs.*","id":1})",
    R"({"cluster":"subscribe","topic":"","id":1})",
    R"({"cluster":"publish","topic":"jobs.new","data":{"n":1},"id":2})",
    R"({"cluster":"publish","topic":"jobs.new","data":{"n":1},"raw":true})",
    R"({"cluster":"publish","topic":"cluster.stopping","id":2})",
    R"({"cluster":"unsubscribe","topic":"jobs.*","id":3})",
    R"({"cluster":"send","to":"api.1","data":"hello","id":4})",
    R"({"cluster":"send","to":"api.1","data":"hello"})",
    R"({"cluster":"send","to":"api.1","data":{"type":"hello"},"raw":true})",
    R"({"cluster":"send","to":"api.1","data":{"cmd":"NODE_HANDLE_ACK"},"raw":true,"id":5})",
    R"({"cluster":"send","id":6})",
    R"({"cluster":"request","to":"api.1","data":"?","id":7})",
    R"({"cluster":"request","to":"api.1","data":"?"})",
    R"({"cluster":"request","to":"nobody","data":"?","id":8})",
    R"({"cluster":"reply","id":12345,"data":"to nothing"})",
    R"({"cluster":"set","key":"k","value":"v","id":9})",
    R"({"cluster":"set","key":"k","id":9})",
    R"({"cluster":"get","key":"k","id":10})",
    R"({"cluster":"get","key":"none","id":10})",
    R"({"cluster":"cas","key":"k","token":"1","value":"w","id":11})",
    R"({"cluster":"cas","key":"k","token":"1","value":"x","id":11})",
    R"({"cluster":"cas","key":"k","token":1,"value":"x","id":11})",
    R"({"cluster":"del","key":"k","id":12})",
    R"({"cluster":"del","key":"k","id":12})",
    R"({"cluster":"incr","key":"hits","by":1,"id":13})",
    R"({"cluster":"incr","key":"hits","by":"1","id":13})",
    R"({"cluster":"counter","key":"requests","by":5,"id":14})",
    R"({"cluster":"nonsense","id":15})",
    R"({"cluster":"nonsense"})",
    R"({"cluster":1,"id":16})",
    R"({"cmd":"NODE_HANDLE","type":"net.Socket","msg":"with a socket"})",
    R"({"cmd":"NODE_HANDLE_ACK"})",
    R"({"cmd":"NODE_SOCKET_GET_COUNT","key":"k"})",
    R"({"cmd":"NODE_SOCKET_NOTIFY_CLOSE","key":"k"})",
    R"({"cmd":"NODE_CLUSTER","act":"online","seq":0})",
    R"(not JSON)",
    R"()",
};

std::string whole_text() {
    std::ostringstream out;
    out << "# What api.0 says, and what comes of it. Printed by a test; CLUSTER_GOLDEN_UPDATE=1\n"
           "# rewrites this file. '< api.1 …' is a line to api.1.\n";
    TestRouter t;
    for (const char* line : kLines) {
        out << "\n> " << line << "\n";
        const std::uint64_t malformed = t.counts(0).malformed;
        const std::uint64_t unanswered = t.counts(0).unanswered;
        t.say(0, line);
        for (std::uint32_t slot = 0; slot < 3; ++slot) {
            for (const std::string& sent : t.world.take(slot)) {
                out << "< api." << slot << " " << sent << "\n";
            }
        }
        for (const std::string& event : std::exchange(t.world.events, {})) {
            out << "  " << event.substr(2) << "\n";
        }
        for (const std::string& seen : std::exchange(t.world.observed, {})) {
            out << "  observed " << seen << "\n";
        }
        if (t.counts(0).malformed > malformed) out << "  counted: malformed\n";
        if (t.counts(0).unanswered > unanswered) out << "  counted: unanswered\n";
    }
    return out.str();
}

TEST_CASE("channel/envelope: every message is the reviewed one") {
    test::check_golden("channel_envelope.txt", whole_text());
}

}  // namespace
}  // namespace cluster::channel
