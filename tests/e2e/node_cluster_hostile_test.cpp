// Workers that speak Node.js' cluster protocol as no Node.js would.
#include <doctest/doctest.h>
#include <signal.h>

#include <filesystem>
#include <iterator>
#include <string>

#include "support/daemon.hpp"
#include "support/node_cluster.hpp"
#include "support/ports.hpp"

namespace cluster::test {
namespace {

/// `tell(object or text)`, `hear()`: a message and the descriptors that came with it.
const std::string kPython = R"(import array, json, os, signal, socket, sys, time
channel = socket.socket(fileno=int(os.environ["NODE_CHANNEL_FD"]))
buffer, fds = b"", []
def tell(message):
    text = message if isinstance(message, str) else json.dumps(message)
    channel.sendall(text.encode() + b"\n")
def read():
    global buffer
    data, control, flags, address = channel.recvmsg(65536, 4096)
    for level, kind, payload in control:
        numbers = array.array("i")
        numbers.frombytes(payload[:len(payload) - len(payload) % 4])
        fds.extend(numbers)
    buffer += data
    return len(data)
def hear():
    global buffer
    while b"\n" not in buffer:
        if read() == 0: return None
    line, buffer = buffer.split(b"\n", 1)
    return json.loads(line)
def say(*words): print(*words, flush=True)
sequence = 0
def query(**fields):
    global sequence
    sequence += 1
    message = {"cmd": "NODE_CLUSTER", "act": "queryServer", "seq": sequence, "address": "127.0.0.1",
               "addressType": 4, "port": 0, "index": 0, "data": None}
    message.update(fields)
    tell(message)
    return sequence
tell({"cmd": "NODE_CLUSTER", "act": "online", "seq": 0})
)";

/// Connections that it was handed and has not answered for; -1: it does not run.
int unanswered(const Daemon& daemon, const std::string& id) {
    const Json cluster = describe(daemon, id).at("cluster");
    return cluster.is_null() ? -1 : cluster.at("unanswered").get<int>();
}

const std::string kHostile =
    kNodeCluster + "ready = \"exec\"\nrestart = \"never\"\nstop_timeout = \"500ms\"\n";

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("node cluster/hostile: nonsense is counted, and what makes sense is answered") {
        const std::string python = program_or_skip("python3");
        if (python.empty()) return;
        const Daemon daemon;
        const std::string program = daemon.write("worker.py", kPython + R"(
for value in (None, True, -1, 1e300, [], {}, "x", "\0", 2 ** 70):
    for name in ("seq", "address", "port", "addressType", "index", "flags", "backlog", "key", "act", "ack"):
        tell({"cmd": "NODE_CLUSTER", "act": "queryServer", "address": "127.0.0.1", "port": 0,
              "addressType": 4, "data": None, name: value})
tell('{"cmd":"NODE_CLUSTER","ack":1}')
tell('{"cmd":"NODE_CLUSTER","ack":"1","accepted":7}')
tell('{"cmd":"NODE_CLUSTER","act":"close","key":[]}')
tell('{"cmd":"NODE_CLUSTERD_DRAINED","left":[]}')
tell('{"cmd":"NODE_CLUSTERD_HELLO","drain":"yes"}')
tell('{"cmd":"NODE_HANDLE_NACK"}')
tell('{"cmd":"NODE_HANDLE_ACK"}')
last = query(port=0, index=77)
while True:
    message = hear()
    inner = message.get("msg", message)
    if inner.get("ack") == last:
        say("answer", inner["errno"], len(fds) > 0)
        break
again = query(port=0, index=77)
while hear().get("ack") != again: pass
say("refused twice")
signal.pause()
)");
        REQUIRE(daemon
                    .start(worker_table("rude", {python, program},
                                        kHostile))
                    .code == 0);
        CHECK(wait_until(
            [&] { return daemon.out_log("rude.0") == "answer 0 True\nrefused twice\n"; }));
        CHECK(describe(daemon, "rude.0").at("channel").at("malformed") > 20);
        CHECK(daemon.ctl({"stop", "rude"}).code == 0);
    }

