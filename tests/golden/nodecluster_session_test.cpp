// Sessions of workers with the primary of their cluster, as a text that is reviewed. NODECLUSTER.md
// tells the same in words.

#include <doctest/doctest.h>

#include <sstream>

#include "support/golden.hpp"
#include "unit/nodecluster/world.hpp"

namespace cluster::nodecluster {
namespace {

using namespace std::chrono_literals;

class Session {
public:
    void title(const std::string& text) {
        CHECK(world_.violation == "");
        world_ = World{};
        out_ << "\n== " << text << "\n";
    }
    void note(const std::string& text) { out_ << "\n-- " << text << "\n" << take(); }
    void run(std::uint32_t slot, bool is_round_robin) {
        world_.add(World::run_of(slot), "api", is_round_robin);
    }
    void say(std::uint32_t slot, const std::string& line) {
        out_ << "\n" << World::name(World::run_of(slot)) << " > " << line << "\n";
        const bool makes_sense = world_.say(World::run_of(slot), line);
        out_ << take();
        if (!makes_sense) out_ << "  counted: malformed\n";
    }
    World& world() { return world_; }
    std::string take() {
        std::string text;
        for (std::string event : std::exchange(world_.events, {})) {
            if (event.back() == '\n') event.pop_back();
            text += "  " + event + "\n";
        }
        return text;
    }
    [[nodiscard]] std::string text() const { return out_.str(); }

private:
    World world_;
    std::ostringstream out_;
};

void show_shared(Session& s) {
    s.title("shared: two runs, a reload, and the end of both");
    s.run(1, false);
    s.run(2, false);
    s.say(1, kOnline);
    s.say(1, kHello);
    s.say(1, query_line(1, 8000));
    s.say(1, R"({"cmd":"NODE_HANDLE_ACK"})");
    s.say(1, R"({"cmd":"NODE_CLUSTER","act":"listening","addressType":4,"address":"127.0.0.1","port":8000,"fd":-1,"seq":2})");
    s.say(2, kOnline);
    s.say(2, query_line(1, 8000));
    CHECK(s.world().stop(World::run_of(1), 10s));
    s.note("run 1/1 is asked to end within 10 s");
    s.say(1, R"({"cmd":"NODE_CLUSTER","act":"close","key":"127.0.0.1:8000:4","seq":3})");
    s.say(1, kDrained);
    s.world().close_channel(World::run_of(1));
    s.world().pass(1s);
    s.note("its channel is closed, and a second has passed");
    s.world().end(World::run_of(1));
    CHECK(s.world().stop(World::run_of(2), 10s));
    s.note("run 2/1, which has no preload, is asked to end");
    s.world().end(World::run_of(2));
    s.note("it is over");
    s.world().pass(5s);
    s.note("five seconds later");
}

void show_round_robin(Session& s) {
    s.title("round robin: turns, a refusal, a death");
    for (const std::uint32_t slot : {1U, 2U}) {
        s.run(slot, true);
        s.say(slot, kOnline);
        s.say(slot, query_line(1, 8000));
    }
    for (int i = 0; i < 3; ++i) s.world().connect(HandleId{1});
    s.note("three clients come");
    s.say(1, answer_line(3, true));
    s.say(2, answer_line(4, false));
    s.world().end(World::run_of(1));
    s.note("run 1/1 dies with two connections that it has not answered for");
    s.world().pass(20ms);
    s.note("20 ms later run 2/1 is asked again");
}

void show_refusals(Session& s) {
    s.title("what is refused");
    s.run(1, false);
    s.say(1, kOnline);
    s.world().open_error = 98;
    s.say(1, query_line(1, 8000, R"({"ticketKeys":"00ff"})"));
    s.world().open_error = 0;
    s.say(1, query_line(2, 8000, R"({"ticketKeys":"00ff"})"));
    s.say(1, query_line(3, 8000));
    s.note("the very question again, as after a kill");
    s.say(1, query_line(2, 8000, R"({"ticketKeys":"00ff"})"));
    const std::string ask = R"({"cmd":"NODE_CLUSTER","act":"queryServer","seq":4,)";
    s.say(1, ask + R"("address":null,"port":null,"addressType":null,"fd":5,"data":null})");
    s.say(1, ask + R"("address":"localhost","port":80,"addressType":4,"data":null})");
    s.say(1, ask + R"("address":"127.0.0.1","port":70000,"addressType":4,"data":null})");
    s.say(1, ask + R"("address":"relative","port":-1,"addressType":-1,"data":null})");
    s.say(1, R"({"cmd":"NODE_CLUSTER","act":"queryServer","port":80,"addressType":4})");
    s.say(1, R"({"cmd":"NODE_CLUSTER","act":"queryServer","seq":"1","port":80,"addressType":4})");
    s.say(1, R"({"cmd":"NODE_CLUSTER","act":"close","key":7})");
    s.say(1, R"({"cmd":"NODE_CLUSTER","act":"close","key":"nothing"})");
    s.say(1, R"({"cmd":"NODE_CLUSTER","ack":12345,"accepted":true})");
    s.say(1, R"({"cmd":"NODE_CLUSTER","act":"from the future","seq":9})");
    s.say(1, R"({"cmd":"NODE_CLUSTER"})");
}

void show_kinds(Session& s) {
    s.title("other addresses");
    s.run(1, true);
    s.run(2, true);
    const std::string ask = R"({"cmd":"NODE_CLUSTER","act":"queryServer",)";
    const std::string udp = R"("address":"0.0.0.0","port":53,"addressType":"udp4","flags":4,"data":null})";
    s.note("datagrams are always shared");
    s.say(1, ask + R"("seq":1,)" + udp);
    s.note("any port: the first server of each run has the same one, the second another");
    const std::string any = R"("address":null,"port":0,"addressType":4,"data":null,)";
    s.say(1, ask + any + R"("seq":2,"index":0})");
    s.say(1, ask + any + R"("seq":3,"index":1})");
    s.say(2, ask + any + R"("seq":1,"index":0})");
    s.note("a path has no address to tell");
    s.say(1, ask + R"("seq":4,"address":"/run/app.sock","port":-1,"addressType":-1,"readableAll":true,"data":null})");
    s.say(1, R"({"cmd":"NODE_CLUSTER","act":"exitedAfterDisconnect","seq":5})");
}

std::string whole_text() {
    Session session;
    show_shared(session);
    show_round_robin(session);
    show_refusals(session);
    show_kinds(session);
    CHECK(session.world().violation.empty());
    return "# What workers of a Node.js cluster say, and what comes of it. Printed by a test;\n"
           "# CLUSTER_GOLDEN_UPDATE=1 rewrites this file. 'to run S/G' is a line to the run of slot S,\n"
           "# generation G.\n" +
           session.text();
}

TEST_CASE("nodecluster/session: every message is the reviewed one") {
    test::check_golden("nodecluster_session.txt", whole_text());
}

}  // namespace
}  // namespace cluster::nodecluster
