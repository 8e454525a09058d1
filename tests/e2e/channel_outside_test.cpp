// The channel from outside: clusterctl send, publish and messages; and what Node's own IPC says of
// sockets that nobody asked for.
#include <doctest/doctest.h>
#include <signal.h>

#include <string>

#include "support/daemon.hpp"

namespace cluster::test {
namespace {

const std::string kReady = "min_uptime = \"50ms\"\nready = \"channel\"\n";

/// Repeats each message that comes, and answers requests by their data.
const char* const kEcho = R"(
process.on('message', (m) => {
  console.log(JSON.stringify(m));
  if (m.cluster !== 'request') return;
  if (m.data === 'fail') process.send({ cluster: 'reply', id: m.id, error: 'no thanks' });
  else if (m.data !== 'silence') process.send({ cluster: 'reply', id: m.id, data: [m.data] });
});
process.send({ cluster: 'subscribe', topic: 'news.*' });
process.send({ cluster: 'heartbeat' });
process.send('ready');
)";

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("channel outside/send: to whom the selector names, with a reply or why there is none") {
        const std::string node = program_or_skip("node");
        if (node.empty()) return;
        const Daemon daemon;
        const std::string echo = daemon.write("echo.js", kEcho);
        REQUIRE(daemon
                    .start(worker_table("echo", {node, echo},
                                        kReady + "instances = 2\ngroup = \"site\"\n"))
                    .code == 0);
        const Outcome all = daemon.ctl({"send", "@site", "{\"n\": 1.50}"});
        CHECK(all.code == 0);
        CHECK(all.out == "delivered to 2 instances\n");
        for (const std::string id : {"echo.0", "echo.1"}) {
            CHECK(wait_until([&] { return daemon.out_log(id) == "{\"n\":1.5}\n"; }));
        }
        const Outcome reply = daemon.ctl({"send", "echo.1", "\"hi\"", "--wait", "20000"});
        CHECK(reply.code == 0);
        CHECK(reply.out == "[\"hi\"]\n");
        const Outcome refused = daemon.ctl({"send", "echo.1", "\"fail\"", "--wait", "20000"});
        CHECK(refused.code == 1);
        CHECK(refused.err.find("no reply: no thanks") != std::string::npos);
        const Outcome late = daemon.ctl({"send", "echo.1", "\"silence\"", "--wait", "50"});
        CHECK(late.code == 1);
        CHECK(late.err.find("no reply: timeout") != std::string::npos);
        CHECK(daemon.ctl({"send", "nobody", "1"}).code == 1);
        const Outcome nonsense = daemon.ctl({"send", "echo", "nonsense"});
        CHECK(nonsense.code == 2);
        CHECK(nonsense.err.find("not one value of JSON: \"nonsense\"") != std::string::npos);
        CHECK(daemon.ctl({"publish", "t", "{"}).code == 2);
        CHECK(daemon.ctl({"send", "echo", "{\"cmd\":\"NODE_CLUSTER\"}"}).code == 1);
        CHECK(daemon.ctl({"send", "echo", "1", "--wait", "0"}).code == 2);
        const Json channel = Json::parse(daemon.ctl({"describe", "echo.0", "--json"}).out)
                                 .at("instances")
                                 .at(0)
                                 .at("channel");
        CHECK(channel.at("mode") == "node");
        CHECK(channel.at("heartbeat_ms").is_number());
        CHECK(channel.at("subscriptions") == 1);
    }

    TEST_CASE("channel outside/messages: what workers say is followed, all of it or by topic") {
        const std::string node = program_or_skip("node");
        if (node.empty()) return;
        const Daemon daemon;
        const std::string echo = daemon.write("echo.js", kEcho);
        const std::string speaker = daemon.write("speaker.js", R"(
process.on('message', () => {
  process.send({ type: 'plain' });
  process.send({ cluster: 'publish', topic: 'news.today', data: 1 });
  process.send({ cluster: 'publish', topic: 'other', data: 2 });
});
process.send('ready');
)");
        REQUIRE(daemon
                    .start(worker_table("echo", {node, echo}, kReady) +
                           worker_table("speaker", {node, speaker}, kReady))
                    .code == 0);
        Process all = daemon.start_ctl({"messages", "-f"});
        Process news = daemon.start_ctl({"messages", "-f", "--topic", "news.*", "--json"});
        // They follow from some moment on that only they know.
        CHECK(wait_until([&] {
            REQUIRE(daemon.ctl({"send", "speaker", "1"}).code == 0);
            return all.out().find("speaker.0 other 2\n") != std::string::npos &&
                   news.out().find("\n") != std::string::npos;
        }));
        CHECK(all.out().find("speaker.0 {\"type\":\"plain\"}\n") != std::string::npos);
        CHECK(all.out().find("speaker.0 news.today 1\n") != std::string::npos);
        const std::string line = news.out().substr(0, news.out().find('\n'));
        const Json seen = Json::parse(line);
        CHECK(seen.at("from") == "speaker.0");
        CHECK(seen.at("topic") == "news.today");
        CHECK(seen.at("message") == 1);
        CHECK(news.out().find("other") == std::string::npos);
        REQUIRE(daemon.ctl({"publish", "news.last", "\"from outside\""}).out ==
                "delivered to 1 instance\n");
        CHECK(wait_until([&] {
            return all.out().find("clusterctl news.last \"from outside\"\n") != std::string::npos;
        }));
        CHECK(wait_until([&] {
            return daemon.out_log("echo.0").find(
                       R"({"cluster":"message","topic":"news.last","data":"from outside"})") !=
                   std::string::npos;
        }));
    }

    TEST_CASE("channel/node: a socket that is sent along is closed, and what follows arrives") {
        const std::string node = program_or_skip("node");
        if (node.empty()) return;
        const Daemon daemon;
        const std::string sender = daemon.write("sender.js", R"(
const net = require('net');
const server = net.createServer((socket) => {
  process.send({ type: 'count', by: 1 }, socket, (error) => console.log('sent', error));
  process.send({ type: 'count', by: 10 });
  process.send('ready');
});
server.listen(0, '127.0.0.1', () => {
  const client = net.connect(server.address().port, '127.0.0.1');
  client.on('close', () => {
    console.log('closed');
    server.close(() => console.log('server closed'));
  });
});
process.on('message', () => {});
)");
        REQUIRE(daemon
                    .start("[[channel.rule]]\nmatch = { type = \"count\" }\nincr = \"n\"\nby = "
                           "\"by\"\n" +
                           worker_table("w", {node, sender}, kReady))
                    .code == 0);
        CHECK(daemon.worker("w.0").at("ready") == true);
        CHECK(daemon.ctl({"store", "get", "n"}).out == "11");
        CHECK(wait_until([&] {
            return daemon.out_log("w.0").find("closed\n") != std::string::npos &&
                   daemon.out_log("w.0").find("sent null\n") != std::string::npos &&
                   daemon.out_log("w.0").find("server closed\n") != std::string::npos;
        }));
        const Json channel = Json::parse(daemon.ctl({"describe", "w.0", "--json"}).out)
                                 .at("instances")
                                 .at(0)
                                 .at("channel");
        CHECK(channel.at("descriptors") == 1);
        CHECK(channel.at("malformed") == 0);
        CHECK(channel.at("state") == "open");
    }
}

}  // namespace cluster::test