    TEST_CASE("node cluster/hostile: a flood of questions that nobody reads ends the channel") {
        const std::string python = program_or_skip("python3");
        if (python.empty()) return;
        const Daemon daemon;
        const std::string program = daemon.write("worker.py", kPython + R"(
try:
    for i in range(1000000): query(port=8000)
    say("all taken")
except OSError as error:
    say("cut off")
signal.pause()
)");
        REQUIRE(daemon
                    .start(worker_table("flood", {python, program},
                                        kHostile) +
                           worker_table("calm", {worker_program("idle")}))
                    .code == 0);
        CHECK(wait_until([&] { return daemon.out_log("flood.0") == "cut off\n"; }, seconds{60}));
        CHECK(has_text(describe(daemon, "flood.0").at("channel").at("state"),
                       "did not read the answers"));
        CHECK(daemon.state_of("calm.0") == "running");
        CHECK(daemon.ctl({"stop", "flood"}).code == 0);
    }

    TEST_CASE("node cluster/hostile: who ends with the channel that we closed has failed") {
        const std::string python = program_or_skip("python3");
        if (python.empty()) return;
        const Daemon daemon;
        // As Node.js does it: without its channel a worker of a cluster ends with 0.
        const std::string program = daemon.write("worker.py", kPython + R"(
try:
    while True: query(port=8000)
except OSError as error:
    sys.exit(0)
)");
        REQUIRE(daemon
                    .start(worker_table("flood", {python, program},
                                        kNodeCluster + "ready = \"exec\"\nrestart = \"on-failure\"\n" +
                                            "backoff = { initial = \"1h\", max = \"1h\" }\n"))
                    .code == 0);
        REQUIRE(daemon.wait_for_state("flood.0", "backoff", seconds{60}));
        const Json exit = daemon.worker("flood.0").at("last_exit");
        CHECK(exit.at("reason") == "channel");
        CHECK(exit.at("code") == 0);
        CHECK(has_text(daemon.ctl({"describe", "flood.0"}).out, "its channel was closed"));
    }

    TEST_CASE("node cluster/hostile: it has failed too if we were killed before it ended") {
        const std::string python = program_or_skip("python3");
        if (python.empty()) return;
        // The successor hears of the end, or finds it.
        for (const bool ends_alone : {false, true}) {
            CAPTURE(ends_alone);
            const Daemon daemon;
            const std::string program = daemon.write("worker.py", kPython + R"(
signal.signal(signal.SIGUSR1, lambda number, frame: sys.exit(0))
try:
    while True: query(port=8000)
except OSError as error:
    say("cut off")
signal.pause()
)");
            REQUIRE(daemon
                        .start(worker_table("flood", {python, program},
                                            kNodeCluster + "ready = \"exec\"\nrestart = \"on-failure\"\n" +
                                                "backoff = { initial = \"1h\", max = \"1h\" }\n"))
                        .code == 0);
            REQUIRE(wait_until([&] { return daemon.out_log("flood.0") == "cut off\n"; },
                               seconds{60}));
            const pid_t worker = daemon.pid_of("flood.0");
            for (int kills = 1; kills <= 2; ++kills) {
                const pid_t supervisor = daemon.supervisor_pid();
                if (ends_alone && kills == 2) {
                    REQUIRE(::kill(supervisor, SIGSTOP) == 0);
                    REQUIRE(::kill(worker, SIGUSR1) == 0);
                    CHECK(wait_until([&] { return !is_alive(worker); }));
                }
                REQUIRE(::kill(supervisor, SIGKILL) == 0);
                REQUIRE(wait_until(
                    [&] { return daemon.is_answering() && daemon.supervisor_pid() != supervisor; }));
                if (ends_alone && kills == 2) continue;
                CHECK(has_text(describe(daemon, "flood.0").at("channel").at("state"),
                               "did not read the answers"));
            }
            if (!ends_alone) REQUIRE(::kill(worker, SIGUSR1) == 0);
            REQUIRE(daemon.wait_for_state("flood.0", "backoff"));
            const Json exit = daemon.worker("flood.0").at("last_exit");
            CHECK(exit.at("reason") == "channel");
            CHECK(exit.at("code") == 0);
        }
    }

    TEST_CASE("node cluster/end: who asks for more time gets its stop signal as much later") {
        const std::string python = program_or_skip("python3");
        if (python.empty()) return;
        for (const bool has_kill : {false, true}) {
            CAPTURE(has_kill);
            const Daemon daemon;
            // It keeps its channel, and needs more time to end than it has.
            const std::string program = daemon.write("worker.py", kPython + R"(
def end(number, frame):
    say("signal", time.monotonic() - asked >= 2)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.connect(os.environ["NOTIFY_SOCKET"])
notify.send(b"READY=1")
hear()
asked = time.monotonic()
notify.send(b"EXTEND_TIMEOUT_USEC=3000000")
say("asked")
while True: signal.pause()
)");
            REQUIRE(daemon
                        .start(worker_table("slow", {python, program},
                                            kNodeCluster + "ready = \"notify\"\n" +
                                                "restart = \"never\"\nstop_timeout = \"2s\"\n"))
                        .code == 0);
            Process stop = daemon.start_ctl({"stop", "slow"});
            REQUIRE(wait_until([&] { return daemon.out_log("slow.0") == "asked\n"; }));
            if (has_kill) REQUIRE(::kill(daemon.supervisor_pid(), SIGKILL) == 0);
            CHECK(stop.wait().code == 0);
            CHECK(daemon.out_log("slow.0") == "asked\nsignal True\n");
            const Json exit = daemon.worker("slow.0").at("last_exit");
            CHECK(exit.at("reason") == "stopped");
            CHECK(exit.at("code") == 0);
        }
    }

    TEST_CASE("node cluster/hostile: a hundred thousand questions are answered, within bounds") {
        const std::string python = program_or_skip("python3");
        if (python.empty()) return;
        const Daemon daemon;
        const std::string program = daemon.write("worker.py", kPython + R"(
# Half for one address, half for ever new ones that are left at once.
counts = {}
def take():
    while True:
        message = hear()
        inner = message.get("msg", message)
        counts[inner["errno"]] = counts.get(inner["errno"], 0) + 1
        while fds: os.close(fds.pop())
        if inner["ack"] % 100 == 0: return
for i in range(50000):
    query(port=0, index=-1)
    query(port=0, index=i)
    tell({"cmd": "NODE_CLUSTER", "act": "close", "key": "127.0.0.1:0:4:%d" % i})
    if sequence % 100 == 0: take()
say(sum(counts.values()), counts.get(0, 0) > 40000, counts.get(-98, 0) > 40000)
signal.pause()
)");
        REQUIRE(daemon
                    .start(worker_table("busy", {python, program},
                                        kHostile))
                    .code == 0);
        CHECK(wait_until([&] { return daemon.out_log("busy.0") == "100000 True True\n"; },
                         seconds{120}));
        // Each of 128: the socket, and the duplicates of it and of its text for the next keeper.
        CHECK(count_descriptors(daemon.supervisor_pid()) < 3 * 128 + 100);
    }

    TEST_CASE("node cluster/hostile: who never answers keeps its window, and clients the rest") {
        const std::string python = program_or_skip("python3");
        if (python.empty()) return;
        const Daemon daemon;
        const int port = free_ports(1);
        const std::string program = daemon.write("worker.py", kPython + R"(
query(port=)" + std::to_string(port) + R"()
tell({"cmd": "NODE_CLUSTER", "act": "listening", "seq": 99})
while True:
    message = hear()
    if message is None: break
)");
        REQUIRE(daemon
                    .start(worker_table("mute", {python, program},
                                        kNodeCluster + "node_schedule = \"round-robin\"\n"))
                    .code == 0);
        const std::string client = daemon.write("client.py", R"(
import signal, socket, sys
clients = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for i in range(40)]
print("connected", flush=True)
signal.pause()
)");
        Process clients({.argv = {python, client, std::to_string(port)}, .env = {}, .cwd = ""});
        CHECK(wait_until(
            [&] { return unanswered(daemon, "mute.0") == 16; }));
        CHECK(has_text(daemon.ctl({"describe", "mute.0"}).out, "its answer to 16 connections"));
        // Those that it had are given to who comes after it.
        REQUIRE(::kill(daemon.pid_of("mute.0"), SIGKILL) == 0);
        CHECK(wait_until([&] {
            return unanswered(daemon, "mute.0") == 16 &&
                   daemon.worker("mute.0").at("restarts") == 1;
        }));
        clients.send(SIGKILL);
    }
}

}  // namespace cluster::test
